"""`python -m bench takeover`: two replicas; the leader is killed (SIGKILL) while a fleet is being created. How long until the other
one writes, and is anything lost?

The one that survives serves the webhooks, as any replica does: of the leader only its lease is missed.
"""

import argparse
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from time import monotonic
from typing import Any, Final

import anyio

from aioctl.demo import processes
from aioctl.settings import Settings
from bench import bar, ending, report
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, at
from bench.stage import Stage, parameters, settings_of, stage, until_still
from bench.storm import create_fleet
from bench.witness import Witness


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


async def _run(options: argparse.Namespace) -> Result:
    leads = {"AIOCTL_LEADER_ELECTION": "true"}
    async with stage(options) as place, AsyncExitStack() as replicas:
        first = await replicas.enter_async_context(
            place.controller(leads, ports=processes.Ports.free(), name="leader", may_end=True)
        )
        second = await replicas.enter_async_context(place.controller(leads, name="other"))
        await place.presets()
        await until_still(place.counting)
        return await _killed(place, first, second)


async def _killed(place: Stage, leader: int, survivor: int) -> Result:
    options = place.options
    witness = Witness(options.services)
    progress = partial(bar.shown, "migrated", lambda: len(witness.migrated), options.services)
    before = await place.counting.read()
    place.measuring.restart()
    async with anyio.create_task_group() as group, place.sampled(survivor) as sampler:
        group.start_soon(witness.run, place.client)
        group.start_soon(create_fleet, place.client, witness, options)
        with progress(), anyio.fail_after(options.timeout):
            await witness.wait_for(max(1, int(options.services * options.killed_at)))
        os.kill(leader, signal.SIGKILL)
        killed = monotonic()
        done = len(witness.migrated)
        with progress(), anyio.move_on_after(options.timeout):
            await witness.wait_migrated()
            await witness.wait_ready()
        measured = place.measuring.summary(options.services, len(witness.ready))
        await until_still(place.counting)
        counted = await place.counting.read() - before
        group.cancel_scope.cancel()
    moved = sorted(moment - killed for moment in witness.migrated.values() if moment > killed)
    # What the leader had written before it died is seen a moment later.
    later = [each for each in moved if each > _SEEN_LATE]
    lease = float(
        settings_of(options).get("AIOCTL_LEASE_DURATION", Settings.model_fields["lease_duration"].default)
    )
    figures: dict[str, Any] = place.about() | {
        "migrated_before": done,
        "services_lost": options.services - len(witness.migrated),
        "lease_s": lease,
        "until_next_s": round(later[0], 2) if later else None,
        "until_next_by_lease": round(later[0] / lease, 3) if later else None,
        "until_all_s": round(moved[-1], 2) if moved else None,
        "conversions": {"count": counted.conversions, "failures": counted.conversion_failures},
    }
    rows: list[report.Row] = [
        ("services", f"{options.services} on {place.arena.name}"),
        ("migrated when the leader died", f"{done}"),
        (
            "the next one is migrated",
            f"{figures['until_next_s']} s later, {figures['until_next_by_lease']} of a lease",
        ),
        ("all are", f"{figures['until_all_s']} s later"),
        ("conversions", f"{counted.conversions}, {counted.conversion_failures} failed"),
    ]
    return Result(figures, rows, sampler.plots(), measured | sampler.measuring())


_SEEN_LATE: Final = 2.0
"""Seconds."""

SCENARIO: Final = Scenario(
    name="takeover",
    what="of two replicas the leader is killed while a fleet is being created: the other one takes over",
    measures="seconds from the death to the next service that is migrated, and to all of them; failed conversions.",
    judged_by="services that the witness did not see, the client's own load; what is seen within two seconds of the death counts as"
    " the dead one's.",
    run=run,
    parameters=[
        *parameters(services=60),
        Parameter("killed-at", 0.3, "share of the services that are migrated when the leader dies", least=0),
    ],
    seed=0,
    expectations=[
        Expectation("services that did not migrate", at("services_lost"), 0),
        Expectation("conversions that failed", at("conversions", "failures"), 0),
        Expectation("time to the next migrated service by the lease's duration", at("until_next_by_lease"), 2, Unit.TIMES),
        Expectation("observations that the witness missed", at("measuring", "observations_missed"), 0),
    ],
)  # fmt: skip
