"""`python -m bench restart`: a controller starts on a fleet that is there, and one child of one service is missing. How long
from the start of the process until it is written again, and is anything else written?

The fleet is made by a controller before, which then ends. What is missing is a Deployment: its deletion needs no webhook, so
that it can happen while there is no controller.
"""

import argparse
from time import monotonic
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import key_of
from aioctl.kube.client import Client
from aioctl.sim.players.following import follow, listed
from bench import ending, machine
from bench.scenario import CannotRun, Expectation, Result, Scenario, Unit, at, in_units
from bench.stage import Stage, first, is_of_fleet, parameters, stage, until_still


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


async def _run(options: argparse.Namespace) -> Result:
    async with stage(options) as place:
        async with place.controller():
            await place.settled(options.services)
        key = await _taken_away(place.client)
        before = await place.counting.read()
        mended, seen = anyio.Event(), [0.0]
        async with anyio.create_task_group() as group:
            await group.start(_watch, place.client, key, mended, seen)
            place.measuring.restart()
            began = monotonic()
            async with place.controller(name="second") as pid, place.sampled(pid) as sampler:
                ready, started = monotonic() - began, machine.usage(pid).cpu
                found = await first(mended, options.timeout)
                used = machine.usage(pid)
                measured = place.measuring.summary(1, int(found is not None))
                await until_still(place.counting)
                after = await place.counting.read() - before
                whole = machine.usage(pid)
            group.cancel_scope.cancel()
        return _told(
            place,
            {
                "ready_s": round(ready, 2),
                "first_useful_write_s": None if found is None else round(seen[0] - began, 2),
                "cpu_s_until_useful": round(used.cpu, 2),
                "cpu_s": round(whole.cpu, 2),
                "cpu_s_per_service": round((whole.cpu - started) / options.services, 5),
                "memory_mb": round(whole.rss, 1),
                "writes": {
                    f"{verb} {resource}": count
                    for (verb, resource), count in sorted(after.calls.items())
                    if verb in ("create", "update", "patch", "delete") and resource != "events"
                },
                "writes_beside": max(0, after.writes - after.events - _OF_THE_MISSING),
            },
            sampler.plots(),
            measured | sampler.measuring(),
        )


_OF_THE_MISSING: Final = 6
"""Writes for a Deployment that came again: itself, its service's status as it falls and rises, and what starting costs (the
Configs' status)."""


async def _taken_away(client: Client) -> ObjectKey:
    """A workload is deleted: the first one there is. Raises CannotRun without any."""
    found = await listed(client, kinds.DEPLOYMENT)
    fleet = [key_of(each) for each in found[0] if is_of_fleet(each)] if found else []
    workloads = [key for key in fleet if key.name.endswith("-kserve")]
    if not workloads:
        raise CannotRun("no service of the fleet has a Deployment")
    await client.delete(kinds.DEPLOYMENT, *workloads[0])
    return workloads[0]


async def _watch(
    client: Client,
    key: ObjectKey,
    mended: anyio.Event,
    seen: list[float],
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Until the object is there again."""
    task_status.started()
    async for event in follow(client, kinds.DEPLOYMENT, {}):
        if event.type != "DELETED" and key_of(event.object) == key:
            seen[0] = monotonic()
            mended.set()
            return


def _told(place: Stage, found: dict[str, Any], plots: Any, measuring: dict[str, Any]) -> Result:
    rows = [
        ("services", f"{place.options.services} on {place.arena.name}"),
        ("ready", f"{found['ready_s']} s after the start of the process"),
        ("the missing child is written", f"{found['first_useful_write_s']} s after it"),
        ("CPU", f"{found['cpu_s_until_useful']} s until then, {found['cpu_s']} s until rest"),
        ("memory", f"{found['memory_mb']} MB"),
        ("writes", ", ".join(f"{name} {count}" for name, count in found["writes"].items()) or "not counted"),
    ]
    return Result(place.about() | found, rows, plots, measuring)


SCENARIO: Final = Scenario(
    name="restart",
    what="a controller starts on a fleet that is there: from the process's start to the first write that was needed",
    measures="seconds to ready and to the write of the one child that is missing, CPU, memory, all writes.",
    judged_by="the write is seen by a watch that began before the process; the client's own load.",
    run=run,
    parameters=parameters(services=300, timeout=600),
    seed=0,
    expectations=[
        Expectation("writes beside those for what is missing", at("writes_beside"), 0),
        Expectation(
            "CPU from ready to rest, per service", in_units(at("cpu_s_per_service")), 40, Unit.WORK_UNITS
        ),
        Expectation("observations that were missed", at("measuring", "observations_missed"), 0),
    ],
    has_versus=True,
)
