"""`python -m bench update`: every service of a settled fleet is patched once; what does all that follows cost?

Three kinds of rounds on one fleet: each service's `replicas` patched, a flood of reads in `v1alpha1` of which each is a
conversion, and both at the same moment. Then the patches again on a controller without memos (`whole_plans.py`), as a reference. A round of patches is over when every workload has its new replicas and every status has
observed the new generation. CPU is that of the controller's process, until it has nothing more to write.
"""

import argparse
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from time import monotonic
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, controller_of, dig, integer, name_of, namespace_of
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError
from aioctl.sim.players.following import follow
from bench import clusters, ending, machine, report, whole_plans
from bench.counts import Counts
from bench.readers import Readers, services_of
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, at, in_units
from bench.stage import Stage, parameters, stage, until_still

_WORKLOADS: Final = (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)
_FIRST: Final = 11
"""Replicas of the first round: more than any service of the fleet has."""
_ATTEMPTS: Final = 5
_HALF: Final = 28
"""Work units: half of the 56 that an update costs the controller as it was before it had memos (4d94a0e), beside this one in one run
(`--versus`, 20 services, 2026-11-30; 55.8 on the simulated API server, 55.5 on a real one)."""


@dataclass
class Updates:
    """Watches services and workloads for what becomes of patches."""

    client: Client
    wanted: dict[ObjectKey, int] = field(default_factory=dict)
    """The replicas that each service was patched to."""
    patched: dict[ObjectKey, int] = field(default_factory=dict)
    """The generation that the patch made."""
    seconds: list[float] = field(default_factory=list)
    """From each patch to its end."""
    refused: int = 0
    """Patches that were not taken, and were sent again."""

    def __post_init__(self) -> None:
        self._services: dict[ObjectKey, Object] = {}
        self._scaled: dict[ObjectKey, set[int]] = {}
        self._news = anyio.Event()

    async def follow(self) -> None:
        """Endless."""
        async with anyio.create_task_group() as group:
            for kind in (kinds.SERVICE, *_WORKLOADS):
                group.start_soon(self._follow, kind)

    async def patch(self, services: list[ObjectKey], replicas: int) -> None:
        """Patches all at once, and waits until it is done for each. Raises KubeError where one is refused time and again."""
        self.seconds.clear()
        self.patched.clear()
        self.wanted = dict.fromkeys(services, replicas)
        async with anyio.create_task_group() as group:
            for key in services:
                group.start_soon(self._patch, key)

    async def _patch(self, key: ObjectKey) -> None:
        began = monotonic()
        found = await self._taken(key, {"spec": {"replicas": self.wanted[key]}})
        self.patched[key] = integer(found, "metadata", "generation") or 0
        while not self._is_done(key):
            await self._news.wait()
        self.seconds.append(monotonic() - began)

    async def _taken(self, key: ObjectKey, change: Object) -> Object:
        """The service as patched. A webhook that did not answer in time is a finding, and no reason to measure nothing else."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self.client.patch(kinds.SERVICE, *key, change)
            except KubeError:
                self.refused += 1
        return await self.client.patch(kinds.SERVICE, *key, change)

    def _is_done(self, key: ObjectKey) -> bool:
        observed = integer(self._services.get(key), "status", "observedGeneration") or 0
        return observed >= self.patched[key] and self.wanted[key] in self._scaled.get(key, ())

    async def _follow(self, kind: Kind) -> None:
        async for event in follow(self.client, kind, {}):
            obj = event.object
            if kind == kinds.SERVICE:
                self._services[ObjectKey(namespace_of(obj), name_of(obj))] = obj
            elif owner := dig(controller_of(obj), "name"):
                replicas = integer(obj, "spec", "replicas")
                if replicas is not None:
                    self._scaled.setdefault(ObjectKey(namespace_of(obj), owner), set()).add(replicas)
            self._news.set()
            self._news = anyio.Event()


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


class _Patching:
    """Rounds of patches of a settled fleet, with other replicas each time, on whichever controller runs."""

    def __init__(self, place: Stage, updates: Updates, services: list[ObjectKey]) -> None:
        self._place = place
        self._updates = updates
        self._services = services
        self._replicas = count(_FIRST)

    async def all(self) -> None:
        await self._updates.patch(self._services, next(self._replicas))

    async def warm(self) -> None:
        """What the first patch of a fleet makes warm is not what this is about."""
        await self.all()
        await until_still(self._place.counting)

    async def rounds(self, pid: int, number: int) -> list[dict[str, Any]]:
        await self.warm()
        return [await _timed(self._place, pid, self.all) for _ in range(number)]


async def _run(options: argparse.Namespace) -> Result:
    async with stage(options) as place:
        async with anyio.create_task_group() as group:
            updates = Updates(place.client)
            async with place.controller() as pid:
                await place.settled(options.services)
                group.start_soon(updates.follow)
                patching = _Patching(place, updates, await services_of(place.client))
                found = await _found(place, pid, patching, updates)
            if not options.controller_command:
                async with place.controller(name="whole plans", command=whole_plans.COMMAND) as pid:
                    await until_still(place.counting)
                    found.rounds["whole plans"] = await patching.rounds(pid, options.rounds)
            group.cancel_scope.cancel()
        figures = {
            **place.about(),
            "conversions": options.conversions,
            "conversions_failed": found.failures,
            "patches_refused": updates.refused,
            "rounds": found.rounds,
            **_summary(found.rounds, options.services),
        }
    plots = [report.quantiles("Seconds from a patch to all that follows", "seconds", found.latencies)]
    return Result(figures, _rows(figures), plots, found.measured)


@dataclass
class _Found:
    rounds: dict[str, list[dict[str, Any]]]
    latencies: dict[str, list[float]]
    measured: dict[str, Any] = field(default_factory=dict)
    failures: int = 0


async def _found(place: Stage, pid: int, patching: _Patching, updates: Updates) -> _Found:
    """Rounds in turns: patches, conversions, and both."""
    options = place.options
    services = await services_of(place.client)
    found = _Found({"updates": [], "conversions": [], "both": []}, {"alone": [], "beside conversions": []})

    async def both(readers: Readers) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(patching.all)
            group.start_soon(readers.wave, services)

    async def one(name: str, readers: Readers) -> None:
        match name:
            case "updates":
                await patching.all()
            case "conversions":
                await readers.wave(services)
            case _:
                await both(readers)

    place.measuring.restart()
    await patching.warm()
    for _ in range(options.rounds):
        for name, rounds in found.rounds.items():
            async with clusters.client_for(place.arena.kubeconfig, options.conversions + 10) as many:
                readers = Readers(many, options.conversions)
                rounds.append(await _timed(place, pid, partial(one, name, readers)))
            found.failures += len(readers.failures)
            if name != "conversions":
                found.latencies["alone" if name == "updates" else "beside conversions"] += updates.seconds
    found.measured = place.measuring.summary(options.services, options.services)
    return found


async def _timed(place: Stage, pid: int, work: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    """Seconds until the work is done, and the controller's CPU, writes and conversions until it rests."""
    counted, used, began = await place.counting.read(), machine.usage(pid).cpu, monotonic()
    with anyio.fail_after(place.options.timeout):
        await work()
    took = monotonic() - began
    await until_still(place.counting)
    spent: Counts = (await place.counting.read()) - counted
    return {
        "seconds": round(took, 3),
        "cpu_s": round(machine.usage(pid).cpu - used, 2),
        "writes": spent.writes - spent.events,
        "conversions": spent.conversions,
    }


def _summary(rounds: Mapping[str, list[dict[str, Any]]], services: int) -> dict[str, Any]:
    """Medians of the rounds. `beside`: both at once, by the sum of both alone."""

    def median(name: str, figure: str) -> float:
        return machine.quantile([each[figure] for each in rounds[name]], 0.5)

    def beside(figure: str) -> float | None:
        alone = median("updates", figure) + median("conversions", figure)
        return round(median("both", figure) / alone, 2) if alone else None

    whole = median("whole plans", "cpu_s") if rounds.get("whole plans") else None
    return {
        "of_whole_plans": round(median("updates", "cpu_s") / whole, 3) if whole else None,
        "cpu_s_per_service": round(median("updates", "cpu_s") / services, 4),
        "writes_per_service": round(median("updates", "writes") / services, 2),
        "beside": {"cpu": beside("cpu_s"), "seconds": beside("seconds")},
    }


def _rows(figures: Mapping[str, Any]) -> list[report.Row]:
    rows = [
        (
            name,
            "; ".join(
                f"{each['seconds']:.2f} s, {each['cpu_s']:.2f} s of CPU, {each['writes']} writes, {each['conversions']} conversions"
                for each in rounds
            ),
        )
        for name, rounds in figures["rounds"].items()
    ]
    beside = figures["beside"]
    return [
        ("services", f"{figures['services']} on {figures['on']}"),
        *rows,
        (
            "CPU per update",
            f"{figures['cpu_s_per_service'] * 1e3:.1f} ms, {figures['writes_per_service']} writes",
        ),
        *_beside_whole_plans(figures),
        ("both at once by both alone", f"CPU {beside['cpu']}, seconds {beside['seconds']}"),
    ]


def _beside_whole_plans(figures: Mapping[str, Any]) -> list[report.Row]:
    """Nothing for the controller of others."""
    found = figures["of_whole_plans"]
    return [] if found is None else [("CPU of an update by one with every part decided anew", f"{found}")]


SCENARIO: Final = Scenario(
    name="update",
    what="the replicas of every service of a settled fleet are patched once: alone, and beside a flood of conversions",
    measures="CPU of the controller for all that follows from a patch, and beside it that of one without memos; seconds to the last of it; both with a flood by both without.",
    judged_by="the client's own load and lateness; a first round that does not count; each round ends when nothing is written any more.",
    run=run,
    parameters=[
        *parameters(services=40),
        Parameter("conversions", 700, "reads in v1alpha1 at once", least=1),
        Parameter("rounds", 3, "how often each is done, in turns", least=1),
    ],
    seed=0,
    expectations=[
        Expectation(
            "CPU of an update", in_units(at("cpu_s_per_service")), _HALF, Unit.WORK_UNITS, at_home=True
        ),
        Expectation(
            "updates and conversions at once, CPU by both alone", at("beside", "cpu"), 1.34, Unit.TIMES
        ),
        Expectation("conversions that failed", at("conversions_failed"), 0),
        Expectation("patches that were refused", at("patches_refused"), 0),
    ],
    has_versus=True,
)
