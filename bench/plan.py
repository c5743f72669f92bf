"""`python -m bench plan`: how long does it take from an observation to a plan with all children, and to the status?

A fleet lives on the simulated cluster in this process, on virtual time. Timed is what a worker does without waiting:
reading (and decoding) what the caches hold, planning, concluding the status; in CPU time, which is not other people's. `fresh` services have no children yet, so
that every child is planned; `settled` ones have all of them, so that every child is compared; of others nothing is new since they
were looked at last, as at a resync. Of a large fleet whole plans are timed on some services, spread evenly over it, and looks at
what is not new on all. On a cluster of their own live plain services and such with ten features (`bench.features`);
what these take is told as a multiple of what the plain ones take in the same run.
"""

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import thread_time
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.controller.controller import Controller
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.observe import CacheObservation, Decoded
from aioctl.plan import order, status
from aioctl.plan.facts import Overlay
from aioctl.plan.model import Outcome, Plan
from aioctl.plan.remembered import Memo
from aioctl.sim import fleet, seed
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from bench import features, machine
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, at, in_units
from testbed.shipped_files import presets
from testbed.virtual_time import allow_cpu, run_virtual
from testbed.world import World, world

_RESYNCS: Final = 3
_SAMPLED: Final = 60
"""Services of a fleet that whole plans are timed on: they take 10 ms each, and are of as many shapes as the fleet has."""
_SETTLED: Final = 30.0
"""Virtual seconds until every service of a small fleet is at rest."""
_PACED: Final = 0.1
"""Virtual seconds more for each service: its pools wait for their turn."""
_CPU: Final = 3.0
"""Seconds of CPU that one service may take, on however busy a machine."""
_STATES: Final = ("fresh", "settled")
_OF_A_KIND: Final = 4
"""Services of each kind where two kinds are compared."""


def run(options: argparse.Namespace) -> Result:
    figures = run_virtual(_run, options.services, options.rounds, options.seed)
    rows = [
        (
            f"{state}: {what}",
            f"median {times['median_ms']} ms, p99 {times['p99_ms']} ms, {times['writes']} writes",
        )
        for state in _STATES
        for what, times in figures[state].items()
    ]
    rows += [
        (f"{state}: plan with ten features", f"{times['of_plain']} x a plain one, {times['writes']} writes")
        for state, times in figures["ten_features"].items()
    ]
    new = figures["nothing_new"]
    rows.append(
        (
            "nothing new: look",
            f"median {new['look']['median_ms']} ms, {new['of_a_whole_one']} of plan and status when settled",
        )
    )
    resync = figures["resync"]
    rows.append(
        (
            "resync of all",
            _resync_words(figures["services"], resync),
        )
    )
    return Result(figures, rows)


def _resync_words(services: int, found: dict[str, float]) -> str:
    whole = f"{found['forgotten_ms']} ms with nothing remembered, for each of {found['sampled']}"
    return f"{found['cpu_s']} s of CPU for {services}; a look takes {found['of_forgotten']} of {whole}"


async def _run(services: int, rounds: int, drawn: int) -> dict[str, Any]:
    """Times for fresh and settled services, in milliseconds."""
    allow_cpu(services * _CPU)
    async with _controlled(lambda stage: fill(stage, services, drawn)) as (controller, settle):
        fresh = await _times(controller, rounds)
        await settle()
        settled = await _times(controller, rounds)
        looks = await _looks(controller, rounds)
        resync = await _resync(controller)
    whole = settled["plan"]["median_ms"] + settled["status"]["median_ms"]
    nothing_new = {"look": looks, "of_a_whole_one": round(looks["median_ms"] / whole, 3)}
    return {
        "services": services,
        "rounds": rounds,
        "fresh": fresh,
        "settled": settled,
        "nothing_new": nothing_new,
        "ten_features": await _ten_features(rounds),
        "resync": resync,
    }


async def _ten_features(rounds: int) -> dict[str, dict[str, float]]:
    """By state, the plan of a service with ten features beside that of a plain one."""
    async with _controlled(_fill_with_both) as (controller, settle):
        fresh = await _beside_plain(controller, rounds)
        await settle()
        return {"fresh": fresh, "settled": await _beside_plain(controller, rounds)}


async def _fill_with_both(stage: World) -> None:
    await _furnish(stage)
    for service in features.services(seed.DEMO_NAMESPACE, _OF_A_KIND):
        await stage.user.create(kinds.SERVICE, seed.DEMO_NAMESPACE, service)


async def _beside_plain(controller: Controller, rounds: int) -> dict[str, float]:
    plain, ten = [
        (await _times(controller, rounds, named=kind))["plan"] for kind in (features.PLAIN, features.TEN)
    ]
    return {
        "of_plain": round(ten["median_ms"] / plain["median_ms"], 2),
        "writes": ten["writes"],
        "writes_of_plain": plain["writes"],
    }


@asynccontextmanager
async def _controlled(
    furnish: Callable[[World], Awaitable[None]],
) -> AsyncIterator[tuple[Controller, Callable[[], Awaitable[None]]]]:
    """A controller that has seen a cluster and written nothing yet, and what lets it and the cluster's players work until all
    is at rest."""
    async with world() as stage:
        await furnish(stage)
        controller = stage.controller()
        async with anyio.create_task_group() as group:

            async def settle() -> None:
                stamp = stage.cluster.core.clock.stamp
                players = player_client(stage.cluster)
                group.start_soon(GatewayPlayer(players, stamp=stamp).run)
                group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)
                await group.start(controller.recorder.run)
                await group.start(controller.work)
                await anyio.sleep(_SETTLED + _PACED * len(controller.caches.services()))

            await group.start(controller.watch)
            yield controller, settle
            group.cancel_scope.cancel()


async def fill(stage: World, services: int, drawn: int) -> None:
    """The demo's world, the shipped presets and a fleet."""
    await _furnish(stage)
    await fleet.create(stage.user, fleet.services(services, seed=drawn))


async def _furnish(stage: World) -> None:
    for obj in seed.world():
        await stage.cluster.create(obj, client="user")
    for preset in presets():
        await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)


async def _times(controller: Controller, rounds: int, *, named: str = "") -> dict[str, Any]:
    """Of all services, or of those whose name begins so."""
    live = LiveReads(controller.client, controller.clock)
    decoded = Decoded()
    keys = _sample([key for key in controller.caches.services() if key.name.startswith(named)])
    await _read_ahead(controller, keys, live, decoded)
    planning: list[float] = []
    concluding: list[float] = []
    writes = 0
    for _ in range(rounds):
        for key in keys:
            view = _view(controller, live, decoded, key)
            started = thread_time()
            plan = _plan(controller, view, key)
            planned = thread_time()
            status.conclude(plan, Outcome(), view, controller.policy, controller.clock.now())
            concluded = thread_time()
            planning.append((planned - started) * 1e3)
            concluding.append((concluded - planned) * 1e3)
            writes += sum(len(step.writes) for step in plan.steps)
    each = round(writes / len(planning), 1)
    return {"plan": _summary(planning, each), "status": _summary(concluding, 0)}


async def _looks(controller: Controller, rounds: int) -> dict[str, float]:
    """Times of whole runs of services of which nothing is new, as at a resync. The first run makes sure of that."""
    looking: list[float] = []
    for number in range(rounds + 1):
        for key in controller.caches.services():
            started = thread_time()
            await controller.reconciler.run(key)
            if number:
                looking.append((thread_time() - started) * 1e3)
    return _summary(looking, 0)


async def _resync(controller: Controller) -> dict[str, float]:
    """CPU seconds of looking at every service once, beside what it takes for a service of which nothing is remembered."""
    every = list(controller.caches.services())
    sampled = _sample(every)

    async def looked_at(keys: Sequence[ObjectKey]) -> float:
        used = 0.0
        for key in keys:
            started = thread_time()
            await controller.reconciler.run(key)
            used += thread_time() - started
        return used

    remembered: list[float] = []
    forgotten: list[float] = []
    for _ in range(_RESYNCS):
        remembered.append(await looked_at(every))
        for key in sampled:
            state = controller.states.of(key)
            state.at_rest, state.memo = None, Memo()
        forgotten.append(await looked_at(sampled) / len(sampled))
    pass_, whole = (machine.quantile(found, 0.5) for found in (remembered, forgotten))
    return {
        "cpu_s": round(pass_, 4),
        "sampled": len(sampled),
        "forgotten_ms": round(whole * 1e3, 3),
        "of_forgotten": round(pass_ / len(every) / whole, 4),
    }


def _sample(keys: Sequence[ObjectKey]) -> Sequence[ObjectKey]:
    """At most so many as whole plans are timed on, in even steps."""
    most = min(len(keys), _SAMPLED)
    return [keys[number * len(keys) // most] for number in range(most)]


async def _read_ahead(
    controller: Controller, keys: Sequence[ObjectKey], live: LiveReads, decoded: Decoded
) -> None:
    """What nobody watches is read before anything is timed, as a reconcile does before its plan is whole."""
    for key in keys:
        while True:
            view = _view(controller, live, decoded, key)
            _plan(controller, view, key)
            if view.trial is not None:
                await controller.reconciler.converger.trials.ask(key, view.trial)
            elif not view.demands:
                break
            await live.fetch(view.demands)


def _view(controller: Controller, live: LiveReads, decoded: Decoded, key: ObjectKey) -> CacheObservation:
    trials = controller.reconciler.converger.trials
    return CacheObservation(key, controller.caches, controller.discovery.served, live, decoded, trials=trials)


def _plan(controller: Controller, view: CacheObservation, key: ObjectKey) -> Plan:
    cached = controller.caches.service(key)
    if cached is None:
        raise LookupError(f"{key} is not in the cache")
    return order.plan(Overlay(view, {}), cached.decode(), controller.policy, controller.clock.now())


def _summary(milliseconds: list[float], writes: float) -> dict[str, float]:
    return {
        "median_ms": round(machine.quantile(milliseconds, 0.5), 3),
        "p99_ms": round(machine.quantile(milliseconds, 0.99), 3),
        "writes": writes,
    }


SCENARIO: Final = Scenario(
    name="plan",
    what="what a worker does without waiting: read, plan and conclude one service, fresh, settled, and with nothing new",
    measures="CPU time of each plan, status and look.",
    judged_by="CPU time of the thread only, so that other processes are not in it, beside a fixed work unit.",
    run=run,
    parameters=[
        Parameter("services", 30, "how many there are", least=1),
        Parameter("rounds", 20, "how often each is planned", least=1),
    ],
    seed=0,
    expectations=[
        Expectation("a look at what is not new, by plan and status of a settled one", at("nothing_new", "of_a_whole_one"), 0.1, Unit.TIMES),
        Expectation("a resync of all, by one with nothing remembered", at("resync", "of_forgotten"), 0.1, Unit.TIMES),
        Expectation("plan of one with all children", in_units(at("fresh", "plan", "median_ms"), scale=1e-3), 5, Unit.WORK_UNITS),
        Expectation("plan of a settled one", in_units(at("settled", "plan", "median_ms"), scale=1e-3), 7.5, Unit.WORK_UNITS),
    ],
    not_elsewhere="it is timed within one process on the embedded cluster, in virtual time",
)  # fmt: skip
