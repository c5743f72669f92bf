"""A catalogue of what goes wrong between a controller and its API server, and a fleet that is created while it does.

`play` creates services on the embedded cluster in virtual time, lets the misfortunes happen from the first second on for a
minute, and waits until nothing is written any more. The controller must lose no service, move none back, lose no request
that it need not lose, and write little more than on a good day.
"""

import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio

from aioctl.api import kinds, names
from aioctl.api.objects import Object, dig, key_of, namespace_of
from aioctl.controller.knobs import Knobs
from aioctl.plan.model import Strategy
from aioctl.sim import fleet
from aioctl.sim.dataplane import DataPlane
from aioctl.sim.errors import StatusError, conflict, plain_500, too_many_requests
from aioctl.sim.faults import Match
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.crashes import CountingWire, rest
from testbed.virtual_time import run_virtual
from testbed.world import POLICY, World, condition, furnished

OURS = "aioctl/"
LASTS = 60.0
"""Virtual seconds of misfortune; the fleet is created in the first of them."""
_EVERY = 5.0

Misfortune = Callable[[World], Coroutine[Any, Any, None]]
"""Runs while the fleet is created; cancelled after `LASTS` seconds, when every fault of the cluster is taken away."""


@dataclass(frozen=True)
class Report:
    """How a fleet fared. `lost`, `moved_back`: services; `requests`: those that were lost for nothing; `recovery`: virtual seconds
    from the end of the misfortune to the last write; `tried`, `taken`: writes by the controller, and those that took effect and were
    answered."""

    lost: Sequence[str]
    moved_back: Sequence[str]
    requests: float
    tried: int
    taken: int
    recovery: float


def _failing(error: StatusError, *, verb: str = "", share: int = 3) -> Misfortune:
    """Every third call, or another share, is answered with that error."""

    async def play(world: World) -> None:
        count = 0
        faults = world.cluster.faults
        while True:
            count += 1
            faults.fail(Match(verb=verb, client=OURS), error, first=share, times=1)
            await anyio.sleep(0.05)

    return play


def _outage(error: StatusError) -> Misfortune:
    """Nothing else is answered at all."""

    async def play(world: World) -> None:
        world.cluster.faults.fail(Match(client=OURS), error, times=0)
        await anyio.sleep_forever()

    return play


def _every(seconds: float, do: Callable[[World], object]) -> Misfortune:
    async def play(world: World) -> None:
        while True:
            do(world)
            await anyio.sleep(seconds)

    return play


def _once(do: Callable[[World], object]) -> Misfortune:
    async def play(world: World) -> None:
        do(world)
        await anyio.sleep_forever()

    return play


async def _silent(world: World) -> None:
    """Watches stay open and say nothing; calls fail as on a half-open connection. Ten seconds in fifteen."""
    while True:
        world.cluster.faults.partition(OURS)
        await anyio.sleep(2 * _EVERY)
        world.cluster.faults.heal(OURS)
        await anyio.sleep(_EVERY)


async def _restarts(world: World) -> None:
    while True:
        await anyio.sleep(2 * _EVERY)
        await world.cluster.restart(down_for=_EVERY)


def _undiscoverable(world: World) -> None:
    for kind in (
        kinds.HTTP_ROUTE,
        kinds.GATEWAY,
        kinds.POOL_V1,
        kinds.POOL_V1ALPHA2,
        kinds.LEADER_WORKER_SET,
    ):
        document = Match(resource=f"/apis/{kind.api_version}", client=OURS)
        world.cluster.faults.fail(document, plain_500("the aggregator is busy"), times=0)


def _expire(world: World) -> None:
    """History is forgotten and watches end, so that they come back to a 410."""
    world.cluster.compact()
    world.cluster.faults.cut_watches(Match(client=OURS))


MISFORTUNES: Mapping[str, Misfortune] = {
    "410": _every(_EVERY, _expire),
    "cut watches": _every(_EVERY, lambda world: world.cluster.faults.cut_watches(Match(client=OURS))),
    "silence": _silent,
    "lagging watches": _once(lambda world: world.cluster.faults.lag_watches(Match(client=OURS), 3.0)),
    "stale lists": _every(_EVERY, lambda world: world.cluster.freeze_reads(kinds.HTTP_ROUTE.resource, Match(client=OURS))),
    "409": _failing(conflict("objects", "", "it"), verb="update"),
    "429": _failing(too_many_requests(2)),
    "500": _failing(plain_500("etcdserver: request timed out")),
    "503 for a minute": _outage(StatusError(503, "ServiceUnavailable", "the server is currently unable to handle the request")),
    "slow answers": _once(lambda world: world.cluster.faults.slow(Match(client=OURS), 2.0)),
    "lost requests": _every(0.2, lambda world: world.cluster.faults.lose(Match(client=OURS), "before", first=3, times=1)),
    "lost answers": _every(0.2, lambda world: world.cluster.faults.lose(Match(client=OURS), "after", first=3, times=1)),
    "no discovery": _once(_undiscoverable),
    "writes that hang": _once(lambda world: world.cluster.faults.slow(Match(verb="create", client=OURS), 20.0, times=40)),
    "API server restarts": _restarts,
}  # fmt: skip
"""By name. Each lasts `LASTS` seconds."""


def play(which: Sequence[str], *, services: int, seed: int = 0) -> Report:
    """The fleet under these misfortunes at once; none: a good day."""
    return run_virtual(lambda: _live([MISFORTUNES[name] for name in which], services, random.Random(seed)))  # noqa: S311  moments, no secrets


async def _live(which: Sequence[Misfortune], services: int, dice: random.Random) -> Report:
    async with furnished() as world, anyio.create_task_group() as group:
        plane = DataPlane(world.cluster)
        stamp = world.cluster.core.clock.stamp
        client = player_client(world.cluster)
        group.start_soon(GatewayPlayer(client, stamp=stamp).run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        wire = CountingWire(world.cluster)
        policy = replace(POLICY, strategy=Strategy.AUTO)
        async with world.running(world.controller(policy=policy, knobs=Knobs(), wire=wire)):
            async with anyio.create_task_group() as trouble:
                for misfortune in which:
                    trouble.start_soon(misfortune, world)
                wanted = fleet.services(services)
                for service in wanted:
                    await world.user.create(fleet.kind_of(service), namespace_of(service), service)
                    await anyio.sleep(dice.random() / services)
                await anyio.sleep(LASTS)
                trouble.cancel_scope.cancel()
            _clear(world)
            healed = anyio.current_time()
            last = await rest(world)
        lost = [str(key_of(service)) for service in wanted if not await _is_done(world, service)]
        group.cancel_scope.cancel()
    return Report(
        lost, plane.bad_moves, plane.lost_for_nothing, wire.tried, wire.taken, max(0.0, last - healed)
    )


def _clear(world: World) -> None:
    faults = world.cluster.faults
    faults.rules.clear()
    faults.heal(OURS)
    faults.lag_watches(Match(client=OURS), 0.0)
    world.cluster.thaw_reads(kinds.HTTP_ROUTE.resource)


async def _is_done(world: World, service: Object) -> bool:
    """Ready, and its route carries the lock."""
    key = key_of(service)
    found = await world.find(kinds.SERVICE, key.name, key.namespace)
    route = await world.find(kinds.HTTP_ROUTE, names.route_name(key.name), key.namespace)
    return condition(found, "Ready")[0] == "True" and bool(
        dig(route, "metadata", "annotations", names.MIGRATED)
    )
