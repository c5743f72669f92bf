"""Events of a service that becomes ready and of one that is ready no longer (EVENT-2)."""

from typing import Any

import anyio
import msgspec

from aioctl.api import kinds
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

READY = ("Normal", "LLMInferenceServiceReady", "LLMInferenceService [one] is Ready")
NO_LONGER = (
    "Warning",
    "LLMInferenceServiceNotReady",
    "LLMInferenceService [one] is no longer Ready because of: MainWorkloadReady, WorkloadsReady",
)


async def says(stage: World, status: str) -> None:
    """The workload says whether it is available, and the service's Ready follows."""
    available: dict[str, Any] = {"type": "Available", "status": status, "reason": "Told", "message": ""}
    patch = {"status": {"conditions": [{**available, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}

    async def there() -> bool:
        return await stage.find(kinds.DEPLOYMENT, "one-kserve") is not None

    await stage.until(there)
    await stage.user.patch(kinds.DEPLOYMENT, NAMESPACE, "one-kserve", patch, subresource="status")

    async def followed() -> bool:
        return condition(await stage.find(kinds.SERVICE, "one"), "Ready")[0] == status

    await stage.until(followed)


async def told(stage: World) -> list[tuple[str, str, str]]:
    """The readiness events, once for each time that they were told, in text order."""
    await anyio.sleep(5)  # the recorder sends what it holds every now and then
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    found = [msgspec.json.decode(item) for page in pages for item in page.items]
    told_of = [(event["type"], event["reason"], event["note"]) for event in found]
    return sorted(event for event in told_of if event[1].startswith("LLMInferenceService"))


@virtual_time
async def test_becoming_ready_and_being_ready_no_longer_are_told_once_each() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        await says(stage, "False")
        assert await told(stage) == [], "it never was ready"
        await says(stage, "True")
        assert await told(stage) == [READY]
        await says(stage, "False")
        assert await told(stage) == [READY, NO_LONGER]


@virtual_time
async def test_an_unknown_between_hides_no_loss_of_readiness() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        await says(stage, "True")
        # A new generation makes Ready Unknown until it is judged; here somebody else writes that moment down.
        service = await stage.user.get(kinds.SERVICE, NAMESPACE, "one")
        conditions = [
            {**entry, "status": "Unknown"} if entry["type"] == "Ready" else entry
            for entry in service["status"]["conditions"]
        ]
        await stage.user.patch(
            kinds.DEPLOYMENT,
            NAMESPACE,
            "one-kserve",
            {"status": {"conditions": [{"type": "Available", "status": "False", "reason": "Told"}]}},
            subresource="status",
        )
        await stage.user.patch(
            kinds.SERVICE,
            NAMESPACE,
            "one",
            {"status": {"conditions": conditions}},
            subresource="status",
        )

        async def fell() -> bool:
            return condition(await stage.find(kinds.SERVICE, "one"), "Ready")[0] == "False"

        await stage.until(fell)
        assert NO_LONGER in await told(stage)
