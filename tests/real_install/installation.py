"""What ships, installed on a real API server as a cluster administrator would, and replicas that run with the shipped account.

Nothing of deploy/base is changed. The API server is told to call Services through their EndpointSlices, and each replica
gets one, as the endpoints controller would make it: so calls reach the replicas by the Service's name, over its certificate.
That needs an address of this host beside loopback, which EndpointSlices must not hold.
"""

import base64
import contextlib
import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from http.client import CREATED, TOO_MANY_REQUESTS
from pathlib import Path
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.process import cluster_domain
from aioctl.upkeep.webhook_certificates import service_names
from aioctl.upkeep.webhook_rotation import (
    RotationPolicy,
    RotationState,
    from_secret_data,
)
from testbed.real.api import Answer, Api
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster, running
from testbed.real.kubectl import Applied, Kubectl
from tests.deploy.manifests import ACCOUNT, DEPLOY, NAMESPACE
from tests.real_install.replica import PATIENCE, Replica, until

TEAM = "team"
WEBHOOK_SERVICE = "aioctl-webhook"
CERTIFICATE = "aioctl-webhook-cert"
SERVER_NAME = f"{WEBHOOK_SERVICE}.{NAMESPACE}.svc"
OVERLAP = timedelta(seconds=8)
LEASE_DURATION = 12.0
PRE_STOP = 0.5
"""Seconds between out of the Service and the end, where nobody counts the calls that are lost."""
SETTINGS = {
    "AIOCTL_CERT_OVERLAP": f"{OVERLAP.total_seconds():g}",
    "AIOCTL_LEASE_DURATION": f"{LEASE_DURATION:g}",
    "AIOCTL_RENEW_DEADLINE": "10",
    "AIOCTL_STATUS_SETTLE": "0.05",
    "AIOCTL_POOL_STAGGER": "0",
}
"""Beside what ships: shorter times, so that tests need not wait for long ones."""
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
PLAYERS_LOG = "players.log"
OPTIONS = (
    "--enable-aggregator-routing=true",
    # OpenShift has it: children that block their owner's deletion need a permission more.
    "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
)


def host_address() -> str:
    """An address of this host that is not loopback; empty where there is none. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if address.startswith("127.") else address


def policy() -> RotationPolicy:
    """As the replicas have it."""
    names = service_names(WEBHOOK_SERVICE, NAMESPACE, cluster_domain("cluster.local"))
    return RotationPolicy(names, OVERLAP)


def monitor_crd(kind: Kind) -> dict[str, Any]:
    """The Prometheus operator's kind, without its schema."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": kinds.CRD.api_version,
        "kind": kinds.CRD.kind,
        "metadata": {"name": kind.resource},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": {"kind": kind.kind, "plural": kind.plural},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


MONITOR_CRDS = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [monitor_crd(kind) for kind in (kinds.POD_MONITOR, kinds.SERVICE_MONITOR)],
}


class Administrator(Api):
    """Waits as client-go does when it is asked to come again: a CRD's storage is set up anew after each change of it."""

    def __call__(
        self, method: str, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None, **query: str
    ) -> Answer:
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = super().__call__(method, path, body, **query)
            if answer.status != TOO_MANY_REQUESTS or time.monotonic() > deadline:
                return answer
            time.sleep(0.1)  # another process works; there is nothing to await


class Installation:
    """The cluster, and the replicas that run on it at the moment."""

    def __init__(self, assets: Assets, cluster: RealCluster, host: str) -> None:
        self.cluster = cluster
        self.host = host
        self.kubectl = Kubectl.of(assets, cluster)
        self.admin = Administrator(cluster)
        self.replicas: list[Replica] = []
        self.all_replicas: list[Replica] = []
        self._audited: list[dict[str, Any]] = []
        self._audited_to = 0
        self.played: set[str] = set()
        """Names of the test modules that ran."""
        self.applied = self._install(assets)
        self.account = self.kubectl.as_account(cluster, NAMESPACE, ACCOUNT)

    def _install(self, assets: Assets) -> Applied:
        self.kubectl.apply(*assets.crds)
        self.kubectl.apply(documents=json.dumps(MONITOR_CRDS))
        applied = self.kubectl.apply(kustomize=DEPLOY / "base")
        self.kubectl.wait_until_served(applied)
        self.kubectl("create", "namespace", TEAM)
        return applied

    # -- replicas

    def start(self, **settings: str) -> Replica:
        """One more process; not ready yet."""
        name = f"aioctl-{len(self.all_replicas)}"
        replica = Replica(
            name, self.cluster.folder, self.account.kubeconfig, self.host, {**SETTINGS, **settings}
        )
        self.replicas.append(replica)
        self.all_replicas.append(replica)
        return replica

    def connect(self, replica: Replica) -> None:
        """Once it is ready it gets calls."""
        replica.wait_ready()
        body = {
            "apiVersion": ENDPOINT_SLICE.api_version,
            "kind": ENDPOINT_SLICE.kind,
            "metadata": {"name": replica.name, "labels": {"kubernetes.io/service-name": WEBHOOK_SERVICE}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [self.host], "conditions": {"ready": True}}],
            "ports": [{"name": "webhook", "port": replica.ports.webhook, "protocol": "TCP"}],
        }
        self.create(ENDPOINT_SLICE, NAMESPACE, body)

    def disconnect(self, replica: Replica) -> None:
        """It gets no calls any more, but for those that are on their way."""
        self.admin("DELETE", ENDPOINT_SLICE.path(NAMESPACE, replica.name))
        self.replicas.remove(replica)

    def run(self, count: int) -> list[Replica]:
        """Exactly so many replicas, ready and with one leader among them, whatever was before; the API server reaches them."""
        while len(self.replicas) > count:
            self.stop(self.replicas[-1])
        for replica in [self.start() for _ in range(count - len(self.replicas))]:
            self.connect(replica)
        if count:
            until(lambda: self.leader, "one of the replicas leads")
            until(
                self._is_served,
                "the API server calls the webhooks, by their Service's name and the new CA bundles",
            )
        return list(self.replicas)

    def _is_served(self) -> bool:
        """Whether an object of each kind in each version passes admission and conversion, as a dry run.

        A replica is ready when it serves; that the bundle is in place, and that the API server has seen it, comes after.
        """
        for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG, kinds.CONFIG_V1ALPHA1):
            body = {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "metadata": {"name": "tried"},
                "spec": {},
            }
            if kind.kind == kinds.SERVICE.kind:
                body["spec"] = {"model": {"uri": "hf://facebook/opt-125m"}}
            if self.admin("POST", kind.path(TEAM), body, dryRun="All").status != CREATED:
                return False
        return True

    @property
    def leader(self) -> Replica | None:
        """The one that leads, if there is just one."""
        found = [replica for replica in self.replicas if replica.leads]
        return found[0] if len(found) == 1 else None

    def stop(self, replica: Replica, *, pause: float = PRE_STOP) -> None:
        """As a rollout does, with a shorter preStop pause: the API server's view of the endpoints is quick."""
        self.disconnect(replica)
        time.sleep(pause)
        assert replica.terminate() == 0, replica.tail()

    def kill(self, replica: Replica) -> None:
        replica.kill()
        self.disconnect(replica)

    # -- objects

    def create(self, kind: Kind, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.admin("POST", kind.path(namespace), body)
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.body
        return made

    def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        answer = self.admin("GET", kind.path(namespace, name))
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.body
        return found

    def patch(self, kind: Kind, namespace: str, name: str, body: Any) -> Answer:
        return self.admin("PATCH", kind.path(namespace, name), body)

    def stored(self, kind: Kind, namespace: str = "") -> dict[str, dict[str, Any]]:
        """By name: the objects as etcd holds them."""
        prefix = f"/registry/{kind.group}/{kind.plural}/" + (f"{namespace}/" if namespace else "")
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        asked = {name: base64.b64encode(value.encode()).decode() for name, value in
                 (("key", prefix), ("range_end", end))}  # fmt: skip
        request = urllib.request.Request(  # noqa: S310  ours
            f"{self.cluster.etcd}/v3/kv/range", data=json.dumps(asked).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found = [json.loads(base64.b64decode(item["value"])) for item in json.load(answer).get("kvs", ())]
        return {obj["metadata"]["name"]: obj for obj in found}

    def certificates(self) -> RotationState:
        """What the Secret of the webhooks holds."""
        state = from_secret_data(self.get(kinds.SECRET, NAMESPACE, CERTIFICATE)["data"])
        assert not isinstance(state, str), state
        return state

    def audit(self, verb: str = "", plural: str = "", name: str = "") -> Iterator[dict[str, Any]]:
        """What the shipped account did, from the audit log; all of it, or that to such objects."""
        self._read_on()
        for event in tuple(self._audited):
            ref = event.get("objectRef", {})
            if (
                verb in ("", event["verb"])
                and plural in ("", ref.get("resource"))
                and name in ("", ref.get("name"))
            ):
                yield event

    def _read_on(self) -> None:
        """What has come to the audit log since the last time: it is long, and asked for over and over."""
        user = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
        with self.cluster.audit_log.open("rb") as log:
            log.seek(self._audited_to)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # half written
                self._audited_to += len(line)
                if user.encode() in line and (event := json.loads(line))["user"]["username"] == user:
                    self._audited.append(event)


@contextlib.contextmanager
def installed(assets: Assets, host: str) -> Iterator[Installation]:
    """Everything of deploy/base on a cluster of its own, no replica running."""
    # Each write of a large CRD costs the API server seconds of CPU, a third of it for garbage.
    with running(assets, audit=True, options=OPTIONS, gogc=300) as cluster:
        installation = Installation(assets, cluster, host)
        try:
            yield installation
        finally:
            for replica in installation.all_replicas:
                if replica.process.poll() is None:
                    replica.kill()


@contextlib.contextmanager
def players(cluster: RealCluster, folder: Path) -> Iterator[None]:
    """Gateway and workload controllers, as administrators of the cluster. Raises AssertionError when they ended before they were told to."""
    command = [
        sys.executable, "-m", "testbed.real_players", "--kubeconfig", str(cluster.kubeconfig),
        "--gateway-delay", "0.1", "--workload-delay", "0.1",
    ]  # fmt: skip
    log_file = folder / PLAYERS_LOG
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, log_file.read_text()
