"""`python -m bench memory`: what does a fleet cost the controller in memory?

Three readings of its resident memory on the simulated cluster: idle, with only the presets; after a whole fleet was created
and has come to rest; and of a second controller that was started on that fleet and has nothing left to do. A controller
caches its services and all their children.
"""

import argparse
from contextlib import suppress
from typing import Any, Final

import anyio
import httpx

from aioctl.demo import processes, progress
from bench import machine, report
from bench.scenario import Expectation, Result, Scenario, Unit, at
from bench.stage import parameters, stage, until_still

_TIMEOUT: Final = 900.0
_SETTINGS: Final = {
    "AIOCTL_POOL_CREATE_RATE": "0",
    "AIOCTL_POOL_STAGGER": "0",
    "AIOCTL_SERVICE_SERIES": "500",  # as it ships: they are part of what a fleet costs
}


def run(options: argparse.Namespace) -> Result:
    figures = anyio.run(_run, options)
    return Result(figures, _rows(figures))


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    """The readings, in MB. Raises StageError, and TimeoutError when the fleet does not get ready."""
    async with stage(options) as place:
        async with place.controller(_SETTINGS) as pid:
            await processes.install_presets(place.client)
            await until_still(place.counting)
            idle = machine.usage(pid).rss
            await place.settled(options.services)
            worked = machine.usage(pid)
        async with place.controller(_SETTINGS, name="second") as pid:
            seen = await _until_all_seen(place.ports.metrics_page, options)
            started = machine.usage(pid)
    return {
        "services": options.services,
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


async def _until_all_seen(url: str, options: argparse.Namespace) -> progress.Snapshot:
    """Until a controller has looked at every service and has nothing left to do. Raises TimeoutError."""
    async with httpx.AsyncClient() as http:
        with anyio.fail_after(options.timeout):
            while True:
                # Amid its first looks at a whole fleet a controller may take longer for its page than anybody waits.
                with suppress(progress.ProgressError):
                    seen = await progress.read(http, url)
                    if seen.services.get("Migrated") == options.services and not seen.queue_depth:
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


SCENARIO: Final = Scenario(
    name="memory",
    what="what a fleet costs the controller in memory: idle, after the fleet came, and started anew on it",
    measures="resident memory as the kernel counts it, and the writes of the second controller.",
    judged_by="memory is read when the controller has not written for three seconds.",
    run=run,
    parameters=parameters(services=1000, timeout=_TIMEOUT),
    seed=0,
    expectations=[
        Expectation("beyond idle, after the storm", at("beyond_idle_mb", "after_the_storm"), 150, Unit.MEGABYTES),
        Expectation("beyond idle, started on the fleet", at("beyond_idle_mb", "started_on_the_fleet"), 150, Unit.MEGABYTES),
        Expectation("writes of the second", at("writes_of_the_second"), 0),
    ],
)  # fmt: skip
