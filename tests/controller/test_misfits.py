"""What will not work and has no condition is said in the log, once."""

from typing import Any

import anyio
from structlog.testing import capture_logs

from aioctl.api import kinds
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service

POOL: dict[str, Any] = {
    "selector": {"matchLabels": {"app": "x"}},
    "targetPorts": [{"number": 8000}],
    "endpointPickerRef": {"name": "picker", "port": {"number": 7000}},
}
SERVICE = plain_service(router={"scheduler": {"pool": {"spec": POOL}}})


def warnings(logs: list[Any]) -> list[str]:
    return [entry["problem"] for entry in logs if entry["event"] == "endpoint picker"]


@virtual_time
async def test_a_port_that_the_pickers_service_lacks_is_logged_once_and_again_when_it_is_another() -> None:
    async with furnished() as stage:
        with capture_logs() as logs:
            async with stage.running(stage.controller()):
                await stage.user.create(kinds.SERVICE, NAMESPACE, SERVICE)
                await anyio.sleep(5)
                assert len(warnings(logs)) == 1
                assert "port.number is 7000, which is no port of Service picker" in warnings(logs)[0]
                for port in (7001, 9002):
                    reference = {"endpointPickerRef": {"port": {"number": port}}}
                    patch = {"spec": {"router": {"scheduler": {"pool": {"spec": reference}}}}}
                    await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", patch)
                    await anyio.sleep(5)
        assert len(warnings(logs)) == 2
        assert "port.number is 7001" in warnings(logs)[1]
