"""A whole cluster without containers, and what the story asks of it.

etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kwok, LeaderWorkerSet's controller, istiod, an adapter of external
metrics; the pods of aioctl's own Deployment are processes with addresses of their own. KEDA is its CRD, and its operator is played.
"""

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.names import MIGRATED, route_name
from aioctl.api.objects import annotations_of, dig
from aioctl.demo.processes import write_certificates
from testbed.real import build, controllers, gateways
from testbed.real.api import Answer
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster, running
from testbed.real.kubectl import Kubectl, KubectlError
from testbed.real.metrics import ExternalMetrics, serving
from testbed.real.private_network import HOST
from testbed.real.process_node import ProcessNode
from testbed.real.schemas import SCALED_OBJECT
from tests.deploy.manifests import DEPLOY, NAMESPACE, container
from tests.real_install.installation import Administrator
from tests.whole_cluster import others
from tests.whole_cluster.fleet import SHAPES, Pool, Route

ROOT = DEPLOY.parent
PATIENCE = 600.0
"""Seconds that a claim may take on a machine that does a lot beside."""
OUR_PODS = ("app.kubernetes.io/name", "aioctl")
IMAGE = container()["image"]
NEXT_IMAGE = IMAGE.rpartition(":")[0] + ":next"
COMMANDS = {
    IMAGE: (sys.executable, "-m", "aioctl"),
    NEXT_IMAGE: (sys.executable, "-m", "testbed.next_version"),
}
(METRICS_PORT,) = (port["containerPort"] for port in container()["ports"] if port["name"] == "metrics")
OVERLAP = 4.0
SETTINGS = {"AIOCTL_CERT_OVERLAP": f"{OVERLAP:g}", "AIOCTL_LEASE_DURATION": "8", "AIOCTL_RENEW_DEADLINE": "6"}
"""Beside what ships: shorter times, so that the story need not wait for long ones."""
REPLICA_SET = Kind("apps", "v1", "ReplicaSet", "replicasets")
# Without the controllers' own events and leases, and what looks another way at objects that are listed already.
UNCOUNTED = (
    "events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses", "endpoints",
    "ipaddresses.networking.k8s.io",
)  # fmt: skip
ISTIODS = (f" {gateways.ISTIO_NAMESPACE} ", " istio-ca-root-cert", "/v1 GatewayClass ")
"""What lines of an inventory have that are istiod's: its namespace, a ConfigMap in every namespace, classes that it makes again."""
OPTIONS = (
    # Webhooks are called at the addresses that EndpointSlices have.
    "--enable-aggregator-routing=true",
    # There is no way out of the network, so no address could be found that is not loopback's.
    f"--advertise-address={HOST}",
)
QUICK = ("--horizontal-pod-autoscaler-sync-period=2s",)
"""Of kube-controller-manager: 15 s ships."""
T = TypeVar("T")


def until(claim: Callable[[], T], what: Callable[[], str] | str, *, seconds: float = PATIENCE) -> T:
    """The first answer that is true. Raises AssertionError with `what`."""
    deadline = time.monotonic() + seconds
    while not (found := claim()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.3)  # other processes work; there is nothing to await
    return found


def leads(address: str) -> bool:
    """Whether the replica at that address leads; one that does not listen does not."""
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://{address}:{METRICS_PORT}/metrics", timeout=5) as answer,
    ):
        page: str = answer.read().decode()
        return re.search(r"^leader_election_master_status\S* 1(\.0)?$", page, re.MULTILINE) is not None
    return False


class Stage:
    """The running cluster."""

    def __init__(
        self, cluster: RealCluster, kubectl: Kubectl, node: ProcessNode, metrics: ExternalMetrics
    ) -> None:
        self.cluster = cluster
        self.kubectl = kubectl
        self.node = node
        self.metrics = metrics
        self.admin = Administrator(cluster)
        self.before = self._settled_inventory()

    # -- objects

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        answer = self.admin("GET", kind.path(namespace, name))
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.body
        return found

    def find(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        answer = self.admin("GET", kind.path(namespace, name))
        return answer.body if answer.status == 200 else None

    def items(self, kind: Kind, namespace: str = "", labels: str = "") -> list[dict[str, Any]]:
        """Raises AssertionError where it is not served."""
        answer = self.admin("GET", kind.path(namespace), **({"labelSelector": labels} if labels else {}))
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.body["items"]
        return found

    def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> None:
        answer = self.admin("POST", kind.path(namespace), body)
        assert answer.status == 201, answer.body

    def patch(self, kind: Kind, namespace: str, name: str, body: Any, subresource: str = "") -> Answer:
        path = kind.path(namespace, name) + (f"/{subresource}" if subresource else "")
        answer = self.admin("PATCH", path, body)
        assert answer.status == 200, answer.body
        return answer

    def inventory(self) -> set[str]:
        """`<kind> <namespace> <name>` of everything that the API server lists, but for what is istiod's."""
        wanted = sorted(
            set(self.kubectl("api-resources", "--verbs=list", "--output=name").split()) - set(UNCOUNTED)
        )
        columns = "custom-columns=A:.apiVersion,K:.kind,NS:.metadata.namespace,N:.metadata.name"
        listed = self.kubectl(
            "get", ",".join(wanted), "-A", "--no-headers", "-o", columns, "--ignore-not-found"
        )
        lines = {" ".join(line.split()) for line in listed.splitlines()}
        return {line for line in lines if not any(part in line for part in ISTIODS)}

    def _settled_inventory(self) -> set[str]:
        """Once Kubernetes' own controllers have made what they make in every cluster."""
        seen: list[set[str]] = []

        def settled() -> bool:
            seen.append(self.inventory())
            return seen[-2:-1] == seen[-1:]

        until(settled, "an empty cluster is at rest")
        return seen[-1]

    def left(self) -> set[str]:
        """What was not there before anything was installed."""
        try:
            return self.inventory() - self.before
        except KubectlError as error:
            return {str(error)}  # a kind that is on its way out

    # -- services

    def services(self, namespace: str = "") -> dict[str, dict[str, Any]]:
        return {
            f"{s['metadata']['namespace']}/{s['metadata']['name']}": s
            for s in self.items(kinds.SERVICE, namespace)
        }

    def condition(self, service: dict[str, Any], type_: str) -> tuple[str, str, str]:
        """(status, reason, message); empty where it is absent."""
        for found in dig(service, "status", "conditions") or ():
            if found["type"] == type_:
                return found["status"], found.get("reason", ""), found.get("message", "")
        return "", "", ""

    def not_settled(self) -> dict[str, Any]:
        """Services that are not Ready for what they ask for, or whose traffic is not where it belongs, and what they say."""
        return {name: said for name, service in self.services().items() if (said := self._awaited(service))}

    def _awaited(self, service: dict[str, Any]) -> list[Any]:
        """What a service still lacks by the truth of its shape; empty when nothing."""
        meta = service["metadata"]
        shape = SHAPES[f"{meta['namespace']}/{meta['name']}"]
        awaited: list[Any] = []
        if dig(service, "status", "observedGeneration") != meta["generation"]:
            awaited.append("its last change is not observed")
        if self.condition(service, "Ready")[0] != "True":
            awaited.append("it is not Ready")
            awaited += [c for c in dig(service, "status", "conditions") or () if c["status"] != "True"]
        route = self.find(kinds.HTTP_ROUTE, meta["namespace"], route_name(meta["name"]))
        if (route is not None) != (shape.route is Route.OURS):
            awaited.append("a route of ours that is not wanted" if route else "a route of ours")
        # Where nothing is ours to move nothing is locked; of a user's pool only the route is.
        for where, locked, wanted in (
            ("route", annotations_of(route or {}).get(MIGRATED), shape.moves),
            (
                "status",
                dig(service, "status", "annotations", MIGRATED),
                shape.moves and shape.pool is Pool.OURS,
            ),
        ):
            if locked != ("v1" if wanted else None):
                awaited.append(f"the lock of the {where} is {locked}")
        return awaited

    def until_settled(self) -> None:
        until(lambda: not self.not_settled(), lambda: f"settled, but {self.not_settled()}")

    def model_pods(self, namespace: str = "") -> dict[str, str]:
        """UIDs of all pods of services, by namespace and name."""
        return {
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod["metadata"]["uid"]
            for pod in self.items(kinds.POD, namespace)
            if pod["metadata"]["namespace"] != NAMESPACE
        }

    # -- the controller

    def our_pods(self) -> list[dict[str, Any]]:
        return self.items(kinds.POD, NAMESPACE, "=".join(OUR_PODS))

    def leader(self) -> str:
        """The only pod that says by its metrics that it leads; empty when there is none, or more."""
        pods = {pod["metadata"]["name"]: dig(pod, "status", "podIP") for pod in self.our_pods()}
        found = [name for name, address in pods.items() if address and leads(address)]
        return found[0] if len(found) == 1 else ""

    def until_rolled_out(self) -> None:
        """Both replicas are of the current template and available, and none of the old ones is left."""

        def done() -> bool:
            found = self.get(kinds.DEPLOYMENT, NAMESPACE, "aioctl")
            status = found.get("status", {})
            return bool(
                status.get("observedGeneration") == found["metadata"]["generation"]
                and status.get("updatedReplicas")
                == status.get("availableReplicas")
                == found["spec"]["replicas"]
                and len(self.our_pods()) == found["spec"]["replicas"]
            )

        until(done, lambda: f"the controller is rolled out\n{self.node.tail()}")
        until(self.leader, lambda: f"one replica leads\n{self.node.tail()}")

    # -- commands

    def shell(self, commands: str) -> str:
        """As an administrator in the repository; the first command that fails ends it. Raises AssertionError."""
        path = f"{self.kubectl.program.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "KUBECONFIG": str(self.cluster.kubeconfig)}
        command = ["bash", "-euo", "pipefail", "-c", commands]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextlib.contextmanager
def opened(assets: Assets) -> Iterator[Stage]:
    """Everything but aioctl. Raises NotAvailable."""
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(running(assets, options=OPTIONS, gogc=200))
        kubectl = Kubectl.of(assets, cluster)
        # Of Gateway API those that istiod wants.
        foreign = (path for path in assets.crds if "gateway.networking.k8s.io" not in path.name)
        keda = (path for path in assets.schemas if path.name == SCALED_OBJECT)
        kubectl.install_crds(*build.gateway_crds(build=False), *foreign, *keda)
        kubectl("create", "namespace", gateways.ISTIO_NAMESPACE)
        node = ProcessNode(cluster, OUR_PODS, COMMANDS, SETTINGS)
        for part in (
            controllers.controller_manager(cluster, options=QUICK),
            controllers.scheduler(cluster),
            controllers.kwok(cluster, kubectl, but_pods=dict([OUR_PODS])),
            controllers.leader_worker_sets(cluster, kubectl),
            node.running(),
            gateways.istiod(cluster),
            others.keda_operator(cluster),
        ):
            stack.enter_context(part)
        kubectl.apply(documents=yaml.safe_dump_all(others.devices()))
        folder = cluster.folder / "metrics"
        folder.mkdir()
        metrics = stack.enter_context(serving(write_certificates(folder), HOST))
        kubectl.apply(documents=yaml.safe_dump_all(metrics.registration()))
        yield Stage(cluster, kubectl, node, metrics)
