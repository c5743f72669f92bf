"""A stored status that an older, laxer CRD let in: what cannot be read is replaced and named in the log, once.

The services are put into the store as they are; see test_bad_services.py.
"""

from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from aioctl.api import kinds
from aioctl.api.objects import dig
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, condition, furnished, plain_service

READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
BAD: dict[str, tuple[Any, list[str]]] = {
    "conditions-text": ({"conditions": "x"}, ["status.conditions: expected a list, got string"]),
    "conditions-object": ({"conditions": {"a": "b"}}, ["status.conditions: expected a list, got object"]),
    "generation-text": (
        {"observedGeneration": "1", "conditions": [READY]},
        ["status.observedGeneration: expected an integer, got string"],
    ),
    "both": (
        {"observedGeneration": [], "conditions": 5},
        [
            "status.conditions: expected a list, got integer",
            "status.observedGeneration: expected an integer, got list",
        ],
    ),
    "status-text": ("x", ["status: expected an object, got string"]),
    "entries": ({"conditions": ["x", READY]}, []),
}
"""What is stored as the status, and what the log says of it."""


@pytest.mark.parametrize("what", BAD)
@virtual_time
async def test_a_status_that_cannot_be_read_is_replaced(what: str) -> None:
    stored, problems = BAD[what]
    async with furnished() as stage:
        service = plain_service()
        service["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        collection = stage.cluster.core.collection(kinds.SERVICE.resource)
        stage.cluster.store.put(collection, {**service, "status": stored}, (NAMESPACE, "one"))
        controller = stage.controller()
        with capture_logs() as logs:
            async with stage.running(controller):
                await anyio.sleep(30)
                found = await stage.find(kinds.SERVICE, "one")
                await anyio.sleep(300)
                assert await stage.find(kinds.SERVICE, "one") == found, "it came to rest"
                assert len(controller.queue) == 0
    assert dig(found, "status", "observedGeneration") == 1
    assert condition(found, "PresetsCombined")[0] == "True"
    assert condition(found, "MainWorkloadReady")[0] == "False"
    assert condition(found, "Ready")[0] == "False"
    assert stage.failed_reconciles() == 0
    told = [entry for entry in logs if entry["event"] == "stored status replaced"]
    assert [entry["problem"] for entry in told] == problems
