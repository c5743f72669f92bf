"""Services on real Envoy Gateway. Alone it serves no InferencePool, and is not blamed on anything else; with v1 InferencePools as backends
of an extension, as Envoy AI Gateway has it configured, services move.

Rules: MIG-3, MIG-7, ROUTE-5.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import dig, name_of
from aioctl.sim.players.following import listed
from testbed.real.build import Assets
from testbed.real.gateways import ENVOY_CONTROLLER, ENVOY_NAMESPACE, alongside, envoy_gateway
from tests.real_gateways.ground import (
    BOTH,
    GATEWAY,
    Class,
    Ground,
    carried,
    give_address,
    is_locked,
    named,
    play,
    played_gateway,
    pool_statuses,
)

pytestmark = pytest.mark.gateways

ENVOY = Class("eg", ENVOY_CONTROLLER, ENVOY_NAMESPACE)
MOVING = ("auto", "weighted", "swap")
"""Strategies under which traffic follows the gateway."""
EVERY = (*MOVING, "hold")
UNPOOLED: dict[str, object] = {"route": {}, "gateway": {}}
"""No scheduler: the route leads to the workload's Service."""


@asynccontextmanager
async def controller(made: Ground, *, extension: bool = False) -> AsyncIterator[None]:
    """Envoy Gateway, and a cloud that gives its proxies' Services an address."""

    async def addresses() -> None:
        while True:
            found = await listed(made.user, kinds.CORE_SERVICE)
            for service in found[0] if found else ():
                waits = dig(service, "spec", "type") == "LoadBalancer" and not dig(
                    service, "status", "loadBalancer"
                )
                if waits:
                    await give_address(made.user, ENVOY_NAMESPACE, name_of(service))
            await anyio.sleep(0.2)

    process = envoy_gateway(made.cluster, made.kubectl, extension=extension)
    async with alongside(process), anyio.create_task_group() as group:
        group.start_soon(addresses)
        yield
        group.cancel_scope.cancel()


async def until_none_is_served(made: Ground) -> None:
    """Until every service that may move says which gateway serves neither generation, and what to do; none is locked."""
    for strategy in MOVING:
        message = await made.until(strategy, "InferencePoolMigration", "False", "GatewayServesNoPool")
        assert GATEWAY in message
        assert "Envoy AI Gateway" in message
        assert not any(map(is_locked, made.revisions(strategy)))


async def until_moved(made: Ground) -> None:
    """Until everything that may move is on v1, resolved at last and never back; what may not says that it is not ready."""
    for strategy in MOVING:
        await made.until_on(strategy, POOL_GROUP_V1, locked=True)
    for strategy in ("auto", "swap"):
        await made.until(strategy, "HTTPRoutesReady", "True")
    await made.until_refused("hold")
    for strategy in MOVING:
        after = [each for each in made.revisions(strategy) if is_locked(each)]
        assert {frozenset(carried(each)) for each in after} == {frozenset({POOL_GROUP_V1})}
    for strategy in ("auto", "swap"):
        assert made.lost(strategy) == []


async def until_ready(made: Ground) -> None:
    """Until everything is ready, on v1 and locked; what was resolved once was never refused again."""
    for strategy in EVERY:
        await made.until_on(strategy, POOL_GROUP_V1, locked=True)
        await made.until(strategy, "Ready", "True")
        assert made.lost(strategy) == []


@pytest.mark.parametrize(
    "pools",
    [frozenset({POOL_GROUP_V1}), frozenset({POOL_GROUP_V1ALPHA2}), BOTH],
    ids=["v1", "v1alpha2", "both"],
)
def test_created(assets: Assets, tmp_path: Path, pools: frozenset[str]) -> None:
    """What it serves is ready; what it does not says so, and names nothing that is absent. With the extension services on v1 get
    ready, and the others move."""

    async def story(made: Ground) -> None:
        async with controller(made):
            await made.create("unpooled", router=UNPOOLED)
            for strategy in EVERY:
                await made.create(strategy, strategy)
            await made.until("unpooled", "Ready", "True")
            for strategy in EVERY:
                await made.until_refused(strategy)
            if pools == BOTH:
                await until_none_is_served(made)
        if POOL_GROUP_V1 in pools:
            async with controller(made, extension=True):
                await (until_moved(made) if pools == BOTH else until_ready(made))
        assert made.refusals("unpooled") == []
        for strategy in EVERY:
            seen = made.revisions(strategy)
            assert {group for each in seen for group in named(each)} <= pools
            assert pools == BOTH or any(map(is_locked, seen)) is (pools == {POOL_GROUP_V1})

    play(assets, tmp_path, ENVOY, pools, story)


def test_it_replaces_a_gateway_that_served_v1alpha2(assets: Assets, tmp_path: Path) -> None:
    """Nothing moves to where nothing is served either, and what the gateway before it said of the pools hides nothing."""

    async def story(made: Ground) -> None:
        async with played_gateway(made.user, ENVOY, "v1alpha2-only"):
            for strategy in EVERY:
                await made.create(strategy, strategy)
                await made.until(strategy, "Ready", "True")
            planted = await pool_statuses(made, *EVERY)
        async with controller(made):
            for strategy in EVERY:
                await made.until_refused(strategy)
            await until_none_is_served(made)
        assert await pool_statuses(made, *EVERY) == planted

    play(assets, tmp_path, ENVOY, BOTH, story)


def test_it_replaces_a_gateway_that_served_v1(assets: Assets, tmp_path: Path) -> None:
    """Services that have moved say that they are not ready while it serves nothing, whoever accepted their pools before, and are
    ready once it serves v1: also where an idle reference to the other generation is refused for ever."""

    async def story(made: Ground) -> None:
        async with played_gateway(made.user, ENVOY, "istio"):
            for strategy in MOVING:
                await made.create(strategy, strategy)
            for strategy in MOVING:
                await made.until_on(strategy, POOL_GROUP_V1, locked=True)
                await made.until(strategy, "Ready", "True")
        async with controller(made):
            for strategy in MOVING:
                await made.until_refused(strategy)
        async with controller(made, extension=True):
            for strategy in MOVING:
                await made.until(strategy, "Ready", "True")
        for strategy in MOVING:
            after = [each for each in made.revisions(strategy) if is_locked(each)]
            assert {frozenset(carried(each)) for each in after} == {frozenset({POOL_GROUP_V1})}

    play(assets, tmp_path, ENVOY, BOTH, story)
