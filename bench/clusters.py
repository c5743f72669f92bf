"""Where a storm takes place: the simulated cluster, a real API server of our own, or one that somebody gives.

All three end up the same: CRDs with conversion and admission through our webhooks, the ConfigMap, a gateway, the
shipped presets, and players that answer for gateway and pods.
"""

import base64
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
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
from aioctl.kube.config import ConfigError, load_config
from aioctl.kube.errors import (
    AlreadyExists,
    NotFound,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
)
from aioctl.sim import seed
from aioctl.sim.hooks import admission_configurations, conversion_patch
from bench import guest
from bench.counts import AuditCounting, Counting, SimCounting
from bench.scenario import CannotRun

AGENT: Final = "bench/1"
_OUR_CRDS: Final = Path(__file__).resolve().parents[1] / "deploy" / "crds"
_SERVED_DEADLINE: Final = 300.0
_BUSY: Final = (ServerUnavailable, TooManyRequests, TransportError)
"""Passes: for one, a kind that was removed and comes again answers 429 until its storage is ready."""


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
        async with client_for(cluster.kubeconfig) as client:
            for crd in filter(None, others):
                await _ensure(client, crd)
            await _bring(client, _brought(ports, certificates))
            async with _playing(folder, cluster.kubeconfig, players):
                counting = AuditCounting(client, cluster.audit_log)
                yield Arena(f"kube-apiserver {KUBERNETES}", cluster.kubeconfig, counting)


@asynccontextmanager
async def given(
    folder: Path,
    ports: processes.Ports,
    certificates: Path,
    players: Players,
    kubeconfig: Path,
    *,
    clean: bool,
) -> AsyncIterator[Arena]:
    """Somebody's API server, whose webhooks must reach this host's loopback. Raises CannotRun."""
    brought = [guest.marked(obj) for obj in _brought(ports, certificates)]
    try:
        config = await load_config(str(kubeconfig))
    except ConfigError as error:
        raise CannotRun(str(error)) from error
    async with client_for(kubeconfig) as client, guest.visit(client, config.server, brought, clean=clean):
        await _bring(client, brought)
        options = ["--namespaces", seed.SYSTEM_NAMESPACE, seed.DEMO_NAMESPACE]
        async with _playing(folder, kubeconfig, players, options):
            yield Arena("a given API server", kubeconfig, AuditCounting(client, None, ports.metrics_page))


def _brought(ports: processes.Ports, certificates: Path) -> list[dict[str, Any]]:
    """What a cluster with the kinds of others lacks, in the order of creation."""
    bundle = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
    clause = conversion_patch(ports.webhook_url, bundle)["spec"]
    crds = [{**crd, "spec": {**crd["spec"], **clause}} for crd in shipped.objects(_OUR_CRDS)]
    return [*crds, *seed.world(), *admission_configurations(ports.webhook_url, bundle)]


async def _bring(client: Client, objects: Sequence[dict[str, Any]]) -> None:
    for obj in objects:
        if obj["kind"] == kinds.CRD.kind:
            await _ensure(client, obj)
    for kind in (kinds.GATEWAY, kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.CONFIG, kinds.SERVICE):
        await _until_served(client, kind)
    for obj in objects:
        if obj["kind"] != kinds.CRD.kind:
            await _ensure(client, obj)


@asynccontextmanager
async def _playing(
    folder: Path, kubeconfig: Path, players: Players, options: Sequence[str] = ()
) -> AsyncIterator[None]:
    play = [sys.executable, "-m", "testbed.real_players", "--kubeconfig", str(kubeconfig)]
    async with processes.process("players", [*play, *players.options(), *options], folder):
        yield


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


async def _ensure(client: Client, obj: dict[str, Any]) -> None:
    """A server that has no time for it is asked again, and may have it by then."""
    kind = guest.KINDS[obj["kind"]]
    with anyio.fail_after(_SERVED_DEADLINE):
        while True:
            with contextlib.suppress(*_BUSY):
                with contextlib.suppress(AlreadyExists):
                    await client.create(kind, obj["metadata"].get("namespace", ""), obj)
                return
            await anyio.sleep(0.1)


async def _until_served(client: Client, kind: Kind) -> None:
    """A CRD is served a moment after it was created."""
    with anyio.fail_after(_SERVED_DEADLINE):
        while True:
            with contextlib.suppress(NotFound, *_BUSY):
                await client.get_raw(kind.path())
                return
            await anyio.sleep(0.1)
