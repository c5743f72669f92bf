"""A catalogue of what goes wrong between a controller and its API server, and a fleet that is created while it does.

`play` creates services on the embedded cluster in virtual time, half of them at once and the others one after the other,
while the misfortunes happen for a minute, and waits until nothing is written any more. The controller must lose no service,
move none back, lose no request that it need not lose, and write little more than on a good day.
"""

import itertools
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import anyio

from aioctl.api import kinds, names
from aioctl.api.objects import Object, dig, key_of, namespace_of
from aioctl.controller.knobs import Knobs
from aioctl.kube.errors import AlreadyExists, KubeError
from aioctl.plan.policy import Strategy
from aioctl.sim import fleet
from aioctl.sim.dataplane import DataPlane
from aioctl.sim.errors import StatusError, conflict, plain_500, too_many_requests
from aioctl.sim.faults import Match
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.crashes import CountingWire, rest
from testbed.virtual_time import BEGIN, be_busy, run_virtual
from testbed.world import POLICY, World, condition, furnished, furniture

OURS: Final = "aioctl/"
LASTS: Final = 60.0
"""Virtual seconds of misfortune."""
_ARRIVALS: Final = 40.0
"""Virtual seconds in which the second half of a fleet is created, so that whatever happens meets services at every stage."""
_EVERY: Final = 5.0
_FOR_EVER: Final = 3600.0
"""Virtual seconds; longer than any client waits."""
_WATCHED: Final = (
    kinds.SERVICE, kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2, kinds.DEPLOYMENT, kinds.CORE_SERVICE, kinds.GATEWAY,
)  # fmt: skip
"""Kinds whose order matters to a migration."""

Misfortune = Callable[[World], Coroutine[Any, Any, None]]
"""Runs while the fleet is created; cancelled after `LASTS` seconds, when every fault of the cluster is taken away."""


@dataclass(frozen=True)
class Report:
    """How a fleet fared. `lost`, `moved_back`: services; `requests`: those that were lost for nothing; `recovery`: virtual seconds
    from the end of the misfortune to the last write; `tried`, `taken`: writes by the controller, and those that took effect and were
    answered; `broke`: why there is nothing to report."""

    lost: Sequence[str]
    moved_back: Sequence[str]
    requests: float
    tried: int
    taken: int
    recovery: float
    broke: str = ""


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
    """The first in the midst of the storm."""
    while True:
        await anyio.sleep(1.5)
        await world.cluster.restart(down_for=_EVERY)
        await anyio.sleep(2 * _EVERY)


async def _half_open(world: World) -> None:
    """Every connection dies and only the API server knows. What is sent on it is lost for three seconds; the watches that are
    open are silent for good, as a client learns only by its own deadline."""
    faults = world.cluster.faults
    while True:
        faults.abandon_watches(Match(client=OURS))
        hanging = faults.slow(Match(client=OURS), _FOR_EVER)
        await anyio.sleep(3.0)
        faults.remove(hanging)
        await anyio.sleep(4 * _EVERY)


async def _store_stops(world: World) -> None:
    """The store hangs for 20 seconds, for everybody; what was asked of it then happens after all. Once in the midst of the
    storm, and once until the misfortune ends."""
    for pause in (1.5, LASTS - 41.5):
        await anyio.sleep(pause)
        world.cluster.faults.halt_store()
        await anyio.sleep(20.0)
        world.cluster.faults.resume_store()


async def _reordering(world: World) -> None:
    """Each kind's changes come late, and each time another kind's are the latest: what was written first is seen last."""
    for shift in itertools.count():
        for place, kind in enumerate(_WATCHED):
            lag = (place + 3 * shift) % len(_WATCHED)
            world.cluster.faults.lag_watches(Match(resource=kind.resource, client=OURS), float(lag))
        await anyio.sleep(_EVERY)


async def _clock_jumps(world: World) -> None:
    """The controller's wall clock is a day ahead, right, an hour behind, and so on; its monotonic clock runs on."""
    for hours in itertools.cycle((24, 0, -1, 0, 1, -24)):
        world.clock.off_by = timedelta(hours=hours)
        await anyio.sleep(_EVERY)


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


MISFORTUNES: Final[Mapping[str, Misfortune]] = {
    "410": _every(_EVERY, _expire),
    "cut watches": _every(_EVERY, lambda world: world.cluster.faults.cut_watches(Match(client=OURS))),
    "silence": _silent,
    "lagging watches": _once(lambda world: world.cluster.faults.lag_watches(Match(client=OURS), 3.0)),
    "stale lists": _every(_EVERY, lambda world: world.cluster.freeze_reads(kinds.HTTP_ROUTE.resource, Match(client=OURS))),
    "duplicates": _once(lambda world: world.cluster.faults.repeat_watches(Match(client=OURS))),
    "reordering": _reordering,
    "409": _failing(conflict("objects", "", "it"), verb="update"),
    "429": _failing(too_many_requests(2)),
    "500": _failing(plain_500("etcdserver: request timed out")),
    "503 for a minute": _outage(StatusError(503, "ServiceUnavailable", "the server is currently unable to handle the request")),
    "slow answers": _once(lambda world: world.cluster.faults.slow(Match(client=OURS), 2.0)),
    "lost requests": _every(0.2, lambda world: world.cluster.faults.lose(Match(client=OURS), "before", first=3, times=1)),
    "lost answers": _every(0.2, lambda world: world.cluster.faults.lose(Match(client=OURS), "after", first=3, times=1)),
    "no discovery": _once(_undiscoverable),
    "writes that hang": _once(lambda world: world.cluster.faults.slow(Match(verb="create", client=OURS), 20.0, times=40)),
    "half-open connections": _half_open,
    "store stops": _store_stops,
    "API server restarts": _restarts,
    "clock jumps": _clock_jumps,
}  # fmt: skip
"""By name. Each lasts `LASTS` seconds."""


def play(which: Sequence[str], *, services: int, seed: int = 0, busy: bool = False) -> Report:
    """The fleet under these misfortunes at once; none: a good day. `busy`: on a machine that is slow, and stands still at times."""
    furniture()  # not in the midst of what is drawn
    random.seed(seed)  # clients draw the length of their pauses

    async def live() -> Report:
        if busy:
            be_busy(random.Random(seed))  # noqa: S311  moments, no secrets
        return await _live([MISFORTUNES[name] for name in which], services, random.Random(seed))  # noqa: S311

    return run_virtual(live)


async def _live(which: Sequence[Misfortune], services: int, dice: random.Random) -> Report:
    async with furnished(start=BEGIN.timestamp()) as world, anyio.create_task_group() as group:
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
                began = anyio.current_time()
                for number, service in enumerate(wanted):
                    await _created(world, service)
                    apart = 1.0 if number < services // 2 else _ARRIVALS * 2
                    await anyio.sleep(apart * 2 * dice.random() / services)
                await anyio.sleep_until(began + LASTS)
                trouble.cancel_scope.cancel()
            clear(world)
            healed = anyio.current_time()
            last = await rest(world)
        lost = [str(key_of(service)) for service in wanted if not await _is_done(world, service)]
        group.cancel_scope.cancel()
    return Report(
        lost, plane.bad_moves, plane.lost_for_nothing, wire.tried, wire.taken, max(0.0, last - healed)
    )


async def _created(world: World, service: Object) -> None:
    """By a user who tries again until it is there."""
    while True:
        try:
            await world.user.create(fleet.kind_of(service), namespace_of(service), service)
        except AlreadyExists:
            return  # an answer was lost
        except KubeError:
            await anyio.sleep(1.0)
        else:
            return


def clear(world: World) -> None:
    """Takes every misfortune away."""
    faults = world.cluster.faults
    faults.rules.clear()
    faults.heal(OURS)
    for match in list(faults.lags):
        faults.lag_watches(match, 0.0)
    for match in list(faults.repeated):
        faults.repeat_watches(match, on=False)
    faults.resume_store()
    world.clock.off_by = timedelta()
    world.cluster.thaw_reads(kinds.HTTP_ROUTE.resource)


async def _is_done(world: World, service: Object) -> bool:
    """Ready, and its route carries the lock."""
    key = key_of(service)
    found = await world.find(kinds.SERVICE, key.name, key.namespace)
    route = await world.find(kinds.HTTP_ROUTE, names.route_name(key.name), key.namespace)
    return condition(found, "Ready")[0] == "True" and bool(
        dig(route, "metadata", "annotations", names.MIGRATED)
    )
