"""What the API server refuses of a service's status, or of a config, is told by an event: nothing else can say so (EVENT-1)."""

from collections.abc import Callable
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.sim.errors import StatusError, bad_request, conflict, forbidden, invalid, not_found, plain_500
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service

RESOURCE, GROUP, KIND = kinds.SERVICE.plural, kinds.SERVICE.group, kinds.SERVICE.kind


REFUSALS = [
    (lambda: forbidden(RESOURCE, GROUP, "one", "no"), True),
    (lambda: invalid(KIND, GROUP, "one", []), True),
    (lambda: bad_request("what is that"), True),
    (lambda: plain_500("etcdserver: request timed out"), False),
    (lambda: conflict(RESOURCE, GROUP, "one"), False),
    (lambda: not_found(RESOURCE, GROUP, "one"), False),
]


async def notes(stage: Any, reason: str) -> list[str]:
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    found = [msgspec.json.decode(item) for page in pages for item in page.items]
    return [event["note"] for event in found if event["reason"] == reason]


@pytest.mark.parametrize(("error", "told"), REFUSALS)
@virtual_time
async def test_a_status_is_told_of_where_it_is_refused_and_not_where_it_comes_later(
    error: Callable[[], StatusError], told: bool
) -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        status = Match(resource=f"{kinds.SERVICE.resource}/status", client="aioctl")
        failing = stage.cluster.faults.fail(status, error(), times=0)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        await anyio.sleep(30)
        assert failing.hits
        found = await notes(stage, "UpdateFailed")
        assert len(found) == told
        start = 'Failed to update status for LLMInferenceService "one": '
        assert all(note.startswith(start) and len(note) > len(start) for note in found)


@pytest.mark.parametrize(("error", "told"), REFUSALS)
@pytest.mark.parametrize("part", ["", "/status"])
@virtual_time
async def test_a_config_is_told_of_where_its_finalizer_or_status_is_refused(
    part: str, error: Callable[[], StatusError], told: bool
) -> None:
    metadata = {"name": "mine", "namespace": NAMESPACE}
    config = {
        "apiVersion": kinds.CONFIG.api_version,
        "kind": kinds.CONFIG.kind,
        "metadata": metadata,
        "spec": {},
    }
    async with furnished() as stage, stage.running(stage.controller()):
        writes = [
            Match(verb=verb, resource=f"{kinds.CONFIG.resource}{part}", client="aioctl", name="mine")
            for verb in ("patch", "update")
        ]
        failing = [stage.cluster.faults.fail(write, error(), times=0) for write in writes]
        await stage.user.create(kinds.CONFIG, NAMESPACE, config)
        await anyio.sleep(30)
        assert any(fault.hits for fault in failing)
        found = await notes(stage, "Error")
        assert len(found) == told
        assert all(note.startswith("Reconciliation failed: ") for note in found)
