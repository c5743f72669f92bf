"""A process that lives for days while services come and go: what of it grows?

`play` lets one controller work on the embedded cluster in virtual time. In each round a few new services are created, migrate,
are edited and deleted; at the end of a round nothing is left to do. Then everything that the process holds is as large as
it was a round before, or it would grow for ever. Two measures: the entries of every container that can be reached from the
controller and its metrics, by where it hangs; and the memory that the program's own lines have allocated.
"""

import gc
import tracemalloc
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.objects import name_of
from aioctl.controller.knobs import Knobs
from aioctl.kube.client import Client
from aioctl.kube.events import REMEMBERED
from aioctl.sim import fleet
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import BEGIN, allow_cpu, run_virtual
from testbed.world import NAMESPACE, World, furnished

ROUND: Final = 600.0
"""Virtual seconds of a round: longer than any look, wait or watch of a settled service."""
LIVE: Final = 240.0
"""Of these, how long the services live."""
_SHAPES: Final = 12
"""The fleet's shapes come again after so many services."""
_CONTAINERS: Final = (dict, list, set, frozenset, tuple, deque)
_OURS: Final = (tracemalloc.Filter(True, "*/aioctl/*"), tracemalloc.Filter(False, "*/aioctl/sim/*"))
BOUNDED: Final[Mapping[str, int]] = {"Controller.recorder._known": REMEMBERED}
"""Containers that fill up and then stay so large: by path, the most entries."""
_CPU_PER_ROUND: Final = 60.0


@dataclass(frozen=True)
class Sample:
    """At the end of a round. `entries`: of containers, by where they hang; `traced`: bytes, 0 where nothing was traced."""

    entries: Mapping[str, int]
    traced: int


def play(
    rounds: int, *, services: int = 3, traced: bool = False, told: Callable[[int], object] = lambda _: None
) -> list[Sample]:
    """A sample for each round; `told` hears of each. `traced` costs three times the time."""
    return run_virtual(lambda: _live(rounds, services, traced, told))


async def _live(rounds: int, services: int, traced: bool, told: Callable[[int], object]) -> list[Sample]:
    allow_cpu(_CPU_PER_ROUND * rounds)
    samples = []
    async with furnished(start=BEGIN.timestamp()) as world, anyio.create_task_group() as group:
        client, stamp = player_client(world.cluster), world.cluster.core.clock.stamp
        group.start_soon(GatewayPlayer(client, stamp=stamp, default=GatewayScript(delay=0.5)).run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        async with world.running(world.controller(knobs=Knobs())) as controller:
            if traced:
                tracemalloc.start()
            try:
                for number in range(rounds):
                    await _round(world, number, services)
                    samples.append(_sample((controller, world.metrics), traced=traced))
                    told(number + 1)
            finally:
                tracemalloc.stop()
        group.cancel_scope.cancel()
    return samples


async def _round(world: World, number: int, services: int) -> None:
    began = anyio.current_time()
    made = [fleet.service(number * _SHAPES + index, namespace=NAMESPACE) for index in range(services)]
    for service in made:
        await world.user.create(fleet.kind_of(service), NAMESPACE, service)
    await anyio.sleep_until(began + LIVE / 2)
    for service in made:
        await world.user.patch(
            kinds.SERVICE, NAMESPACE, name_of(service), {"spec": {"replicas": number % 3 + 1}}
        )
    await anyio.sleep_until(began + LIVE)
    for service in made:
        await world.user.delete(kinds.SERVICE, NAMESPACE, name_of(service))
    await anyio.sleep_until(began + ROUND)


def _sample(roots: Sequence[Any], *, traced: bool) -> Sample:
    gc.collect()
    if not traced:
        return Sample(entries(roots), 0)
    found = tracemalloc.take_snapshot().filter_traces(_OURS)
    return Sample(entries(roots), sum(each.size for each in found.statistics("filename")))


def entries(roots: Sequence[Any]) -> Counter[str]:
    """How many entries the containers have that can be reached, by path: attributes by name, all entries of one container alike.

    The API server's side is not followed: it is the cluster's business what it remembers.
    """
    found: Counter[str] = Counter()
    seen: set[int] = set()
    ahead: deque[tuple[str, Any]] = deque((type(root).__name__, root) for root in roots)
    while ahead:
        path, value = ahead.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, _CONTAINERS):
            found[path] += len(value)
            inside = (*value.keys(), *value.values()) if isinstance(value, dict) else tuple(value)
            ahead.extend((f"{path}[]", each) for each in inside if _is_followed(each))
        else:
            ahead.extend((f"{path}.{name}", each) for name, each in _attributes(value) if _is_followed(each))
    return found


def _is_followed(value: Any) -> bool:
    if isinstance(value, _CONTAINERS):
        return True
    module = type(value).__module__
    return module.startswith(("aioctl.", "prometheus_client")) and not module.startswith("aioctl.sim")


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Client | type):
        return
    names = {name for base in type(value).__mro__ for name in getattr(base, "__slots__", ())}
    for name in (*names, *getattr(value, "__dict__", ())):
        if (found := getattr(value, name, None)) is not None:
            yield name, found


def grown(before: Sample, after: Sample, *, rounds: int) -> list[str]:
    """What has grown in so many rounds, in words: by half an entry a round or more, or by a twentieth of its memory."""
    found = [
        f"{path}: {before.entries.get(path, 0)} entries became {count}"
        for path, count in sorted(after.entries.items())
        if _has_grown(path, before.entries.get(path, 0), count, rounds)
    ]
    if after.traced > before.traced * 1.05:
        found.append(f"{before.traced / 1e6:.2f} MB became {after.traced / 1e6:.2f}")
    return found


def _has_grown(path: str, before: int, after: int, rounds: int) -> bool:
    for place, most in BOUNDED.items():
        if path == place:
            return after > most
        if path.startswith(f"{place}[]"):
            return False
    return after - before >= max(2, rounds / 2)
