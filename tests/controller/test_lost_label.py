"""A child that lost our label is seen by no watch: it is read once, put right, and read again when somebody was faster."""

import anyio

from aioctl.api import kinds
from aioctl.api.names import PART_OF
from aioctl.api.objects import labels_of
from aioctl.controller.live_reads import FRESH_PRESENT
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service

CHILD = "one-kserve"
SLOW = 1.0


@virtual_time
async def test_a_conflict_over_an_unwatched_child_is_settled_by_reading_it_again() -> None:
    async with furnished() as stage:
        service = plain_service()

        async def is_labelled() -> bool:
            child = await stage.find(kinds.DEPLOYMENT, CHILD)
            return child is not None and PART_OF in labels_of(child)

        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await stage.until(is_labelled)
            await anyio.sleep(5)
            update = Match(verb="update", resource="deployments", client="aioctl/")
            held_up = stage.cluster.faults.slow(update, SLOW, times=1)
            lost = {"metadata": {"labels": {PART_OF: None}}}
            await stage.user.patch(kinds.DEPLOYMENT, NAMESPACE, CHILD, lost)
            await anyio.sleep(SLOW / 2)
            assert held_up.hits == 1, "the controller has read it, and is about to write"
            touched = {"metadata": {"annotations": {"example.com/touched": "yes"}}}
            await stage.user.patch(kinds.DEPLOYMENT, NAMESPACE, CHILD, touched)
            assert not await is_labelled()
            await stage.until(is_labelled, seconds=FRESH_PRESENT / 3)
