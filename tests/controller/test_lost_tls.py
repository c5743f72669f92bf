"""SVC-2 with a whole controller: TLS that goes because nobody says that it is wanted is told, once for each time that it goes."""

import json
from typing import Any

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs

from aioctl.api import kinds
from aioctl.sim import seed
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

REASON = "PlainHTTPByDefault"
FRONT = "one-kserve-workload-svc"


async def switch(stage: World, **ingress: Any) -> None:
    """What key `ingress` says besides; nothing means that it does not say so."""
    made = seed.config_map()
    data = {"ingress": json.dumps({**json.loads(made["data"]["ingress"]), **ingress})}
    await stage.user.patch(kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, made["metadata"]["name"], {"data": data})


async def speaks(stage: World) -> str:
    found = await stage.find(kinds.CORE_SERVICE, FRONT)
    return "" if found is None else str(found["spec"]["ports"][0]["name"])


async def until_it_speaks(stage: World, protocol: str) -> None:
    async def so() -> bool:
        return await speaks(stage) == protocol

    await stage.until(so)
    await anyio.sleep(20)


async def told(stage: World) -> list[str]:
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    events = [msgspec.json.decode(item) for page in pages for item in page.items]
    return [event["note"] for event in events if event["reason"] == REASON]


@pytest.mark.parametrize("said", [{}, {"enableLLMInferenceServiceTLS": False}], ids=["absent", "false"])
@virtual_time
async def test_event_and_log_tell_it_once_and_only_where_nobody_says_so(said: dict[str, bool]) -> None:
    async with furnished() as stage:
        await switch(stage, enableLLMInferenceServiceTLS=True)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        with capture_logs() as lines:
            async with stage.running(stage.controller()):
                await until_it_speaks(stage, "https")
                assert await told(stage) == []
                await switch(stage, **said)
                await until_it_speaks(stage, "http")
            async with stage.running(stage.controller()):
                await anyio.sleep(60)
        notes = await told(stage)
        logged = [line["problem"] for line in lines if line.get("reason") == REASON]
        settings = await stage.user.get(kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, "inferenceservice-config")
    assert len(notes) == (0 if said else 1)
    assert logged == notes
    assert all(f"Service {NAMESPACE}/{FRONT} was https and is http now" in note for note in notes)
    assert json.loads(settings["data"]["ingress"]).get("enableLLMInferenceServiceTLS") is (
        False if said else None
    )
