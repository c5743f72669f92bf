"""An API server that asks to wait (429, Retry-After): the service waits in the queue, and no worker with it."""

from dataclasses import replace

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.names import FINALIZER
from aioctl.api.objects import dig
from aioctl.controller.knobs import Knobs
from aioctl.sim.errors import too_many_requests
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, condition, furnished, plain_service

ASKED = 7
ONE_WORKER = Knobs(workers=1, status_settle=0.05)
APART = replace(POLICY, monitoring_disabled=True)
"""No service writes what the other reads, and would wake it with it."""


async def is_there(stage: World, name: str) -> bool:
    return await stage.find(kinds.DEPLOYMENT, f"{name}-kserve") is not None


@virtual_time
async def test_a_write_that_is_put_off_is_made_when_the_server_wants_it_and_nobody_else_waits() -> None:
    async with furnished() as stage:
        controller = stage.controller(policy=APART, knobs=ONE_WORKER)
        put_off = Match(verb="create", resource="deployments", client="aioctl/")
        async with stage.running(controller):
            stage.cluster.faults.fail(put_off, too_many_requests(ASKED))
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
            await anyio.sleep(0.5)
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("two"))
            await anyio.sleep(0.5)
            assert await is_there(stage, "two"), "the only worker is free"
            assert not await is_there(stage, "one")
            service = await stage.find(kinds.SERVICE, "one")
            assert FINALIZER in dig(service, "metadata", "finalizers"), "what came before it is written"
            assert "ReconcileSingleNodeWorkloadError" not in str(service)
            await anyio.sleep(ASKED - 2)
            assert not await is_there(stage, "one")
            await anyio.sleep(2)
            assert await is_there(stage, "one")
            await anyio.sleep(5)
        assert stage.failed_reconciles() == 0
        pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
        events = [msgspec.json.decode(raw) for page in pages for raw in page.items]
        assert not [event for event in events if event["type"] == "Warning"]
        assert condition(await stage.find(kinds.SERVICE, "one"), "PresetsCombined")[0] == "True"


@pytest.mark.parametrize("times", [1, 3])
@virtual_time
async def test_a_status_that_is_put_off_is_written_as_soon_as_the_server_wants_it(times: int) -> None:
    async with furnished() as stage:
        async with stage.running(stage.controller(policy=APART, knobs=ONE_WORKER)):
            status = Match(
                verb="update", resource="llminferenceservices/status", name="one", client="aioctl/"
            )
            refused = stage.cluster.faults.fail(status, too_many_requests(ASKED), times=times)
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
            await anyio.sleep(1)
            assert refused.hits == 1
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("two"))
            await anyio.sleep(0.5)
            assert await is_there(stage, "two"), "the only worker is free"
            await anyio.sleep(times * ASKED - 2.5)
            assert dig(await stage.find(kinds.SERVICE, "one"), "status", "conditions") is None
            await anyio.sleep(3)
            assert condition(await stage.find(kinds.SERVICE, "one"), "PresetsCombined")[0] == "True"
            assert refused.hits == times
        assert stage.failed_reconciles() == 0
