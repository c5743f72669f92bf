"""A small fleet on the embedded cluster for the operator's commands, and the way in that a command has."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.sim.backup import Backup
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import BEHAVIOURS, Behaviour, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from aioctl.tools.access import Access
from aioctl.tools.connect import Connection
from aioctl.tools.look import Look
from aioctl.tools.session import Session
from aioctl.tools.snapshot import Snapshot
from testbed.world import (
    LONG_AGO,
    NAMESPACE,
    POLICY,
    SETTLED,
    World,
    beforehand,
    condition,
    furnished,
    plain_service,
)

ROUTED: dict[str, Any] = {"router": {"gateway": {}, "route": {}, "scheduler": {}}}


SEVEN = 7
"""Replicas of a Deployment none of which ever is ready."""
UNPROGRAMMED = ObjectKey(NAMESPACE, "another")
"""A gateway of this name is never Programmed."""


def _never_ready(obj: Any) -> bool:
    """A Deployment that asks for that, with seven replicas."""
    return bool(obj["spec"].get("replicas") == SEVEN)


@asynccontextmanager
async def fleet(
    *,
    behaviour: str | Behaviour = "both",
    workloads: bool = True,
    knobs: Knobs | None = None,
    prepare: Callable[[Controller], None] = lambda _: None,
    at_rest: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[World]:
    """A furnished world with players and a running controller; `prepare` gets it before it starts. It begins with the
    services `at_rest`, as `ready` leaves them, which have long been so; the controller and the players have met them anew."""
    if at_rest:
        options["backup"] = _rested(at_rest)
    async with furnished(**options) as stage, anyio.create_task_group() as group:
        stamp = stage.cluster.core.clock.stamp
        players = player_client(stage.cluster)
        group.start_soon(
            GatewayPlayer(
                players,
                default=GatewayScript(BEHAVIOURS[behaviour] if isinstance(behaviour, str) else behaviour),
                scripts={UNPROGRAMMED: GatewayScript(is_programmed=False)},
                stamp=stamp,
            ).run
        )
        if workloads:
            group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp, fails=_never_ready).run)
        controller = stage.controller(knobs=knobs)
        prepare(controller)
        async with stage.running(controller):
            if at_rest:
                await anyio.sleep(SETTLED)
            yield stage
        group.cancel_scope.cancel()


@cache
def _rested(services: tuple[str, ...]) -> Backup:
    return beforehand(_rest, services)


async def _rest(services: tuple[str, ...]) -> Backup:
    async with fleet(start=LONG_AGO) as stage:
        for name in services:
            await ready(stage, name)
        return Backup.of(stage.cluster.core)


async def ready(stage: World, name: str = "one") -> None:
    """A service is made, and is Ready and migrated when this returns."""
    await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name, **ROUTED))

    async def settled() -> bool:
        return condition(await stage.find(kinds.SERVICE, name), "Ready")[0] == "True"

    await stage.until(settled)
    await anyio.sleep(5)


async def until_condition(
    stage: World, type_: str, wanted: Callable[[tuple[str, str, str]], bool], name: str = "one"
) -> None:
    """Waits until a condition of the service is as wanted."""

    async def holds() -> bool:
        return wanted(condition(await stage.find(kinds.SERVICE, name), type_))

    await stage.until(holds)


def connection(stage: World, namespace: str = NAMESPACE) -> Connection:
    """What a command gets when it has connected."""
    return Connection(stage.user, "https://stage", namespace)


async def looks(
    stage: World, name: str = "", *, namespace: str = NAMESPACE, **access: Any
) -> tuple[Snapshot, list[Look]]:
    """What `aioctl status` looks at."""
    return await Session(connection(stage, namespace), Access(**access), POLICY).looks(name)


Plant = Callable[[World], Awaitable[None]]
