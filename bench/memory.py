"""`python -m bench memory`: what does a fleet cost the controller in memory?

Three readings of its resident memory on the simulated cluster: idle, with only the presets; after a whole fleet was created
(a storm without pacing, whose costs are in the record too) and has come to rest; and of a second controller that was started on
that fleet and has nothing left to do. A controller caches its services and all their children.
"""

import argparse
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import anyio
import httpx

from aioctl.demo import progress
from bench import ending, machine, report
from bench.scenario import Expectation, Result, Scenario, Unit, at
from bench.stage import parameters, stage, until_still
from bench.storm import FLEET, create_fleet, storm

_TIMEOUT: Final = 900.0
_LOOK: Final = 30.0
"""Seconds between two looks: a page with the series of 500 services takes the controller a while, and megabytes."""
_SETTINGS: Final = {
    "AIOCTL_POOL_CREATE_RATE": "0",
    "AIOCTL_POOL_STAGGER": "0",
    "AIOCTL_SERVICE_SERIES": "500",  # as it ships: they are part of what a fleet costs
}


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


async def _run(options: argparse.Namespace) -> Result:
    """The readings, in MB. Raises StageError, and TimeoutError when the second controller does not get ready."""
    async with stage(options) as place:
        async with place.controller(_SETTINGS) as pid:
            await place.presets()
            await until_still(place.counting)
            idle = machine.usage(pid).rss
            made, _ = await storm(place, pid, lambda client, witness: create_fleet(client, witness, options))
            worked = machine.usage(pid)
        async with place.controller(_SETTINGS, name="second") as pid:
            seen = await _until_all_seen(place.ports.metrics_page, options)
            started = machine.usage(pid)
    figures = {
        **made.figures,
        "settings": {**_SETTINGS, **made.figures["settings"]},
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
    return Result(figures, [*made.rows, *_rows(figures)], made.plots, made.measuring)


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
    judged_by="memory is read when the controller has not written for three seconds; looks at its metrics are few, for they take memory.",
    run=run,
    parameters=[
        replace(each, default=_LOOK) if each.name == "look-every" else each
        for each in parameters(services=1000, timeout=_TIMEOUT)
    ],
    seed=0,
    expectations=[
        *FLEET,
        Expectation("beyond idle, after the storm", at("beyond_idle_mb", "after_the_storm"), 150, Unit.MEGABYTES),
        Expectation("beyond idle, started on the fleet", at("beyond_idle_mb", "started_on_the_fleet"), 150, Unit.MEGABYTES),
        Expectation("writes of the second", at("writes_of_the_second"), 0),
    ],
)  # fmt: skip
