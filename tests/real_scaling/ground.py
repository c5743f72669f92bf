"""Scaling on a real API server with the real HorizontalPodAutoscaler, Deployment, ReplicaSet and LeaderWorkerSet controllers.

No node exists: pods are said to be ready here. KEDA's operator is played by the scenarios, on its real CRD. Each scenario has a
namespace of its own; all run at once, but for the one that begins without KEDA's CRD, which comes first.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import yaml

from aioctl.api import kinds
from aioctl.api.objects import dig, key_of
from aioctl.app import Application
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError, NotFound
from aioctl.sim import seed
from aioctl.sim.players.following import listed, patch_status
from testbed import real_world
from testbed.at_rest import is_busy
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster
from testbed.real.controllers import controller_manager, leader_worker_sets
from testbed.real.kubectl import Kubectl, prepared
from testbed.real.metrics import ExternalMetrics, serving
from testbed.real_players import stamp
from testbed.real_world import Webhooks
from tests.scenarios.scene import SVC, Scene

CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "horizontal-pod-autoscaler-controller",
)
QUICK = (
    "--horizontal-pod-autoscaler-sync-period=1s",
    "--horizontal-pod-autoscaler-downscale-stabilization=1s",
)
PATIENCE = 300.0
"""Seconds for a claim that comes true within a few on a machine with nothing else to do."""
PROMETHEUS = "autoscaling-wva-controller-config"
HPA, SCALED_OBJECT, TARGET = f"{SVC}-kserve-hpa", f"{SVC}-kserve-keda", f"{SVC}-kserve"
GROUPS = f"{SVC}-kserve-mn"
KEDAS_HPA = f"keda-hpa-{SCALED_OBJECT}"


class Ground(Scene):
    """A scene, and what makes replicas come and go in it."""

    metrics: ExternalMetrics
    crds: tuple[Path, ...]
    kubectl: Kubectl

    async def install_keda(self) -> None:
        """KEDA's CRD."""
        await anyio.to_thread.run_sync(lambda: self.kubectl.install_crds(*self.crds))

    def metric(self, value: int | None, name: str = HPA) -> None:
        """What the adapter knows of a variant of this namespace from now on; None: nothing."""
        if value is None:
            self.metrics.values.pop((self.namespace, name), None)
        else:
            self.metrics.values[self.namespace, name] = value

    async def replicas(self, name: str = TARGET, kind: kinds.Kind = kinds.DEPLOYMENT) -> int:
        """What the workload asks for now."""
        found: int = (await self.user.get(kind, self.namespace, name))["spec"]["replicas"]
        return found

    async def until_replicas(
        self, count: int, name: str = TARGET, kind: kinds.Kind = kinds.DEPLOYMENT
    ) -> None:
        async def claim() -> bool:
            return await self.replicas(name, kind) == count

        await self.until(claim)

    async def scaling(self, **scaling: Any) -> None:
        """The user writes another `scaling`, or `replicas`, instead of what there is."""

        def change(service: dict[str, Any]) -> None:
            for field in ("scaling", "replicas"):
                service["spec"].pop(field, None)
            service["spec"].update(scaling)

        await self.edit(kinds.SERVICE, SVC, change)

    async def hpa_condition(self, type_: str, name: str = HPA) -> tuple[str, str, str]:
        """(status, reason, message) of a condition of the autoscaler; empty where it says nothing of it."""
        hpa = await self.find(kinds.AUTOSCALER, name)
        for found in dig(hpa, "status", "conditions") or ():
            if found["type"] == type_:
                return found["status"], found["reason"], found["message"]
        return "", "", ""

    async def until_hpa(self, type_: str, status: str, *reasons: str, name: str = HPA) -> None:
        async def claim() -> bool:
            found = await self.hpa_condition(type_, name)
            return found[0] == status and found[1] in reasons

        await self.until(claim)

    async def until_gone(self, kind: kinds.Kind, name: str) -> None:
        async def claim() -> bool:
            return await self.find(kind, name) is None

        await self.until(claim)

    async def until_there(self, kind: kinds.Kind, name: str) -> None:
        async def claim() -> bool:
            return await self.find(kind, name) is not None

        await self.until(claim)

    async def keda_says(self, ready: str, reason: str = "R", message: str = "m") -> None:
        """KEDA's operator looks at the ScaledObject: all four conditions that it writes."""
        others = [{"type": type_, "status": "False"} for type_ in ("Active", "Fallback", "Paused")]
        first = {"type": "Ready", "status": ready, "reason": reason, "message": message}
        status = {"conditions": [first, *others]}
        await self.user.patch(
            kinds.SCALED_OBJECT, self.namespace, SCALED_OBJECT, {"status": status}, subresource="status"
        )

    async def keda_makes_its_hpa(self, least: int) -> None:
        """KEDA scales by an autoscaler of its own, which its ScaledObject owns."""
        owner = await self.user.get(kinds.SCALED_OBJECT, self.namespace, SCALED_OBJECT)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": TARGET}
        resource = {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}
        reference = {
            "apiVersion": kinds.SCALED_OBJECT.api_version,
            "kind": kinds.SCALED_OBJECT.kind,
            "name": SCALED_OBJECT,
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
        await self.put(
            kinds.AUTOSCALER,
            KEDAS_HPA,
            {
                "minReplicas": least,
                "maxReplicas": 9,
                "scaleTargetRef": target,
                "metrics": [{"type": "Resource", "resource": resource}],
            },
            ownerReferences=[reference],
        )


Body = Callable[[Ground], Awaitable[None]]


async def play(
    assets: Assets, first: Mapping[str, Body], then: Mapping[str, Body], folder: Path, *, groups: bool
) -> Mapping[str, Exception | None]:
    """How each scenario ended: None, or what it raised. Those of `first` run before those of `then`. Raises NotAvailable.

    `groups`: with LeaderWorkerSet's own controller.
    """
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(prepared(assets))
        stack.enter_context(controller_manager(cluster, controllers=CONTROLLERS, options=QUICK))
        if groups:
            stack.enter_context(leader_worker_sets(cluster, Kubectl.of(assets, cluster)))
        webhooks = Webhooks.in_folder(folder)
        with serving(webhooks.certificates) as metrics:
            return await _play(assets, cluster, webhooks, metrics, (first, then))


async def _play(
    assets: Assets,
    cluster: RealCluster,
    webhooks: Webhooks,
    metrics: ExternalMetrics,
    stages: tuple[Mapping[str, Body], ...],
) -> Mapping[str, Exception | None]:
    outcomes: dict[str, Exception | None] = {}
    kubectl = Kubectl.of(assets, cluster)
    keda = tuple(path for path in assets.schemas if path.name == "keda.sh_scaledobjects.yaml")
    kubectl.apply(documents=yaml.safe_dump_all(metrics.registration()))
    namespaces = {name: f"s{number:02d}" for number, name in enumerate(n for stage in stages for n in stage)}

    async def run(name: str, body: Body, client: Client, program: Application) -> None:
        ground = Ground(client, namespaces[name], window=1.0, patience=PATIENCE)
        ground.busy = partial(is_busy, program, namespace=namespaces[name])
        ground.metrics, ground.crds, ground.kubectl = metrics, keda, kubectl
        try:
            await body(ground)
        except Exception as error:  # noqa: BLE001  the result of that scenario, raised in its test
            outcomes[name] = error
        else:
            outcomes[name] = None

    async with real_world.client_for(cluster.kubeconfig) as client:
        await real_world.install_crds(client, webhooks)
        await real_world.create(client, *_world([*namespaces.values()]))
        settings = webhooks.settings(status_settle=0.05)
        async with (
            real_world.running(settings, cluster.kubeconfig) as program,
            anyio.create_task_group() as nodes,
        ):
            nodes.start_soon(_pods_are_ready, client)
            await real_world.install_presets(client)
            for stage in stages:
                async with anyio.create_task_group() as group:
                    for name, body in stage.items():
                        group.start_soon(run, name, body, client, program)
            nodes.cancel_scope.cancel()
    return outcomes


def _world(namespaces: list[str]) -> list[dict[str, Any]]:
    """As for every scenario, and where KEDA finds Prometheus."""
    objects = seed.world(namespaces=namespaces)
    for obj in objects:
        if obj["kind"] == "ConfigMap":
            obj["data"][PROMETHEUS] = '{"prometheus": {"url": "http://prometheus:9090"}}'
    return objects


async def _pods_are_ready(client: Client) -> None:
    """What a node would do: every pod is ready at once. Endless."""
    while True:
        with contextlib.suppress(KubeError):  # a node tries again
            found = await listed(client, kinds.POD)
            for pod in found[0] if found else ():
                if dig(pod, "status", "phase") == "Pending":
                    ready = {"type": "Ready", "status": "True", "lastTransitionTime": stamp()}
                    status = {"phase": "Running", "conditions": [ready], "startTime": stamp()}
                    await patch_status(client, kinds.POD, key_of(pod), status)
        await anyio.sleep(0.2)


async def exists(ground: Ground, kind: kinds.Kind, name: str) -> bool:
    """Whether the object is there; a kind that is not served has none."""
    try:
        await ground.user.get(kind, ground.namespace, name)
    except NotFound:
        return False
    return True
