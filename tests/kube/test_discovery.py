"""Discovery: only answers say that a kind is absent.

Rules: CRD-1.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from structlog.testing import capture_logs

from aioctl.api.kinds import (
    LEADER_WORKER_SET,
    MODEL,
    POD_MONITOR,
    POOL_V1,
    POOL_V1ALPHA2,
    SERVICE,
    Kind,
    Served,
)
from aioctl.kube.client import Client
from aioctl.kube.discovery import RECHECK, Discovery
from aioctl.kube.errors import TransportError
from aioctl.kube.wire import Response
from testbed.scripted_wire import ScriptedWire, encode
from testbed.virtual_time import virtual_time

V1 = "/apis/inference.networking.k8s.io/v1"
VERSION = "/version"
V1ALPHA2 = "/apis/inference.networking.x-k8s.io/v1alpha2"
MISSING = Response(404, {}, b"404 page not found\n")
DOWN = TransportError("refused", maybe_sent=True)
BROKEN = Response(500, {}, b"oops")


def serving(*plurals: str) -> Response:
    resources = [{"name": name, "namespaced": True, "kind": "X", "verbs": ["get"]} for name in plurals]
    return Response(200, {}, encode({"kind": "APIResourceList", "resources": resources}))


def told(major: str, minor: str) -> Response:
    return Response(200, {}, encode({"major": major, "minor": minor, "gitVersion": "v"}))


POOLS = serving("inferencepools", "inferencepools/status")


class Scene:
    def __init__(self, *kinds: Kind, versions: Sequence[Response | Exception] = ()) -> None:
        self.wire = ScriptedWire()
        self.wire.answer("GET", VERSION, *(versions or [told("1", "34+")]))
        self.discovery = Discovery(Client(self.wire), kinds)
        self.told: list[tuple[str, Served]] = []
        self.discovery.subscribe(lambda kind, presence: self.told.append((kind.plural, presence)))

    def served(self, kind: Kind = POOL_V1) -> Served:
        return self.discovery.served(kind)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.discovery.run)
            await self.discovery.first_look()
            yield
            tasks.cancel_scope.cancel()


@virtual_time
async def test_one_call_per_group_version_tells_about_all_its_kinds() -> None:
    scene = Scene(POOL_V1, POOL_V1ALPHA2, MODEL, LEADER_WORKER_SET)
    scene.wire.answer("GET", V1, POOLS)
    scene.wire.answer("GET", V1ALPHA2, POOLS)
    scene.wire.answer("GET", "/apis/leaderworkerset.x-k8s.io/v1", MISSING)
    assert scene.served() is Served.UNKNOWN
    async with scene.running():
        assert scene.served(POOL_V1) is Served.YES
        assert scene.served(POOL_V1ALPHA2) is Served.YES
        assert scene.served(MODEL) is Served.NO
        assert scene.served(LEADER_WORKER_SET) is Served.NO
    assert len(scene.wire.requests) == 3 + 1  # and the version


@virtual_time
async def test_kinds_that_are_not_optional_count_as_served() -> None:
    scene = Scene(POOL_V1)
    assert scene.served(SERVICE) is Served.YES
    assert scene.served(POD_MONITOR) is Served.YES


@virtual_time
async def test_a_subresource_is_not_the_kind() -> None:
    scene = Scene(POOL_V1)
    scene.wire.answer("GET", V1, serving("inferencepools/status"))
    async with scene.running():
        assert scene.served() is Served.NO


@virtual_time
async def test_a_failed_call_never_says_absent() -> None:
    of_a_proxy = Response(404, {}, b"default backend - 404")
    for failure in (DOWN, BROKEN, Response(403, {}, b"no"), Response(200, {}, b"<html>"), of_a_proxy):
        scene = Scene(POOL_V1)
        scene.wire.answer("GET", V1, failure)
        async with scene.running():
            assert scene.served() is Served.UNKNOWN
        assert scene.told == []


@virtual_time
async def test_what_was_served_stays_served_while_discovery_fails() -> None:
    scene = Scene(POOL_V1)
    scene.wire.answer("GET", V1, POOLS, Response(403, {}, b"no"))
    async with scene.running():
        await anyio.sleep(300)
        assert scene.served() is Served.YES
    assert scene.told == [("inferencepools", Served.YES)]


@virtual_time
async def test_what_was_absent_is_unknown_while_discovery_fails() -> None:
    scene = Scene(POOL_V1)
    scene.wire.answer("GET", V1, MISSING, Response(403, {}, b"no"))
    async with scene.running():
        assert scene.served() is Served.NO
        await anyio.sleep(RECHECK + 1)
        assert scene.served() is Served.UNKNOWN
    assert scene.told == [("inferencepools", Served.NO), ("inferencepools", Served.UNKNOWN)]


@virtual_time
async def test_a_kind_that_appears_is_noticed_within_60_s() -> None:
    scene = Scene(POOL_V1)
    scene.wire.answer("GET", V1, MISSING, POOLS)
    async with scene.running():
        await anyio.sleep(1)
        assert scene.served() is Served.NO
        await anyio.sleep(58)
        assert scene.served() is Served.YES


@virtual_time
async def test_a_kind_that_disappears_is_noticed_within_60_s_after_a_second_look() -> None:
    scene = Scene(POOL_V1)
    scene.wire.answer("GET", V1, POOLS, MISSING)
    async with scene.running():
        await anyio.sleep(RECHECK + 1)
        assert scene.served() is Served.YES
        await anyio.sleep(60 - RECHECK - 1)
        assert scene.served() is Served.NO


@virtual_time
async def test_an_api_server_that_forgets_a_kind_for_a_moment_changes_nothing() -> None:
    scene = Scene(POOL_V1)
    scene.wire.answer("GET", V1, POOLS, MISSING, POOLS)
    async with scene.running():
        await anyio.sleep(120)
    assert scene.told == [("inferencepools", Served.YES)]


@virtual_time
async def test_a_late_subscriber_is_told_what_is_known() -> None:
    scene = Scene(POOL_V1, MODEL)
    scene.wire.answer("GET", V1, POOLS)
    scene.wire.answer("GET", V1ALPHA2, Response(403, {}, b"no"))
    async with scene.running():
        told: list[tuple[Kind, Served]] = []
        scene.discovery.subscribe(lambda kind, presence: told.append((kind, presence)))
    assert told == [(POOL_V1, Served.YES)]


@virtual_time
async def test_the_version_is_asked_again_and_what_was_told_last_counts() -> None:
    unreadable = Response(200, {}, b"{}")
    scene = Scene(POOL_V1, versions=[told("1", "34+"), Response(403, {}, b"no"), unreadable, told("1", "35")])
    scene.wire.answer("GET", V1, POOLS)
    told_of: list[object] = []
    scene.discovery.subscribe_to_version(lambda: told_of.append(scene.discovery.version()))
    assert scene.discovery.version() is None
    async with scene.running():
        await anyio.sleep(1)
        for expected in [("1", "34+")] * 3 + [("1", "35")]:
            assert scene.discovery.version() == expected
            await anyio.sleep(RECHECK)
        await anyio.sleep(300)
    assert told_of == [("1", "34+"), ("1", "35")]


@virtual_time
async def test_a_server_that_tells_no_version_holds_nothing_up() -> None:
    scene = Scene(POOL_V1, versions=[BROKEN])
    scene.wire.answer("GET", V1, POOLS)
    async with scene.running():
        assert scene.served() is Served.YES
        assert scene.discovery.version() is None


@virtual_time
async def test_the_log_names_what_is_absent_in_one_line_and_then_what_comes_and_goes() -> None:
    scene = Scene(POOL_V1, POOL_V1ALPHA2, MODEL)
    scene.wire.answer("GET", V1, MISSING, POOLS, DOWN, DOWN, DOWN, POOLS, MISSING)
    scene.wire.answer("GET", V1ALPHA2, POOLS, POOLS, DOWN, DOWN, DOWN, POOLS)
    with capture_logs() as lines:
        async with scene.running():
            await anyio.sleep(10 * RECHECK)
    kinds = [line for line in lines if "kind" in line["event"]]
    gone = "inferencepools.inference.networking.k8s.io"
    assert [line.get("absent") or (line["event"], line["kind"]) for line in kinds] == [
        ["inferencemodels.inference.networking.x-k8s.io", gone],
        ("kind is served", gone),
        ("kind is not served", gone),
    ]


@virtual_time
async def test_an_outage_of_discovery_is_a_line_at_its_begin_and_one_at_its_end() -> None:
    scene = Scene(POOL_V1, POOL_V1ALPHA2)
    refused = Response(403, {}, b"no")
    scene.wire.answer("GET", V1, refused, refused, POOLS)
    scene.wire.answer("GET", V1ALPHA2, refused, refused, POOLS)
    with capture_logs() as lines:
        async with scene.running():
            await anyio.sleep(5 * RECHECK)
    told = [(line["event"], line.get("asked")) for line in lines if line["event"].startswith("discovery")]
    assert told == [
        ("discovery failed", ["inference.networking.k8s.io/v1", "inference.networking.x-k8s.io/v1alpha2"]),
        ("discovery works again", None),
    ]
