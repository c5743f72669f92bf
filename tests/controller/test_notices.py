"""What a service is warned of by an event is told once, and again when it says something else (MODEL-3)."""

from typing import Any

import anyio
import msgspec

from aioctl.api import kinds
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service


async def told(stage: World, reason: str = "ModelNameCollision") -> list[int]:
    """How often each text was told."""
    await anyio.sleep(30)  # the recorder counts a repeat only every now and then
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    found: list[dict[str, Any]] = [msgspec.json.decode(item) for page in pages for item in page.items]
    of_one = [event for event in found if (event["reason"], event["regarding"]["name"]) == (reason, "one")]
    return [event["deprecatedCount"] for event in of_one]


@virtual_time
async def test_another_generation_of_the_service_is_no_news() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        shared = {"model": {"uri": "hf://facebook/opt-125m", "name": "shared"}}
        route: dict[str, Any] = {"route": {}, "gateway": {}}
        for name in ("one", "two"):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name, router=route, **shared))
        assert await told(stage) == [1]
        for replicas in (2, 3):
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"replicas": replicas}})
            assert await told(stage) == [1]
        for name, times in (("mine", 1), ("shared", 2)):
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"model": {"name": name}}})
            assert await told(stage) == [times]


@virtual_time
async def test_a_crd_that_stays_away_is_news_once_though_each_failure_is_told() -> None:
    keda = {"maxReplicas": 3, "keda": {"triggers": [{"type": "cron", "metadata": {}}]}}
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(scaling=keda))
        assert await told(stage, "ScalingCRDNotFound") == [1]
        (failures,) = await told(stage, "Error")
        assert failures > 1
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"scaling": {"maxReplicas": 4}}})
        assert await told(stage, "ScalingCRDNotFound") == [1]
