"""An API server that is updated wakes the services whose condition depends on its version (ART-5)."""

from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.sim import discovery
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service


@virtual_time
async def test_the_condition_goes_with_the_update_of_the_api_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def reason() -> Any:
        found = await stage.user.get(kinds.SERVICE, NAMESPACE, "one")
        conditions = {entry["type"]: entry for entry in found["status"]["conditions"]}
        return conditions.get("OciImageVolumeCompatible", {}).get("reason")

    monkeypatch.setitem(discovery.VERSION, "minor", "34+")
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(model={"uri": "oci+native://q/m:1"}))
        await anyio.sleep(20)
        assert await reason() == "ImageVolumeAlpha"
        monkeypatch.setitem(discovery.VERSION, "minor", "35")
        await anyio.sleep(60)
        assert await reason() is None
