"""Services that are created with our finalizer on them are written once, others twice; each write has its price in conversions."""

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.names import FINALIZER
from aioctl.api.objects import dig, namespace_of
from aioctl.controller.knobs import Knobs
from aioctl.sim import fleet
from aioctl.sim.hooks import mutating_configuration
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import virtual_time
from testbed.world import World, condition, furnished

FLEET = fleet.services(6)
"""Half of them v1alpha1."""
CREATED = 3 * 1 + 3 * 3
"""Conversions: one for the watch cache of v1alpha1, two more where the request was in that version (WEB-1)."""
WRITTEN = 3 * 1 + 3 * 4
"""Conversions of one write of every service in v1alpha2: three more for an entry of v1alpha1 in managedFields."""


def writes(stage: World, plural: str = kinds.SERVICE.plural) -> dict[str, int]:
    """The controller's writes of one kind, by verb and path below the resource."""
    found: dict[str, int] = {}
    for (verb, resource, client, _), count in stage.cluster.stats.calls.items():
        name, _, subresource = resource.partition("/")
        if client.startswith("aioctl/") and name.startswith(f"{plural}.") and verb in _WRITES:
            found[f"{verb} {subresource}".strip()] = count
    return found


_WRITES = ("update", "patch")


@pytest.mark.parametrize("is_mutated", [True, False], ids=["webhook", "no webhook"])
def test_the_finalizer_costs_a_write_only_without_the_mutating_webhook(*, is_mutated: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with furnished() as stage, anyio.create_task_group() as group:
            if is_mutated:
                await stage.cluster.create(mutating_configuration("https://localhost", ""), client="user")
            for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1):  # both versions' watch caches are there
                await stage.user.get_raw(kind.path())
            stamp = stage.cluster.core.clock.stamp
            players = player_client(stage.cluster)
            group.start_soon(GatewayPlayer(players, stamp=stamp).run)
            group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)
            async with stage.running(stage.controller(knobs=Knobs())):
                before = stage.cluster.stats.conversion.calls
                await fleet.create(stage.user, FLEET, at_once=1)
                await stage.until(lambda: all_are_ready(stage))
                # Configs are written too, one conversion each for the watch cache of v1alpha1: not what this is about.
                of_configs = sum(writes(stage, kinds.CONFIG.plural).values())
                made = stage.cluster.stats.conversion.calls - before - of_configs
            group.cancel_scope.cancel()
        if is_mutated:
            assert writes(stage) == {"update status": 6}
            assert made == CREATED + WRITTEN, "4.5 for each service"
        else:
            assert writes(stage) == {"patch": 6, "update status": 6}
            assert made == CREATED + 2 * WRITTEN, "7 for each service"

    run()


async def all_are_ready(stage: World) -> bool:
    for service in FLEET:
        stored = await stage.find(kinds.SERVICE, service["metadata"]["name"], namespace_of(service))
        if condition(stored, "Ready")[0] != "True":
            return False
        assert dig(stored, "metadata", "finalizers") == [FINALIZER]
    return True
