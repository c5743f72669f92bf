"""`aioctl demo`: a fleet migrated on the embedded cluster, by the same program that runs on a real one.

Three processes: the embedded cluster (API server, gateway and workload players), `aioctl run` against it over HTTP with
webhooks over TLS, and this one, which creates the services as a user would and watches the controller's metrics page.
"""

import contextlib
import json
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from aioctl.api import kinds
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind
from aioctl.api.names import MIGRATED
from aioctl.api.objects import dig, name_of, namespace_of
from aioctl.demo import processes
from aioctl.demo.progress import ProgressError, Snapshot, read
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.sim import fleet, seed

POLL: Final = 0.25
SETTLE: Final = 5.0
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Options:
    """Times in seconds."""

    services: int = 50
    serve: bool = False
    gateway_delay: float = 1.0
    timeout: float = 50.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What runs: addresses and files."""

    folder: Path
    kubeconfig: Path
    metrics: str
    page: str
    cluster: str


async def run(options: Options) -> int:
    """The whole demo; 0 when every service was migrated, 1 otherwise, 130 when it was told to stop.

    Raises StageError when it cannot be shown.
    """
    code = INTERRUPTED
    async with anyio.create_task_group() as group:

        async def stop_on_signal() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    group.cancel_scope.cancel()

        group.start_soon(stop_on_signal)
        code = await _show(options)
        group.cancel_scope.cancel()
    return code


async def _show(options: Options) -> int:
    console = Console()
    with tempfile.TemporaryDirectory(prefix="aioctl-demo-") as name:
        async with _scene(Path(name), options) as scene, httpx.AsyncClient() as http:
            console.print(
                f"[bold]embedded cluster[/] at {scene.cluster}, kubeconfig {scene.kubeconfig}", soft_wrap=True
            )
            console.print(
                f"[bold]controller[/] page at {scene.page}, metrics at {scene.metrics}", soft_wrap=True
            )
            config = await load_config(str(scene.kubeconfig))
            client = Client(config.wire())
            try:
                await processes.install_presets(client)
                began = time.monotonic()
                async with anyio.create_task_group() as group:
                    group.start_soon(fleet.create, client, fleet.services(options.services))
                    last = await _follow(http, scene, options, console, began)
                    group.cancel_scope.cancel()
                took = time.monotonic() - began
                await _settle(client)
                code = await _summary(client, console, last, options, took)
                if options.serve:
                    await _serve(console, scene)
            finally:
                with anyio.CancelScope(shield=True):
                    await client.aclose()
    return code


SETTINGS: Final = {
    # So that `aioctl check` and `aioctl finish` find who leads, as on a cluster.
    "AIOCTL_LEADER_ELECTION": "true",
    "AIOCTL_NAMESPACE": seed.SYSTEM_NAMESPACE,
    "AIOCTL_MIGRATION_STRATEGY": "auto",
}
GATEWAY: Final = "example.com/takes-both"
"""The controller of the demo's GatewayClass, of which nothing is known: it is asked whether it takes both InferencePool generations in
one rule, says yes, and traffic moves by weight. Of an Istio it would be known that it does not."""


@asynccontextmanager
async def _scene(folder: Path, options: Options) -> AsyncIterator[Scene]:
    ports = processes.Ports.free()
    certificates = processes.write_certificates(folder)
    kubeconfig = folder / "kubeconfig"
    played = ["--scenario", "demo", "--gateway-delay", str(options.gateway_delay)]
    played += ["--gateway-controller", GATEWAY]
    async with (
        processes.cluster(folder, ports, certificates, played) as address,
        processes.controller(folder, ports, certificates, kubeconfig, SETTINGS),
    ):
        yield Scene(folder, kubeconfig, ports.metrics_page, ports.operators_page, address)


async def _follow(
    http: httpx.AsyncClient, scene: Scene, options: Options, console: Console, began: float
) -> Snapshot:
    """Shows the metrics page until all are migrated or the time is over; returns the last reading."""
    last = Snapshot()
    shown = ""
    live = Live(console=console, refresh_per_second=8, transient=True) if console.is_terminal else None
    with live or contextlib.nullcontext():
        while time.monotonic() - began < options.timeout:
            with contextlib.suppress(ProgressError):
                last = await read(http, scene.metrics)
            line = _line(last, options.services, time.monotonic() - began)
            if live is not None:
                live.update(_table(last, options.services, time.monotonic() - began))
            elif line.split("s ", 1)[1] != shown:
                shown = line.split("s ", 1)[1]
                console.print(line, highlight=False, soft_wrap=True)
            if last.services.get("Migrated", 0) >= options.services:
                break
            await anyio.sleep(POLL if live is not None else 4 * POLL)
    return last


def _line(found: Snapshot, wanted: int, seconds: float) -> str:
    states = " ".join(f"{state}={count}" for state, count in found.services.items() if count)
    return (
        f"{seconds:5.1f}s {found.services.get('Migrated', 0)}/{wanted} migrated  [{states}]  "
        f"conversions={found.conversions} p99={found.conversion_p99 * 1000:.0f}ms in-flight={found.in_flight}  "
        f"queue={found.queue_depth}  reconciles={found.reconciles}"
    )


def _table(found: Snapshot, wanted: int, seconds: float) -> Table:
    table = Table(title=f"aioctl demo, {seconds:.1f} s", show_header=False)
    for state, count in found.services.items():
        bar = "█" * round(40 * count / wanted)
        table.add_row(
            state, f"{count:5d}", f"[green]{bar}[/]" if state == "Migrated" else f"[yellow]{bar}[/]"
        )
    table.add_section()
    table.add_row(
        "conversions",
        f"{found.conversions:5d}",
        f"p50 {found.conversion_p50 * 1000:.1f} ms, "
        f"p99 {found.conversion_p99 * 1000:.1f} ms, in flight {found.in_flight}, failed {found.conversion_failures}",
    )
    table.add_row(
        "queue", f"{found.queue_depth:5d}", f"{found.reconciles} reconciles, {found.reconcile_errors} errors"
    )
    table.add_row("pools created", f"{found.pools_created:5d}", f"{found.writes} writes in all")
    return table


async def _settle(client: Client) -> None:
    """Gives the last workloads a moment to become available, so that the summary shows services at rest."""
    with anyio.move_on_after(SETTLE):
        while True:
            services = [obj async for obj in _all(client, kinds.SERVICE)]
            if all(_ready_status(obj) == "True" for obj in services):
                return
            await anyio.sleep(POLL)


async def _summary(client: Client, console: Console, last: Snapshot, options: Options, took: float) -> int:
    services = [obj async for obj in _all(client, kinds.SERVICE)]
    routes = [obj async for obj in _all(client, kinds.HTTP_ROUTE)]
    locked = {
        namespace_of(route) + "/" + str(dig(route, "metadata", "labels", "app.kubernetes.io/name"))
        for route in routes
        if dig(route, "metadata", "annotations", MIGRATED) == "v1"
    }
    done = [obj for obj in services if f"{namespace_of(obj)}/{name_of(obj)}" in locked]
    missing = [obj for obj in services if obj not in done]
    table = Table(title="summary")
    for column in ("what", "value"):
        table.add_column(column)
    table.add_row("services", f"{len(services)} of {options.services}")
    table.add_row("migrated to the v1 InferencePool", f"{len(done)}")
    table.add_row("of these by weight", f"{sum(map(_moved_by_weight, routes))}")
    table.add_row("seconds until all were migrated" if not missing else "seconds waited", f"{took:.1f}")
    ready = Counter(_ready_status(obj) for obj in services)
    table.add_row(
        "condition Ready", ", ".join(f"{status} {count}" for status, count in sorted(ready.items()))
    )
    table.add_row("conversions", f"{last.conversions}, {last.conversion_failures} failed")
    table.add_row(
        "conversion latency",
        f"p50 {last.conversion_p50 * 1000:.1f} ms, p99 {last.conversion_p99 * 1000:.1f} ms",
    )
    table.add_row("reconciles", f"{last.reconciles}, {last.reconcile_errors} with an error")
    table.add_row("writes", f"{last.writes}")
    console.print(table)
    if len(services) == options.services and not missing:
        console.print(f"[bold green]all {options.services} services are migrated[/]")
        return 0
    console.print(
        f"[bold red]{options.services - len(done)} of {options.services} services are not migrated[/]"
    )
    for obj in missing[:10]:
        console.print(f"  {namespace_of(obj)}/{name_of(obj)}: {_why(obj)}", highlight=False, markup=False)
    return 1


def _moved_by_weight(route: Mapping[str, Any]) -> bool:
    """Some rule has the reference that traffic came from beside the one that it went to, and the lock is there."""
    rules = dig(route, "spec", "rules") or ()
    both = any(
        {ref.get("group") for ref in rule.get("backendRefs", ())} >= {POOL_GROUP_V1, POOL_GROUP_V1ALPHA2}
        for rule in rules
    )
    return both and dig(route, "metadata", "annotations", MIGRATED) == "v1"


def _ready_status(service: Mapping[str, Any]) -> str:
    found = [c for c in dig(service, "status", "conditions") or () if c.get("type") == "Ready"]
    return str(found[0]["status"]) if found else "missing"


def _why(service: Mapping[str, Any]) -> str:
    """The conditions that are not True, in one line."""
    conditions = dig(service, "status", "conditions") or ()
    bad = [
        f"{c['type']}={c['status']} {c.get('reason', '')}: {c.get('message', '')}"
        for c in conditions
        if c.get("status") != "True" and c["type"] not in ("Ready", "RouterReady", "WorkloadsReady")
    ]
    return "; ".join(bad) or "no status yet"


async def _all(client: Client, kind: Kind) -> AsyncIterator[dict[str, Any]]:
    async for page in client.list_pages(kind):
        for raw in page.items:
            yield json.loads(raw)


async def _serve(console: Console, scene: Scene) -> None:
    console.print(f"still up at [bold]{scene.page}[/]; interrupt to stop. Look into it with:", soft_wrap=True)
    console.print(f"  export KUBECONFIG={scene.kubeconfig}", highlight=False)
    console.print("  kubectl get llminferenceservices,httproutes,inferencepools -A", highlight=False)
    console.print(f"  curl {scene.metrics}", highlight=False)
    await anyio.sleep_forever()
