"""A service that goes: what is done already is no failure.

Rules: MON-1, LIFE-1.
"""

import anyio

from aioctl.api import kinds
from aioctl.api.names import FINALIZER
from aioctl.api.objects import dig
from aioctl.sim.errors import invalid, invalid_value
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

LATE = 0.5
"""Seconds by which the controller sees services late."""


def releases(stage: World) -> int:
    """Patches of services that the controller has sent."""
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if client.startswith("aioctl/")
        and (verb, resource.partition(".")[0]) == ("patch", "llminferenceservices")
    )


@virtual_time
async def test_a_finalizer_that_is_gone_with_its_service_counts_as_removed() -> None:
    async with furnished() as stage:
        service = plain_service()

        async def is_held() -> bool:
            return FINALIZER in (dig(await stage.find(kinds.SERVICE, "one"), "metadata", "finalizers") or ())

        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await stage.until(is_held)
            await anyio.sleep(5)
            failed, sent = stage.failed_reconciles(), releases(stage)
            stage.cluster.faults.lag_watches(
                Match(verb="watch", resource="llminferenceservices", client="aioctl/"), LATE
            )
            # The removal takes effect, its answer gets lost, and the deletion is not seen yet when it is tried again.
            stage.cluster.faults.lose(Match(verb="patch", resource="llminferenceservices", client="aioctl/"))
            await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
            await anyio.sleep(LATE * 3)
            assert await stage.find(kinds.SERVICE, "one") is None
            assert releases(stage) == sent + 2
            assert stage.failed_reconciles() == failed + 1, "the lost answer, and nothing else"


@virtual_time
async def test_a_service_of_which_the_schema_refuses_every_write_is_let_go_through_the_old_version() -> None:
    async with furnished() as stage:

        async def is_held() -> bool:
            return FINALIZER in (dig(await stage.find(kinds.SERVICE, "one"), "metadata", "finalizers") or ())

        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
            await stage.until(is_held)
            await anyio.sleep(5)
            sent = releases(stage)
            stage.cluster.faults.fail(
                Match(verb="patch", resource="llminferenceservices", client="aioctl/"),
                invalid("LLMInferenceService", kinds.GROUP, "one", [invalid_value("spec.router", 1, "no")]),
            )
            await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
            await anyio.sleep(LATE * 3)
            assert await stage.find(kinds.SERVICE, "one") is None
            assert releases(stage) == sent + 2
