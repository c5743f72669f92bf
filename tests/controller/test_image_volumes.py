"""The condition on image volumes: it follows the API server's version, and comes before the spec is put together (ART-5)."""

import json
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.names import CONFIG_MAP_NAME
from aioctl.sim import discovery
from aioctl.sim.errors import invalid
from aioctl.sim.faults import Match
from aioctl.sim.seed import SYSTEM_NAMESPACE
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


@pytest.mark.parametrize(
    ("uri", "mode", "told"),
    [
        ("oci+native://q/m:1", "", True),
        ("hf://o/m", "native", True),
        ("hf://o/m", "modelcar", False),
        ("oci://q/m:1", "", False),
    ],
)
@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, None),
        ({"baseRefs": [{"name": "absent"}]}, "ConfigNotFound"),
        ({"template": {"containers": [{"name": "main", "image": "{{ .Spec.Odd }}"}]}}, "CombineBaseError"),
        ({}, "InvalidRenderedConfig"),
    ],
)
@virtual_time
async def test_it_is_told_whatever_comes_of_the_spec(
    monkeypatch: pytest.MonkeyPatch, uri: str, mode: str, told: bool, spec: dict[str, Any], reason: str | None
) -> None:
    monkeypatch.setitem(discovery.VERSION, "minor", "34")
    async with furnished() as stage, stage.running(stage.controller()):
        settings = await stage.user.get(kinds.CONFIG_MAP, SYSTEM_NAMESPACE, CONFIG_MAP_NAME)
        storage = json.loads(settings["data"]["storageInitializer"]) | {"ociModelMode": mode}
        patch = {"data": {"storageInitializer": json.dumps(storage)}}
        await stage.user.patch(kinds.CONFIG_MAP, SYSTEM_NAMESPACE, CONFIG_MAP_NAME, patch)
        if reason == "InvalidRenderedConfig":
            tried = Match(verb="create", resource=kinds.SERVICE.resource, client="aioctl")
            stage.cluster.faults.fail(
                tried, invalid(kinds.SERVICE.kind, kinds.SERVICE.group, "x", []), times=0
            )
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(model={"uri": uri}, **spec))
        await anyio.sleep(20)
        found = await stage.user.get(kinds.SERVICE, NAMESPACE, "one")
    conditions = {entry["type"]: entry for entry in found["status"]["conditions"]}
    assert conditions["PresetsCombined"].get("reason") == reason
    assert ("OciImageVolumeCompatible" in conditions) is told
