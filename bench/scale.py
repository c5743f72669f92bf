"""`python -m bench scale`: what does a service cost when there are ten times as many, and ten times more?

Each size is a storm without pacing on a cluster of its own; cost per service against the number of services is the plot. With
`--virtual N ...` such fleets live on the embedded cluster in virtual time and without sockets as well, each in one process. Costs
there are the controller's, the players' and the cluster's together.
"""

import argparse
import asyncio
import math
import resource
from collections.abc import Mapping, Sequence
from time import process_time
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.names import MIGRATED
from aioctl.api.objects import dig
from aioctl.controller.knobs import Knobs
from aioctl.controller.progress import ProgressObserver, ProgressObservers
from aioctl.plan.migration import Decision, State
from aioctl.sim.players.following import listed, player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from bench import bar, ending, lives, machine, report
from bench.plan import fill
from bench.report import Plot
from bench.scenario import CannotRun, Expectation, Parameter, Result, Scenario, Tree, Unit
from bench.stage import parameters, stage, until_still
from bench.storm import create_fleet, storm
from testbed.virtual_time import VirtualTimeLoop, run_virtual
from testbed.world import World, world

_HISTORY: Final = 5_000
"""Changes that a watch can look back: all that a watch in the same process needs, and a tenth of what a fleet would fill."""
_VIRTUAL_MB: Final = 0.6
"""Memory of a service, its children and their events in cluster and controller, measured with 1,000 services."""
_VIRTUAL_LOOK, _VIRTUAL_PATIENCE = 20.0, 20
"""Virtual seconds between two looks, and looks without news after which the rest counts as lost."""


def run(options: argparse.Namespace) -> Result:
    _fits(options.virtual)
    options.rate = 0.0 if options.rate is None else options.rate
    options.stagger = 0.0 if options.stagger is None else options.stagger
    sizes: list[Tree] = []
    measuring: Tree = {"client_saturated": False, "observations_expected": 0, "observations_missed": 0}
    plots: list[Plot] = []
    for size in options.sizes:
        one = argparse.Namespace(**{**vars(options), "services": size})
        result = ending.run(_storm, one)
        sizes.append(_kept(result.figures))
        plots += [
            Plot(f"{size}: {plot.title}", plot.x, plot.y, plot.values, plot.lines)
            for plot in result.plots[:1]
        ]
        measuring["client_saturated"] |= result.measuring["client_saturated"]
        for name in ("observations_expected", "observations_missed"):
            measuring[name] += result.measuring[name]
    virtual = [_alone(size, options.seed) for size in options.virtual]
    figures: Tree = {
        "settings": {"AIOCTL_POOL_CREATE_RATE": options.rate, "AIOCTL_POOL_STAGGER": options.stagger},
        "sizes": sizes,
        "virtual": virtual,
    }
    return Result(figures, _rows(sizes, virtual), [*_against_size(sizes, virtual), *plots], measuring)


async def _storm(options: argparse.Namespace) -> Result:
    async with stage(options) as place, place.controller() as pid:
        await place.presets()
        await until_still(place.counting)
        result, _ = await storm(place, pid, lambda client, witness: create_fleet(client, witness, options))
        return result


def _kept(figures: Mapping[str, Any]) -> Tree:
    memory = figures["memory_mb"]
    return {
        "services": figures["services"],
        "services_lost": figures["services_lost"],
        "conversion_failures": figures["conversions"]["failures"],
        "migrated_all_s": figures["migrated"]["all_s"],
        "cpu_s_per_service": figures["cpu_s_per_service"],
        "calls_per_service": figures["calls_per_service"]["without_events"],
        "conversions_per_service": figures["conversions"]["per_service"],
        "memory_mb_per_1000": round((memory["peak"] - memory["before"]) / figures["services"] * 1000, 1),
    }


def _fits(sizes: Sequence[int]) -> None:
    """Raises CannotRun: a fleet that is too large would be killed after hours."""
    free = machine.available_mb()
    if too_large := [size for size in sizes if size * _VIRTUAL_MB > free]:
        raise CannotRun(
            f"--virtual {too_large[0]}: cluster and controller in one process take about {_VIRTUAL_MB:g} MB a service,"
            f" and {free:.0f} MB are free here: at most {int(free / _VIRTUAL_MB)} services"
        )


def _alone(services: int, seed: int) -> Tree:
    """In a process of its own: what an earlier fleet left would be taken for memory that this one did not need."""
    with lives.processes(1, lived) as process:
        return process.submit(lived, services, seed).result()


def lived(services: int, seed: int) -> Tree:
    """One fleet in virtual time in this process."""
    return run_virtual(_virtual, services, seed)


async def _virtual(services: int, seed: int) -> Tree:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)  # noqa: S101
    loop.cpu_deadline = math.inf  # a fleet may take hours
    before = _resident()
    began = process_time()
    async with world(history=_HISTORY) as place, anyio.create_task_group() as group:
        controller = place.controller(knobs=Knobs(pool_create_rate=0, pool_stagger=0))
        moved = _Moved()
        controller.reconciler.progress = ProgressObservers(controller.reconciler.progress, moved)
        players, stamp = player_client(place.cluster), place.cluster.core.clock.stamp
        await group.start(controller.recorder.run)
        await group.start(controller.watch)
        await group.start(controller.work)
        group.start_soon(GatewayPlayer(players, stamp=stamp).run)
        group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)
        with bar.shown("migrated", moved.count, services):
            await fill(place, services, seed)
            migrated = quiet = 0
            while migrated < services and quiet < _VIRTUAL_PATIENCE:
                await anyio.sleep(_VIRTUAL_LOOK)
                now = await _migrated(place)
                quiet = 0 if now > migrated else quiet + 1
                migrated = now
        used, virtual = process_time() - began, loop.time()
        errors = place.failed_reconciles()
        group.cancel_scope.cancel()
    return {
        "services": services,
        "services_lost": services - migrated,
        "failed_reconciles": errors,
        "virtual_seconds": round(virtual),
        "cpu_s": round(used, 1),
        "cpu_s_per_service": round(used / services, 4),
        "memory_mb_per_1000": round((_resident() - before) / services * 1000, 1),
    }


async def _migrated(place: World) -> int:
    """As users see it."""
    found = await listed(place.user, kinds.HTTP_ROUTE)
    return sum(dig(each, "metadata", "annotations", MIGRATED) == "v1" for each in found[0]) if found else 0


class _Moved(ProgressObserver):
    """Services that their controller has moved, which costs no look at the cluster."""

    def __init__(self) -> None:
        self._keys: set[ObjectKey] = set()

    def observed(self, service: ObjectKey, decision: Decision, gateways: frozenset[str]) -> None:
        if decision.state is State.MIGRATED:
            self._keys.add(service)

    def count(self) -> int:
        return len(self._keys)


def _resident() -> float:
    """The peak, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _against_size(sizes: Sequence[Tree], virtual: Sequence[Tree]) -> list[Plot]:
    every = sorted({each["services"] for each in (*sizes, *virtual)})

    def line(some: Sequence[Tree], name: str) -> list[float | None]:
        found = {each["services"]: each[name] for each in some}
        return [found.get(size) for size in every]

    def plot(title: str, unit: str, name: str, *, is_virtual: bool) -> Plot:
        lines = {"processes": line(sizes, name)}
        if is_virtual and virtual:
            lines["in virtual time, cluster included"] = line(virtual, name)
        return Plot(title, "services", unit, every, lines, is_log=True)

    return [
        plot("CPU per service", "seconds", "cpu_s_per_service", is_virtual=True),
        plot("API calls per service, without events", "calls", "calls_per_service", is_virtual=False),
        plot("Memory beyond idle, for each 1,000 services", "MB", "memory_mb_per_1000", is_virtual=True),
    ]


def _rows(sizes: Sequence[Tree], virtual: Sequence[Tree]) -> list[report.Row]:
    rows = [
        (
            f"{each['services']} services",
            ", ".join(
                (
                    f"all migrated after {each['migrated_all_s']} s",
                    f"each {each['cpu_s_per_service']} s of CPU",
                    f"{each['calls_per_service']} calls, {each['conversions_per_service']} conversions",
                    f"{each['memory_mb_per_1000']} MB for each 1,000",
                )
            ),
        )
        for each in sizes
    ]
    rows += [
        (
            f"{each['services']} in virtual time",
            ", ".join(
                (
                    f"{each['services_lost']} lost, {each['failed_reconciles']:g} reconciles failed",
                    f"each {each['cpu_s_per_service']} s of CPU, cluster included",
                    f"{each['memory_mb_per_1000']} MB for each 1,000",
                    f"{each['virtual_seconds']} virtual s in {each['cpu_s']} s",
                )
            ),
        )
        for each in virtual
    ]
    return rows


def _by_first(name: str) -> Any:
    """The dearest size by the first one, of processes or of virtual time; 1 where there is one only, or none that counts it."""

    def measure(result: Mapping[str, Any]) -> float:
        whole = [
            [each[name] for each in some if name in each] for some in (result["sizes"], result["virtual"])
        ]
        return float(max((max(found) / found[0] for found in whole if found), default=1.0))

    return measure


def _sum(name: str) -> Any:
    return lambda result: sum(each.get(name, 0) for each in (*result["sizes"], *result["virtual"]))


SCENARIO: Final = Scenario(
    name="scale",
    what="fleets of 100, 1,000 and 10,000 services, each created at once without pacing: what does each service cost?",
    measures="CPU, API calls, conversions and memory for each service, against the number of services.",
    judged_by="as a storm; sizes follow each other in one run, so that they share the machine's day.",
    run=run,
    parameters=[
        Parameter("sizes", (100, 1000, 10000), "fleets, each on a cluster of its own", least=1),
        Parameter("virtual", (), "fleets in virtual time, without sockets; memory sets the limit", kind=int, least=1),
        *(each for each in parameters(services=0, timeout=7200) if each.name != "services"),
    ],
    seed=0,
    expectations=[
        Expectation("services that did not migrate", _sum("services_lost"), 0),
        Expectation("conversions that failed", _sum("conversion_failures"), 0),
        Expectation("CPU of a service, the dearest size by the first", _by_first("cpu_s_per_service"), 1.3, Unit.TIMES),
        Expectation("calls of a service, the dearest size by the first", _by_first("calls_per_service"), 1.2, Unit.TIMES),
    ],
    has_versus=True,
)  # fmt: skip
