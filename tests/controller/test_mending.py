"""Services whose stored target ports no write of v1alpha2 would leave be: the controller mends them before all else (CONV-9)."""

from typing import Any

import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.objects import dig
from aioctl.plan.mending import mend
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, condition, furnished, plain_service

PORTS = ("spec", "router", "scheduler", "pool", "spec", "targetPorts")
FIRST = {"number": 8000}


def with_ports(ports: Any) -> dict[str, Any]:
    pool = {
        "selector": {"matchLabels": {"app": "a"}},
        "targetPorts": ports,
        "endpointPickerRef": {"name": "one-epp-service", "port": {"number": 9002}},
    }
    service = plain_service(router={"scheduler": {"pool": {"spec": pool}}, "route": {}, "gateway": {}})
    service["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    service["metadata"]["resourceVersion"] = "1"
    return service


@pytest.mark.parametrize(
    ("ports", "mended"),
    [
        ([FIRST, {"number": "http"}], True),
        ([FIRST, {"number": 2.5}], True),
        ([FIRST, {"number": -1}], True),
        ([FIRST, FIRST], True),
        ([{"number": 8000 + index} for index in range(9)], True),
        ([FIRST], False),
        ([FIRST, {"number": 8001}], False),
        ([], False),
        # Nothing to keep, or kept as it is: somebody has to say what is meant, and a condition asks for it.
        ([{"number": "http"}], False),
        ([{"number": -1}], False),
        ("8000", False),
        (None, False),
    ],
)
def test_only_what_a_write_of_the_older_version_changes_is_mended(ports: Any, mended: bool) -> None:
    write = mend(with_ports(ports))
    assert (write is not None) is mended
    if write is not None:
        assert write.through_old
        assert write.body == {"metadata": {"resourceVersion": "1"}}


@pytest.mark.parametrize("number", ["http", 2.5], ids=str)
@virtual_time
async def test_the_controller_mends_and_goes_on(number: Any) -> None:
    async with furnished() as stage:
        collection = stage.cluster.core.collection(kinds.SERVICE.resource)
        stage.cluster.store.put(collection, with_ports([FIRST, {"number": number}]), (NAMESPACE, "one"))
        async with stage.running(stage.controller()):

            async def said() -> bool:
                found = await stage.find(kinds.SERVICE, "one")
                return condition(found, "PresetsCombined")[0] == "True"

            await stage.until(said)
            found = await stage.find(kinds.SERVICE, "one")
            assert dig(found, *PORTS) == [FIRST]
            pool = await stage.find(kinds.POOL_V1, "one-inference-pool")
            assert dig(pool, "spec", "targetPorts") == [FIRST]
            pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    assert stage.failed_reconciles() == 0
    events = [msgspec.json.decode(item) for page in pages for item in page.items]
    assert [event["reason"] for event in events if event["reason"] == "Mended"] == ["Mended"]
