"""A real gateway controller beside a real API server, and the whole program in this process: what happens to services there.

Workloads are played. Before the real controller comes, a played one of another version may leave its statuses. Every revision
of every HTTPRoute is kept, so what its gateway said of it at any time can be judged.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskStatus

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import annotations_of, dig, name_of, sequence
from aioctl.kube.client import Client
from aioctl.kube.errors import NotFound
from aioctl.sim import seed
from aioctl.sim.players.gateway import BEHAVIOURS, GLOBAL_GATEWAY, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed import real_world
from testbed.real import build, private_network
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster, running
from testbed.real.gateways import ADDRESSED
from testbed.real.kubectl import Kubectl
from testbed.real_players import stamp
from testbed.real_world import Webhooks, until

NAMESPACE = "team"
PATIENCE = 600.0
GATEWAY = f"{GLOBAL_GATEWAY.namespace}/{GLOBAL_GATEWAY.name}"
TEMPLATE: dict[str, Any] = {"containers": [{"name": "main", "image": "quay.io/example/vllm:1"}]}
MANAGED: Mapping[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}
POOL_CRDS = {
    POOL_GROUP_V1: "inference.networking.k8s.io_inferencepools.yaml",
    POOL_GROUP_V1ALPHA2: "inference.networking.x-k8s.io_inferencepools.yaml",
}
BOTH = frozenset(POOL_CRDS)


@dataclass(frozen=True, slots=True)
class Class:
    """The GatewayClass of the only Gateway, and the namespace that its controller lives in."""

    name: str
    controller: str
    system: str


@contextlib.contextmanager
def cluster_with(
    assets: Assets, pools: frozenset[str], *systems: str
) -> Iterator[tuple[RealCluster, Kubectl]]:
    """An API server with Gateway API as gateway controllers want it, and these generations of InferencePool. Raises NotAvailable.

    `systems` are namespaces of gateway controllers.
    """
    absent = {name for group, name in POOL_CRDS.items() if group not in pools}
    others = [p for p in assets.crds if "gateway.networking.k8s.io" not in p.name and p.name not in absent]
    with running(assets, options=[f"--advertise-address={private_network.HOST}"]) as cluster:
        kubectl = Kubectl.of(assets, cluster)
        kubectl.install_crds(*build.gateway_crds(build=False), *others)
        for system in systems:
            kubectl("create", "namespace", system)
        yield cluster, kubectl


@dataclass
class Ground:
    """The cluster, and every revision of every HTTPRoute since the beginning."""

    user: Client
    cluster: RealCluster
    kubectl: Kubectl
    routes: list[dict[str, Any]] = field(default_factory=list)

    async def create(
        self, name: str, strategy: str = "", *, paused: bool = False, router: Mapping[str, Any] = MANAGED
    ) -> None:
        """A service with everything managed, unless `router` says otherwise; of the program's strategy, unless it has its own."""
        wanted = {names.ENABLE_AUTH: "false"}
        if strategy:
            wanted[names.MIGRATION_STRATEGY] = strategy
        if paused:
            wanted[names.MIGRATION] = "paused"
        body = {
            "apiVersion": kinds.V1ALPHA2,
            "kind": kinds.SERVICE.kind,
            "metadata": {"name": name, "annotations": wanted},
            "spec": {
                "model": {"uri": "hf://facebook/opt-125m", "name": f"example/{name}"},
                "template": TEMPLATE,
                "router": router,
            },
        }
        await self.user.create(kinds.SERVICE, NAMESPACE, body)

    async def condition(self, name: str, type_: str) -> tuple[str, str, str]:
        """(status, reason, message); empty where it is absent."""
        service = await self.user.get(kinds.SERVICE, NAMESPACE, name)
        for found in dig(service, "status", "conditions") or ():
            if found["type"] == type_:
                return found["status"], found.get("reason", ""), found.get("message", "")
        return "", "", ""

    async def until(self, name: str, type_: str, status: str, reason: str = "", *, saying: str = "") -> str:
        """The condition's message, once it says so. Raises AssertionError with what the service says, and its route."""

        async def holds() -> bool:
            found = await self.condition(name, type_)
            return found[0] == status and reason in ("", found[1]) and saying in found[2]

        try:
            await until(holds, seconds=PATIENCE)
        except TimeoutError:
            service = await self.user.get(kinds.SERVICE, NAMESPACE, name)
            said = [
                (each["type"], each["status"], each.get("reason"), each.get("message"))
                for each in dig(service, "status", "conditions") or ()
            ]
            wanted = f"no {type_} {status} {reason} {saying}"
            raise AssertionError(f"{name}: {wanted}; {said}; {self._shown(name)}") from None
        return (await self.condition(name, type_))[2]

    def last(self, name: str) -> dict[str, Any] | None:
        """The newest revision of the service's route."""
        found = self.revisions(name)
        return found[-1] if found else None

    def revisions(self, name: str) -> list[dict[str, Any]]:
        return [route for route in self.routes if name_of(route) == names.route_name(name)]

    async def until_on(self, name: str, group: str, *, locked: bool) -> None:
        """Until all the traffic of the service is on that generation of its pool."""

        async def holds() -> bool:
            route = self.last(name)
            return route is not None and carried(route) == {group} and is_locked(route) is locked

        try:
            await until(holds, seconds=PATIENCE)
        except TimeoutError:
            raise AssertionError(f"{name} is not on {group}: {self._shown(name)}") from None

    def _shown(self, name: str) -> str:
        """The newest revision of the service's route, in short."""
        route = self.last(name)
        if route is None:
            return "no route"
        traffic, parents = carried(route), dig(route, "status", "parents")
        return f"references to {named(route)}, traffic on {traffic}, lock {is_locked(route)}, {parents}"

    async def until_refused(self, name: str) -> None:
        """Until the service says that it is not ready because the gateway refuses what carries its traffic."""
        await self.until(name, "HTTPRoutesReady", "False", saying='(reason "InvalidKind"')
        await self.until(name, "Ready", "False", saying="InvalidKind")

    def refusals(self, name: str) -> list[str]:
        """What the gateway said against kinds of references that carried traffic."""
        return [
            f"{named(route)}, traffic on {carried(route)}: {said}"
            for route in self.revisions(name)
            if "InvalidKind" in (said := refused(route))
        ]

    def lost(self, name: str) -> list[str]:
        """What the gateway said against the references of the locked route once it had resolved them.

        Before that istiod may say BackendNotFound: it makes what it needs of a pool when a route names it first (measured).
        """
        taken = False
        found = []
        for route in filter(is_locked, self.revisions(name)):
            taken = taken or resolves(route)
            if taken and (said := refused(route)):
                found.append(said)
        return found


def carried(route: Mapping[str, Any]) -> set[str]:
    """Groups of the pool references that carry traffic."""
    return {ref["group"] for ref in _pool_references(route) if ref.get("weight", 1) > 0}


def named(route: Mapping[str, Any]) -> set[str]:
    """Groups of all pool references."""
    return {ref["group"] for ref in _pool_references(route)}


def _pool_references(route: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for rule in sequence(route, "spec", "rules"):
        for ref in rule.get("backendRefs", ()):
            if ref.get("kind") == "InferencePool":
                yield ref


def is_locked(route: Mapping[str, Any]) -> bool:
    return annotations_of(route).get(names.MIGRATED) == "v1"


def refused(route: Mapping[str, Any]) -> str:
    """What a parent says against the references of the present generation; empty where none does."""
    for parent in sequence(route, "status", "parents"):
        for condition in parent["conditions"]:
            current = condition.get("observedGeneration") == route["metadata"]["generation"]
            if condition["type"] == "ResolvedRefs" and condition["status"] == "False" and current:
                return f"{condition['reason']}: {condition.get('message')}"
    return ""


def resolves(route: Mapping[str, Any]) -> bool:
    """Every parent resolves the references of the present generation."""
    parents = sequence(route, "status", "parents")
    return bool(parents) and all(
        any(
            each["type"] == "ResolvedRefs"
            and each["status"] == "True"
            and each.get("observedGeneration") == route["metadata"]["generation"]
            for each in parent["conditions"]
        )
        for parent in parents
    )


Story = Callable[[Ground], Awaitable[None]]


def play(
    assets: Assets, folder: Path, class_: Class, pools: frozenset[str], story: Story, **settings: Any
) -> None:
    """The story on a cluster of its own. Raises whatever it raises."""

    async def run() -> None:
        async with ground(cluster, kubectl, folder, class_, **settings) as made:
            await story(made)

    with cluster_with(assets, pools, class_.system) as (cluster, kubectl):
        anyio.run(run)


@contextlib.asynccontextmanager
async def ground(
    cluster: RealCluster, kubectl: Kubectl, folder: Path, class_: Class, **settings: Any
) -> AsyncIterator[Ground]:
    """The program on that cluster, furnished; workloads and their pods are played."""
    webhooks = Webhooks.in_folder(folder)
    async with real_world.client_for(cluster.kubeconfig) as client:
        await real_world.install_crds(client, webhooks)
        await real_world.create(client, *_world(class_))
        chosen = webhooks.settings(**{"status_settle": 0.05, "migration_strategy": "auto", **settings})
        async with real_world.running(chosen, cluster.kubeconfig), anyio.create_task_group() as group:
            made = Ground(client, cluster, kubectl)
            await real_world.install_presets(client)
            group.start_soon(WorkloadPlayer(client, delay=0.1, stamp=stamp).run)
            await group.start(_watch_routes, client, made.routes)
            yield made
            group.cancel_scope.cancel()


def _world(class_: Class) -> list[dict[str, Any]]:
    """As an administrator makes it: the shipped settings, and a Gateway of that class."""
    objects = seed.world(namespaces=[NAMESPACE])
    for obj in objects:
        if obj["kind"] == "GatewayClass":
            obj["metadata"]["name"] = class_.name
            obj["spec"]["controllerName"] = class_.controller
        if obj["kind"] == "Gateway":
            obj["spec"]["gatewayClassName"] = class_.name
    return objects


async def give_address(client: Client, namespace: str, name: str) -> None:
    """What a cloud does for a Service of type LoadBalancer."""
    await client.patch(kinds.CORE_SERVICE, namespace, name, {"status": ADDRESSED}, subresource="status")


@contextlib.asynccontextmanager
async def played_gateway(client: Client, class_: Class, behaviour: str) -> AsyncIterator[None]:
    """A gateway controller of that behaviour, for as long as the block lasts; its statuses stay."""
    script = GatewayScript(BEHAVIOURS[behaviour], delay=0.2, controller=class_.controller)
    player = GatewayPlayer(client, stamp=stamp, default=script, accepts_unreferenced=False)
    async with anyio.create_task_group() as group:
        group.start_soon(player.run)
        yield
        group.cancel_scope.cancel()


async def _watch_routes(
    client: Client, seen: list[dict[str, Any]], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Every revision of every HTTPRoute from now on, without a gap: a watch that is over is an error."""
    since = ""
    async for page in client.list_pages(kinds.HTTP_ROUTE):
        since = page.resource_version
    async with client.watch(kinds.HTTP_ROUTE, resource_version=since, server_timeout=3600.0) as events:
        task_status.started()
        async for event in events:
            if event.type in ("ADDED", "MODIFIED"):
                seen.append(msgspec.json.decode(event.object))  # noqa: PERF401  seen as it comes
    raise AssertionError("the watch of HTTPRoutes ended")


async def pool_statuses(made: Ground, *services: str) -> Mapping[str, Any]:
    """What stands in the status of each service's v1alpha2 pool, once all are accepted."""
    found: dict[str, Any] = {}

    async def all_accepted() -> bool:
        for service in services:
            with contextlib.suppress(NotFound):
                pool = await made.user.get(kinds.POOL_V1ALPHA2, NAMESPACE, f"{service}-inference-pool")
                found[service] = [
                    (dig(parent, "parentRef", "name"), condition["type"], condition["status"])
                    for parent in dig(pool, "status", "parent") or ()
                    for condition in parent["conditions"]
                ]
        return all(any(said[1:] == ("Accepted", "True") for said in found.get(each, ())) for each in services)

    await until(all_accepted, seconds=PATIENCE)
    return found
