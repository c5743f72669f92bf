"""Where a storm takes place: the simulated cluster, a real API server of our own, or one that somebody gives.

All three end up the same: CRDs with conversion and admission through our webhooks, the ConfigMap, a gateway, the
shipped presets, and players that answer for gateway and pods.
"""

import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import yaml

from aioctl import shipped
from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.kube.errors import AlreadyExists, NotFound, ServerUnavailable, TransportError
from aioctl.sim import seed
from aioctl.sim.hooks import admission_configurations, conversion_patch
from bench.counts import AuditCounting, Counting, SimCounting

AGENT: Final = "bench/1"
CRD: Final = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
NAMESPACE: Final = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
_WORLD_KINDS: Final = {
    kind.kind: kind
    for kind in (
        NAMESPACE,
        kinds.CONFIG_MAP,
        kinds.GATEWAY_CLASS,
        kinds.GATEWAY,
        kinds.CONFIG,
        kinds.VALIDATING_WEBHOOK,
        kinds.MUTATING_WEBHOOK,
    )
}
_OUR_CRDS: Final = Path(__file__).resolve().parents[1] / "deploy" / "crds"
_SERVED_DEADLINE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Players:
    """Delays in seconds."""

    gateway_delay: float = 1.0
    workload_delay: float = 1.0
    behaviour: str = "both"

    def options(self) -> list[str]:
        return [
            "--gateway-delay", str(self.gateway_delay),
            "--workload-delay", str(self.workload_delay),
            "--gateway-behaviour", self.behaviour,
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Arena:
    """A cluster made ready, but for what needs a running webhook."""

    name: str
    kubeconfig: Path
    counting: Counting
    simulated: str = ""
    """Address of the simulated server; empty for a real one."""


@asynccontextmanager
async def simulated(
    folder: Path, ports: processes.Ports, certificates: Path, players: Players
) -> AsyncIterator[Arena]:
    """The embedded cluster as a process of its own. Raises StageError."""
    options = ["--scenario", "demo", "--history", "200000", *players.options()]
    async with processes.cluster(folder, ports, certificates, options) as server:
        yield Arena("simulated API server", folder / "kubeconfig", SimCounting(server), server)


@asynccontextmanager
async def real(
    folder: Path, ports: processes.Ports, certificates: Path, players: Players
) -> AsyncIterator[Arena]:
    """A kube-apiserver and an etcd, started for this run. Raises testbed.real.build.NotAvailable, StageError."""
    # Only here: nothing else of the bench needs the programs that the tests build.
    from testbed.real.build import KUBERNETES, assets  # noqa: PLC0415
    from testbed.real.cluster import running  # noqa: PLC0415

    found = assets(build=True)
    with running(found, audit=True) as cluster:
        others = [document for path in found.crds for document in yaml.safe_load_all(path.read_text())]
        async with (
            given(folder, ports, certificates, players, cluster.kubeconfig, others) as arena,
            client_for(cluster.kubeconfig) as client,
        ):
            counting = AuditCounting(client, cluster.audit_log)
            yield Arena(f"kube-apiserver {KUBERNETES}", arena.kubeconfig, counting)


@asynccontextmanager
async def given(
    folder: Path,
    ports: processes.Ports,
    certificates: Path,
    players: Players,
    kubeconfig: Path,
    crds: list[Any] | None = None,
) -> AsyncIterator[Arena]:
    """Somebody's API server, whose webhooks must reach this host's loopback: only for clusters made for this."""
    async with client_for(kubeconfig) as client:
        bundle = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
        ours = list(shipped.objects(_OUR_CRDS))
        for crd in (document for document in crds or () if document):
            await _ensure(client, CRD, crd)
        for crd in ours:
            clause = conversion_patch(ports.webhook_url, bundle)
            await _ensure(client, CRD, {**crd, "spec": {**crd["spec"], **clause["spec"]}})
        for kind in (kinds.GATEWAY, kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.CONFIG, kinds.SERVICE):
            await _until_served(client, kind)
        for obj in (*seed.world(), *admission_configurations(ports.webhook_url, bundle)):
            await _ensure(client, _WORLD_KINDS[obj["kind"]], obj)
        play = [sys.executable, "-m", "testbed.real_players", "--kubeconfig", str(kubeconfig)]
        async with processes.process("players", [*play, *players.options()], folder):
            yield Arena("a given API server", kubeconfig, AuditCounting(client, None, ports.metrics_page))


@asynccontextmanager
async def client_for(kubeconfig: Path, connections: int = 0) -> AsyncIterator[Client]:
    """`connections`: at most so many; 0: as many as the program's own client has."""
    config = await load_config(str(kubeconfig))
    limit = {"connections": connections} if connections else {}
    client = Client(config.wire(user_agent=AGENT, **limit))
    try:
        yield client
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()


async def _ensure(client: Client, kind: Kind, obj: dict[str, Any]) -> None:
    """What is there already stays. A server that has no time for it is asked again."""
    with anyio.fail_after(_SERVED_DEADLINE):
        while True:
            with contextlib.suppress(ServerUnavailable, TransportError):
                with contextlib.suppress(AlreadyExists):
                    await client.create(kind, obj["metadata"].get("namespace", ""), obj)
                return
            await anyio.sleep(0.1)


async def _until_served(client: Client, kind: Kind) -> None:
    """A CRD is served a moment after it was created."""
    with anyio.fail_after(_SERVED_DEADLINE):
        while True:
            with contextlib.suppress(NotFound):
                await client.get_raw(kind.path())
                return
            await anyio.sleep(0.1)
