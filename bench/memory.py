"""`python -m bench memory`: what does a fleet cost the controller in memory?

Three readings of its resident memory on the simulated cluster: idle, with only the presets; after a whole fleet was created
and has come to rest; and of a second controller that was started on that fleet and has nothing left to do. A controller
caches its services and all their children.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import anyio
import httpx

from aioctl import logs
from aioctl.demo import processes, progress
from aioctl.settings import LogFormat, LogLevel
from bench import clusters, machine, report
from bench.storm import create_fleet, until_still
from bench.witness import Witness

_TIMEOUT = 900.0


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench memory", description=__doc__)
    parser.add_argument("--services", type=int, default=1000)
    report.add_option(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    options = arguments(argv)
    logs.configure(LogLevel.ERROR, LogFormat.CONSOLE)
    about = {"command": " ".join(["python -m bench memory", *argv]), "machine": machine.describe()}
    result = {**about, **anyio.run(run, options.services)}
    report.give("memory", result, options.json, _rows(result))
    return 0


async def run(services: int) -> dict[str, Any]:
    """The readings, in MB. Raises StageError, and TimeoutError when the fleet does not get ready."""
    ports = processes.Ports.free()
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as name:
        folder = Path(name)
        certificates = processes.write_certificates(folder)
        async with (
            clusters.simulated(folder, ports, certificates, clusters.Players()) as place,
            clusters.client_for(place.kubeconfig) as client,
        ):
            settings = {"AIOCTL_POOL_CREATE_RATE": "0", "AIOCTL_POOL_STAGGER": "0"}
            async with processes.controller(folder, ports, certificates, place.kubeconfig, settings) as pid:
                await processes.install_presets(client)
                await until_still(place.counting)
                idle = machine.usage(pid).rss
                witness = Witness(services)
                async with anyio.create_task_group() as group:
                    group.start_soon(witness.run, client)
                    with anyio.fail_after(_TIMEOUT):
                        await create_fleet(client, witness, services)
                        await witness.wait_migrated()
                        await witness.wait_ready()
                    group.cancel_scope.cancel()
                await until_still(place.counting)
                worked = machine.usage(pid)
            async with processes.controller(folder, ports, certificates, place.kubeconfig, settings) as pid:
                seen = await _until_all_seen(ports.metrics_page, services)
                started = machine.usage(pid)
    return {
        "services": services,
        "idle_mb": round(idle, 1),
        "after_the_storm_mb": round(worked.rss, 1),
        "peak_mb": round(worked.peak_rss, 1),
        "started_on_the_fleet_mb": round(started.rss, 1),
        "beyond_idle_mb": {
            "after_the_storm": round(worked.rss - idle, 1),
            "started_on_the_fleet": round(started.rss - idle, 1),
        },
        "writes_of_the_second": seen.writes,
    }


async def _until_all_seen(url: str, services: int) -> progress.Snapshot:
    """Until a controller has looked at every service and has nothing left to do."""
    async with httpx.AsyncClient() as http:
        with anyio.fail_after(_TIMEOUT):
            while True:
                seen = await progress.read(http, url)
                if seen.services.get("Migrated") == services and not seen.queue_depth:
                    return seen
                await anyio.sleep(1)


def _rows(result: dict[str, Any]) -> list[report.Row]:
    beyond, writes = result["beyond_idle_mb"], result["writes_of_the_second"]
    after, started = result["after_the_storm_mb"], result["started_on_the_fleet_mb"]
    return [
        ("idle", f"{result['idle_mb']} MB"),
        (
            f"{result['services']} services, after the storm",
            f"{after} MB ({beyond['after_the_storm']} more), peak {result['peak_mb']} MB",
        ),
        (
            "a controller started on them",
            f"{started} MB ({beyond['started_on_the_fleet']} more), {writes} writes",
        ),
    ]
