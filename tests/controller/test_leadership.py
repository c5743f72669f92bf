"""Without leadership nothing more is written, not even by a reconcile that has begun."""

import anyio
import pytest

from aioctl.api import kinds
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service

SERVICE = plain_service()


@pytest.mark.parametrize("leads", [True, False])
@virtual_time
async def test_only_a_leader_finishes_what_it_has_begun(leads: bool) -> None:
    async with furnished() as stage:
        controller = stage.controller()
        async with anyio.create_task_group() as group:
            await group.start(controller.watch)
            with anyio.CancelScope() as leading:
                group.start_soon(_cancel_after, 1.5, leading)
                await stage.user.create(kinds.SERVICE, NAMESPACE, SERVICE)
                await anyio.sleep(0.5)
                stage.cluster.faults.slow(Match(verb="create", client="aioctl/"), 2.0, times=1)
                await controller.work(may_finish=lambda: leads)
            # The first create of a child takes 2 s; the others follow it within the grace.
            assert (await stage.find(kinds.DEPLOYMENT, "one-kserve") is not None) is leads
            group.cancel_scope.cancel()


async def _cancel_after(seconds: float, scope: anyio.CancelScope) -> None:
    await anyio.sleep(seconds)
    scope.cancel()
