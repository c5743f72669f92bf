"""How often a status is written from a service's creation until it is Ready: once, where the cluster is quick enough (WEB-1).

Each write of a service costs conversions, so a status waits until it rests. Nobody waits long for a first word all the same: what
has not come within the usual second or two is told, and then Ready takes a second write.
"""

from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.objects import name_of, namespace_of
from aioctl.controller.knobs import Knobs
from aioctl.sim import fleet
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import virtual_time
from testbed.world import World, condition, furnished

FLEET = [fleet.service(number) for number in (0, 3, 4, 7, 8)]
"""One pod, prefill and decode, workers, adapters, a picker of its own; two of them v1alpha1."""
FIRST_WORD = 4.0
"""Seconds from a creation until something is said: pools and route each get the usual second of a gateway, and then it rests."""


def status_writes(stage: World) -> int:
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if client.startswith("aioctl/") and (verb, resource) == ("update", f"{kinds.SERVICE.resource}/status")
    )


async def readiness(stage: World, services: list[dict[str, Any]]) -> set[str]:
    """Of every service, empty where nothing is said yet."""
    found = [await stage.find(kinds.SERVICE, name_of(each), namespace_of(each)) for each in services]
    return {condition(each, "Ready")[0] for each in found}


def each_and_all(*values: float, id: str) -> Iterator[Any]:  # noqa: A002  as pytest has it
    """A case for two of the fleet, and for all."""
    yield pytest.param(*values, FLEET[::3], id=id)
    yield pytest.param(*values, FLEET, id=f"{id}-for-all", marks=pytest.mark.thorough)


@pytest.mark.parametrize(
    ("gateway", "workload", "pools", "writes", "services"),
    [
        *each_and_all(0.2, 0.2, 20.0, 1, id="quick"),
        pytest.param(1.0, 1.0, 20.0, 1, FLEET, id="as-usual"),
        pytest.param(1.0, 1.0, 3.0, 1, FLEET, id="pools-wait-for-their-turn"),
        *each_and_all(1.0, 60.0, 20.0, 2, id="the-model-loads-for-a-minute"),
        *each_and_all(30.0, 1.0, 20.0, 2, id="the-gateway-is-slow"),
    ],
)
@virtual_time
async def test_a_status_is_written_once_where_all_comes_within_a_second_and_else_once_more(
    gateway: float, workload: float, pools: float, writes: int, services: list[dict[str, Any]]
) -> None:
    async with furnished() as stage, anyio.create_task_group() as group:
        stamp = stage.cluster.core.clock.stamp
        players = player_client(stage.cluster)
        script = GatewayScript(delay=gateway)
        group.start_soon(GatewayPlayer(players, stamp=stamp, default=script).run)
        group.start_soon(WorkloadPlayer(players, delay=workload, stamp=stamp).run)
        async with stage.running(stage.controller(knobs=Knobs(pool_create_rate=pools))):
            await fleet.create(stage.user, services)
            if writes > 1:
                await anyio.sleep(FIRST_WORD)
                assert "" not in await readiness(stage, services), "a long wait must not hide what is known"
                assert "True" not in await readiness(stage, services)
            await stage.until(lambda: is_ready(stage, services), seconds=10.0 if writes == 1 else 100.0)
            await anyio.sleep(30.0)
            assert status_writes(stage) == writes * len(services)
        group.cancel_scope.cancel()


@virtual_time
async def test_who_is_scaled_and_stays_ready_costs_one_write_of_the_workload_and_one_of_the_status() -> None:
    async with furnished() as stage, anyio.create_task_group() as group:
        stamp = stage.cluster.core.clock.stamp
        players = player_client(stage.cluster)
        group.start_soon(GatewayPlayer(players, stamp=stamp).run)
        group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)
        services = [FLEET[0], FLEET[2]]
        async with stage.running(stage.controller(knobs=Knobs())):
            await fleet.create(stage.user, services)
            await stage.until(lambda: is_ready(stage, services))
            await anyio.sleep(30.0)
            before = stage.cluster.stats.verbs(client="aioctl/")
            for each in services:
                await stage.user.patch(
                    kinds.SERVICE, namespace_of(each), name_of(each), {"spec": {"replicas": 7}}
                )
            await anyio.sleep(20.0)
            assert await readiness(stage, services) == {"True"}
            assert (stage.cluster.stats.verbs(client="aioctl/") - before)["update"] == 2 * len(services)
        group.cancel_scope.cancel()


async def is_ready(stage: World, services: list[dict[str, Any]]) -> bool:
    return await readiness(stage, services) == {"True"}
