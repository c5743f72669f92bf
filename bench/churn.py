"""Three scenarios on a settled fleet whose world does not rest.

`python -m bench steady`: children change over and over in what says nothing (an annotation of somebody else). Nothing may be
written, and each change should cost next to nothing.
`python -m bench flap`: workloads become unavailable and available again, without end. The status may follow as it settles;
nothing else may be written, and traffic stays where it is.
`python -m bench fight`: two gateways overwrite each other's word on one pool. Its service may be looked at once a second.
"""

import argparse
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import dig, key_of, sequence
from aioctl.kube.client import Client
from aioctl.sim.players.following import Object, listed, patch_status
from bench import bar, ending, machine
from bench.counts import STATUS, WRITES, Counts, metrics_page, total
from bench.scenario import CannotRun, Expectation, Parameter, Result, Scenario, Unit, at, in_units
from bench.stage import Stage, is_of_fleet, parameters, stage, until_still

_TICK: Final = "bench.aioctl.dev/tick"
_WORD: Final = "BenchAccepted"
_LONG_AGO: Final = "2026-01-01T00:00:00Z"


class Change(ABC):
    """Changes on a schedule; `late` ones began more than their own interval late, `done` were taken by the API server."""

    def __init__(self, place: Stage, per_second: float) -> None:
        self.client = place.client
        self.interval = 1 / per_second
        self.done = 0
        self.late = 0

    async def go_on(self, objects: Sequence[Object], count: int) -> None:
        """In turns over the objects. Raises KubeError in a group."""
        began = monotonic()
        async with anyio.create_task_group() as group:
            for number in range(count):
                await anyio.sleep(max(0.0, began + number * self.interval - monotonic()))
                self.late += monotonic() > began + (number + 1) * self.interval
                turn, index = divmod(number, len(objects))
                group.start_soon(self._one, objects[index], turn)

    async def _one(self, obj: Object, turn: int) -> None:
        await self.change(obj, turn)
        self.done += 1

    async def objects(self) -> list[Object]:
        """What is changed. Raises CannotRun without any."""
        return await _workloads(self.client)

    @abstractmethod
    async def change(self, obj: Object, turn: int) -> None:
        """Changes one object; `turn` counts how often it was changed before."""


class Tick(Change):
    """An annotation that nobody reads."""

    async def change(self, obj: Object, turn: int) -> None:
        body = {"metadata": {"annotations": {_TICK: str(turn)}}}
        await self.client.patch(kinds.DEPLOYMENT, *key_of(obj), body)


class Flap(Change):
    """Unavailable in even turns, available in odd ones."""

    async def change(self, obj: Object, turn: int) -> None:
        status = obj["status"]
        up = bool(turn % 2)
        conditions = [
            {**each, "status": str(up)} if each.get("type") == "Available" else each
            for each in sequence(obj, "status", "conditions")
        ]
        ready = status.get("replicas", 0) if up else 0
        body = {"readyReplicas": ready, "availableReplicas": ready, "conditions": conditions}
        await patch_status(self.client, kinds.DEPLOYMENT, key_of(obj), body)


class Fight(Change):
    """Two classes of gateway that overwrite each other's word on one pool."""

    async def objects(self) -> list[Object]:
        found = await listed(self.client, kinds.POOL_V1)
        pools = (
            [each for each in found[0] if is_of_fleet(each) and dig(each, "status", "parents")]
            if found
            else []
        )
        if not pools:
            raise CannotRun("no gateway has said anything of a v1 pool of the fleet")
        return pools[:1]

    async def change(self, obj: Object, turn: int) -> None:
        word = {
            "type": _WORD,
            "status": "True",
            "reason": f"Class{turn % 2}",
            "message": "",
            "lastTransitionTime": _LONG_AGO,
        }
        parents = [
            {**parent, "conditions": [*sequence(parent, "conditions"), word]}
            for parent in sequence(obj, "status", "parents")
        ]
        await patch_status(self.client, kinds.POOL_V1, key_of(obj), {"parents": parents})


def run(kind: type[Change], options: argparse.Namespace) -> Result:
    return ending.run(_run, kind, options)


async def _run(kind: type[Change], options: argparse.Namespace) -> Result:
    async with stage(options) as place, place.controller() as pid:
        await place.settled(options.services)
        changing = kind(place, options.per_second)
        objects = await changing.objects()
        # An even number of turns: what flaps is available at the end.
        turns = max(1, round(options.seconds * options.per_second / len(objects) / 2))
        count = 2 * turns * len(objects)
        before, used = await place.counting.read(), machine.usage(pid).cpu
        page = await metrics_page(place.http, place.ports.metrics_page)
        place.measuring.restart()
        began = monotonic()
        async with anyio.create_task_group() as group, place.sampled(pid) as sampler:
            progress = bar.shown(kind.__name__.lower(), lambda: changing.done, count)
            with progress, anyio.fail_after(options.timeout):
                await changing.go_on(objects, count)
            measured = place.measuring.summary(count, changing.done)
            group.cancel_scope.cancel()
        seconds = monotonic() - began
        await until_still(place.counting)
        used = machine.usage(pid).cpu - used
        after = await metrics_page(place.http, place.ports.metrics_page)
        counted = await place.counting.read() - before
        reconciles = total(after, _RECONCILES) - total(page, _RECONCILES)
        figures = place.about() | _costs(counted, used, reconciles, changing.done)
        figures["looks_per_second"] = round(reconciles / seconds, 3)
        figures["not_ready"] = await _not_ready(place.client)
    measured |= {"changes_late": changing.late} | sampler.measuring()
    return Result(figures, _rows(figures), sampler.plots(), measured)


_RECONCILES: Final = "controller_runtime_reconcile_total"


def _costs(counted: Counts, used: float, reconciles: float, changes: int) -> dict[str, Any]:
    writes = {
        f"{verb} {resource}": count
        for (verb, resource), count in sorted(counted.calls.items())
        if verb in WRITES and resource != "events"
    }
    of_status = sum(count for name, count in writes.items() if name.endswith(STATUS))
    return {
        "changes": changes,
        "cpu_s": round(used, 3),
        "cpu_ms_per_change": round(used / changes * 1e3, 4),
        "reconciles_per_change": round(reconciles / changes, 4),
        "writes_of_status_per_change": round(of_status / changes, 4),
        "writes_beside": sum(writes.values()) - of_status,
        "writes": writes,
    }


async def _workloads(client: Client) -> list[Object]:
    """Deployments that are available. Raises CannotRun without any."""
    found = await listed(client, kinds.DEPLOYMENT)
    objects = (
        [each for each in found[0] if is_of_fleet(each) and dig(each, "status", "conditions")]
        if found
        else []
    )
    if not objects:
        raise CannotRun("no service of the fleet has a Deployment that is available")
    return objects


async def _not_ready(client: Client) -> int:
    found = await listed(client, kinds.SERVICE)
    ready: set[ObjectKey] = set()
    services = found[0] if found else []
    for service in services:
        for each in sequence(service, "status", "conditions"):
            if (each.get("type"), each.get("status")) == ("Ready", "True"):
                ready.add(key_of(service))
    return len(services) - len(ready)


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("services", f"{figures['services']} on {figures['on']}"),
        ("changes", f"{figures['changes']}"),
        ("CPU", f"{figures['cpu_ms_per_change']} ms a change, {figures['cpu_s']} s in all"),
        (
            "reconciles",
            f"{figures['reconciles_per_change']} a change, {figures['looks_per_second']} a second",
        ),
        ("writes of status", f"{figures['writes_of_status_per_change']} a change"),
        ("writes", ", ".join(f"{name} {count}" for name, count in figures["writes"].items()) or "none"),
    ]


_PARAMETERS: Final = (
    Parameter("per-second", 20.0, "changes in a second, over all workloads", least=0.01),
    Parameter("seconds", 20.0, "for so long; then everything is as before", least=1),
)
_JUDGED: Final = "changes that began late or that the API server refused, and the client's own load; rest is three seconds without a write."

STEADY: Final = Scenario(
    name="steady",
    what="children of a settled fleet change over and over in what says nothing: watch events without news",
    measures="CPU and reconciles for each change, and writes, of which there should be none.",
    judged_by=_JUDGED,
    run=partial(run, Tick),
    parameters=[*parameters(services=60), *_PARAMETERS],
    seed=0,
    expectations=[
        Expectation("writes of a status", at("writes_of_status_per_change"), 0),
        Expectation("other writes", at("writes_beside"), 0),
        Expectation("CPU of a change", in_units(at("cpu_ms_per_change"), scale=1e-3), 10, Unit.WORK_UNITS),
        Expectation("changes that were not taken", at("measuring", "observations_missed"), 0),
    ],
    has_versus=True,
)
FLAP: Final = Scenario(
    name="flap",
    what="workloads of a settled fleet become unavailable and available again, without end",
    measures="writes of status, CPU and reconciles for each change; writes of anything else, of which there should be none.",
    judged_by=_JUDGED,
    run=partial(run, Flap),
    parameters=[*parameters(services=60), *_PARAMETERS],
    seed=0,
    expectations=[
        Expectation("writes of a status for each change", at("writes_of_status_per_change"), 1.1, Unit.TIMES),
        Expectation("other writes", at("writes_beside"), 0),
        Expectation("services not Ready at the end", at("not_ready"), 0),
        Expectation("changes that were not taken", at("measuring", "observations_missed"), 0),
    ],
    has_versus=True,
)
FIGHT: Final = Scenario(
    name="fight",
    what="two gateways overwrite each other's word on the pool of one settled service, without end",
    measures="reconciles a second and CPU, and writes, of which there should be none.",
    judged_by=_JUDGED,
    run=partial(run, Fight),
    parameters=[
        *parameters(services=1),
        Parameter("per-second", 22.0, "words in a second", least=0.01),
        Parameter("seconds", 40.0, "for so long", least=1),
    ],
    seed=0,
    expectations=[
        Expectation("looks a second", at("looks_per_second"), 1),
        Expectation("writes of a status", at("writes_of_status_per_change"), 0),
        Expectation("other writes", at("writes_beside"), 0),
        Expectation("changes that were not taken", at("measuring", "observations_missed"), 0),
    ],
    has_versus=True,
)
