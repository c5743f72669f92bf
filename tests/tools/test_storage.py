"""`aioctl storage`: what is stored in which version, who uses v1alpha1, and a migration that a kill at any write does not harm.

Rules: STORE-1.
"""

from contextlib import suppress
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.kube.client import Client
from aioctl.sim.errors import forbidden, invalid
from aioctl.sim.faults import Match
from aioctl.storage_command import clients, text
from aioctl.tools.connect import Connection
from aioctl.tools.storage import (
    Requests,
    Status,
    Stored,
    Writer,
    migrate,
    read_status,
    requests_of,
    writers_of,
)
from aioctl.tools.writing import Told
from testbed.virtual_time import VirtualClock, virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service
from tests.tools.small_fleet import connection
from tests.tools.test_finish import Killed, Mortal

NAMES = ("one", "two")
PRESETS = 14


async def old_objects(stage: World) -> None:
    """Services that v1alpha1 clients made; both CRDs say that they may hold v1alpha1."""
    for name in NAMES:
        made = {**plain_service(name), "apiVersion": kinds.V1ALPHA1}
        await stage.user.create(kinds.SERVICE_V1ALPHA1, NAMESPACE, made)
    for kind in (kinds.SERVICE, kinds.CONFIG):
        held = {"status": {"storedVersions": ["v1alpha1", "v1alpha2"]}}
        await stage.user.patch(kinds.CRD, "", kind.resource, held, subresource="status")


async def versions(stage: World) -> dict[str, list[str]]:
    found = {}
    for kind in (kinds.SERVICE, kinds.CONFIG):
        crd = await stage.user.get(kinds.CRD, "", kind.resource)
        found[kind.plural] = list(crd["status"]["storedVersions"])
    return found


DONE = {"llminferenceservices": ["v1alpha2"], "llminferenceserviceconfigs": ["v1alpha2"]}


async def told(stage: World, client: Client | None = None) -> list[Told]:
    way = Connection(client or stage.user, "https://stage", "")
    return [one async for one in migrate(way, rate=100, clock=VirtualClock())]


@virtual_time
async def test_status_tells_what_is_stored_and_who_writes_in_v1alpha1() -> None:
    async with furnished() as stage:
        await old_objects(stage)
        found = await read_status(connection(stage, ""))
        assert [(one.resource, one.storage, one.versions, one.objects) for one in found.crds] == [
            ("llminferenceservices.serving.kserve.io", "v1alpha2", ("v1alpha1", "v1alpha2"), 2),
            ("llminferenceserviceconfigs.serving.kserve.io", "v1alpha2", ("v1alpha1", "v1alpha2"), PRESETS),
        ]
        assert not found.done
        assert "not migrated: `aioctl storage migrate`" in text(found)
        assert [one.said for one in await told(stage)] == [
            "is migrated: 2 objects were rewritten",
            f"is migrated: {PRESETS} objects were rewritten",
        ]
        assert await versions(stage) == DONE
        assert (await read_status(connection(stage, ""))).done
        assert {one.said for one in await told(stage)} == {
            "stores everything in its storage version, nothing to do"
        }


@virtual_time
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("writes", [0, 1, 2, 3, PRESETS + 2, PRESETS + 3])
async def test_after_a_kill_at_any_write_it_comes_to_its_end(writes: int, *, after: bool) -> None:
    async with furnished() as stage:
        await old_objects(stage)
        with suppress(Killed):
            await told(stage, Client(Mortal(stage.cluster, writes=writes, after=after)))
            raise AssertionError("it was to be killed")
        assert not any(one.failed for one in await told(stage))
        assert await versions(stage) == DONE
        for name in NAMES:
            assert await stage.find(kinds.SERVICE, name) is not None


@virtual_time
async def test_an_object_that_cannot_be_rewritten_is_named_and_keeps_the_version_listed() -> None:
    async with furnished() as stage:
        await old_objects(stage)
        stage.cluster.faults.fail(
            Match(verb="patch", resource="llminferenceservices", name="two"),
            invalid(kinds.SERVICE.kind, kinds.SERVICE.group, "two", []),
            times=0,
        )
        first, second, third = await told(stage)
        assert (str(first.service), first.failed) == ("demo/two", True)
        assert second.failed
        assert "correct the objects and run it again" in second.said
        assert not third.failed
        assert (await versions(stage))["llminferenceservices"] == ["v1alpha1", "v1alpha2"]


@virtual_time
async def test_what_may_not_be_read_is_told() -> None:
    async with furnished() as stage:
        no = forbidden(kinds.CRD.resource, kinds.CRD.group, "", "no")
        stage.cluster.faults.fail(Match(verb="get", resource="customresourcedefinitions"), no, times=0)
        found = await read_status(connection(stage, ""))
        assert not found.done
        assert any("you may not get customresourcedefinitions" in said for said in found.unread)
        assert any("/metrics cannot be read" in said for said in found.unread)
        assert not text(found).startswith("CRD")


METRICS = """\
# HELP apiserver_request_total requests
apiserver_request_total{code="200",component="apiserver",dry_run="",group="serving.kserve.io",resource="llminferenceservices",scope="cluster",subresource="",verb="LIST",version="v1alpha1"} 12
apiserver_request_total{code="403",component="apiserver",dry_run="",group="serving.kserve.io",resource="llminferenceservices",scope="cluster",subresource="",verb="LIST",version="v1alpha1"} 3
apiserver_request_total{code="200",component="apiserver",dry_run="",group="serving.kserve.io",resource="llminferenceservices",scope="cluster",subresource="",verb="LIST",version="v1alpha2"} 99
apiserver_request_total{code="200",component="apiserver",dry_run="",group="serving.kserve.io",resource="localmodelcaches",scope="cluster",subresource="",verb="LIST",version="v1alpha1"} 7
apiserver_requested_deprecated_apis{group="serving.kserve.io",removed_release="",resource="llminferenceserviceconfigs",subresource="",version="v1alpha1"} 1
apiserver_requested_deprecated_apis{group="serving.kserve.io",removed_release="",resource="llminferenceservices",subresource="",version="v1alpha1"} 1
apiserver_request_total{code="200" 1
"""


def test_calls_in_v1alpha1_are_counted_from_the_metrics_of_the_api_server() -> None:
    assert requests_of(METRICS) == (
        Requests("llminferenceserviceconfigs", "any verb", 1),
        Requests("llminferenceservices", "LIST", 15),
    )
    assert requests_of("") == ()


def entry(manager: str, time: str, version: str = kinds.V1ALPHA1) -> dict[str, Any]:
    return {"manager": manager, "time": time, "apiVersion": version}


def test_a_writer_is_told_once_with_its_last_write() -> None:
    objects: list[dict[str, Any]] = [
        {"metadata": {"name": "a", "namespace": "n", "managedFields": [entry("ci", "2026-01-02T00:00:00Z")]}},
        {"metadata": {"name": "b", "namespace": "n", "managedFields": [entry("ci", "2026-01-01T00:00:00Z")]}},
        {"metadata": {"name": "c", "namespace": "n", "managedFields": [entry("ok", "", kinds.V1ALPHA2)]}},
    ]
    last = "2026-01-02T00:00:00Z"
    writer = Writer("ci", kinds.SERVICE.resource, 2, last, ObjectKey("n", "a"))
    assert writers_of(kinds.SERVICE, objects) == [writer]
    text = '{"apiVersion":"serving.kserve.io/v1alpha1","kind":"LLMInferenceService"}\n'
    applied = {"kubectl.kubernetes.io/last-applied-configuration": text}
    objects.append({"metadata": {"name": "d", "namespace": "n", "annotations": applied}})
    by_hand = Writer("kubectl apply", kinds.SERVICE.resource, 1, "", ObjectKey("n", "d"))
    assert writers_of(kinds.SERVICE, objects) == [writer, by_hand]
    assert clients(Status(writers=(writer,), requests=(Requests("x", "GET", 2),))) == [
        f"v1alpha1 is written by ci: {kinds.SERVICE.resource}, 2 objects such as n/a, last {last}",
        "v1alpha1 was asked for since this API server started: GET x 2 times",
    ]
    looked = Stored(kinds.SERVICE.resource, "v1alpha2", ("v1alpha2",), 3)
    assert clients(Status(crds=(looked,))) == ["nobody was seen to use v1alpha1"]
    assert clients(Status()) == [], "where nothing was read, nobody was looked for"
