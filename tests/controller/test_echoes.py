"""What the watch shows of a write before its answer is there: no second reconcile of our own, but nobody else's is lost."""

from collections import Counter

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import dig
from aioctl.controller.controller import Controller
from aioctl.engine.workers import Result
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

SERVICE = "one"
DEPLOYMENT = "one-kserve"
LATE = 0.3
"""Seconds from a write to its answer; the watch needs none."""


def counted(controller: Controller) -> Counter[str]:
    """The reconciles that end from now on, by the name of the service. To be called before it works."""
    ended: Counter[str] = Counter()
    reconcile = controller.reconciler.run

    async def run(key: ObjectKey) -> Result:
        result = await reconcile(key)
        ended[key.name] += 1
        return result

    controller.reconciler.run = run  # type: ignore[method-assign]
    return ended


async def replicas(stage: World) -> int:
    found: int = dig(await stage.find(kinds.DEPLOYMENT, DEPLOYMENT), "spec", "replicas")
    return found


async def scale(stage: World, kind: kinds.Kind, name: str, wanted: int) -> None:
    await stage.user.patch(kind, NAMESPACE, name, {"spec": {"replicas": wanted}})


@pytest.mark.parametrize("answers_after", [0.0, 0.01, LATE])
@virtual_time
async def test_late_answers_cost_no_reconcile(answers_after: float) -> None:
    async with furnished() as stage:
        controller = stage.controller(answers_after=answers_after)
        ended = counted(controller)
        async with stage.running(controller):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(SERVICE))
            await anyio.sleep(20)
            # One that writes the children, one that writes the status when it has settled.
            assert ended[SERVICE] == 2
            await scale(stage, kinds.SERVICE, SERVICE, 3)
            await anyio.sleep(20)
            assert await replicas(stage) == 3
            assert ended[SERVICE] == 4
            assert len(controller._own_writes) == 0


@virtual_time
async def test_a_change_between_the_last_write_and_its_answer_wakes() -> None:
    async with furnished() as stage:
        controller = stage.controller(answers_after=LATE)
        ended = counted(controller)

        async def has_status() -> bool:
            return bool(dig(await stage.find(kinds.SERVICE, SERVICE), "status", "conditions"))

        async with stage.running(controller):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(SERVICE))
            await stage.until(has_status)
            await scale(stage, kinds.SERVICE, SERVICE, 3)
            await anyio.sleep(LATE / 3)
            assert ended[SERVICE] == 1, "the status is written by the second, and its answer is on its way"
            assert controller.queue.statistics().running == 1
            await anyio.sleep(5)
            assert await replicas(stage) == 3


@virtual_time
async def test_a_write_whose_answer_is_lost_hides_nothing() -> None:
    async with furnished() as stage:
        controller = stage.controller(answers_after=LATE)
        ended = counted(controller)
        async with stage.running(controller):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(SERVICE))
            await anyio.sleep(20)
            before = ended[SERVICE]
            status = Match(verb="update", resource="llminferenceservices/status", client="aioctl/")
            lost = stage.cluster.faults.lose(status)
            await scale(stage, kinds.SERVICE, SERVICE, 3)
            await anyio.sleep(20)
            assert lost.hits == 1
            assert len(controller._own_writes) == 0
            # One that writes the Deployment, one that loses the answer, and one more because of that.
            assert ended[SERVICE] == before + 3


@pytest.mark.parametrize("answers_after", [0.0, LATE])
@virtual_time
async def test_our_write_wakes_the_other_services_that_read_the_object(answers_after: float) -> None:
    async with furnished() as stage:
        controller = stage.controller(answers_after=answers_after)
        ended = counted(controller)
        async with stage.running(controller):
            pool = {"ref": {"name": "one-inference-pool"}}
            reader = plain_service("reader", router={"scheduler": {"pool": pool}})
            await stage.user.create(kinds.SERVICE, NAMESPACE, reader)
            await anyio.sleep(20)
            before = ended["reader"]
            owner = plain_service(SERVICE, router={"route": {}, "gateway": {}, "scheduler": {}})
            await stage.user.create(kinds.SERVICE, NAMESPACE, owner)
            await anyio.sleep(20)
            assert await stage.find(kinds.POOL_V1, "one-inference-pool") is not None
            assert ended["reader"] > before
