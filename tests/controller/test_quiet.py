"""A fleet that has come to rest is left alone: ten minutes of virtual time without a single write."""

from collections import Counter

import anyio

from aioctl.api import kinds
from aioctl.api.names import MIGRATED
from aioctl.api.objects import dig, namespace_of
from aioctl.sim import fleet
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import virtual_time
from testbed.world import World, condition, furnished

SERVICES = 6
"""One of every shape that the fleet has, half of them v1alpha1."""
WRITES = ("create", "update", "patch", "delete", "deletecollection")
TEN_MINUTES = 600.0
SETTLED = 30.0
"""Seconds after the last service is Ready: the last events, and repeated ones, are written behind the work."""


def writes(stage: World) -> Counter[tuple[str, str]]:
    """The controller's, by verb and resource."""
    found: Counter[tuple[str, str]] = Counter()
    for (verb, resource, client, _), count in stage.cluster.stats.calls.items():
        if client.startswith("aioctl/") and verb in WRITES:
            found[verb, resource] += count
    return found


async def all_at_rest(stage: World) -> bool:
    """Every service is Ready and carries the lock."""
    for service in fleet.services(SERVICES):
        name = service["metadata"]["name"]
        stored = await stage.find(kinds.SERVICE, name, namespace_of(service))
        if condition(stored, "Ready")[0] != "True" or dig(stored, "status", "annotations", MIGRATED) != "v1":
            return False
    return True


@virtual_time
async def test_nothing_is_written_for_ten_minutes_after_the_migration() -> None:
    async with furnished() as stage, anyio.create_task_group() as group:
        stamp = stage.cluster.core.clock.stamp
        players = player_client(stage.cluster)
        group.start_soon(GatewayPlayer(players, stamp=stamp).run)
        group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)
        async with stage.running(stage.controller()):
            await fleet.create(stage.user, fleet.services(SERVICES))
            await stage.until(lambda: all_at_rest(stage))
            await anyio.sleep(SETTLED)
            before = writes(stage)
            # What is counted is there: a pair of pools and one move of the weights for every service.
            assert before["create", kinds.POOL_V1.resource] == SERVICES
            assert before["update", kinds.HTTP_ROUTE.resource] == SERVICES
            began = anyio.current_time()
            await anyio.sleep(TEN_MINUTES)
            assert anyio.current_time() - began >= TEN_MINUTES
            assert writes(stage) == before
        group.cancel_scope.cancel()
