"""The client: what it asks, what it repeats and what it never repeats."""

from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api.kinds import CLUSTER_ROLE, CONFIG_MAP, POOL_V1, SERVICE
from aioctl.kube.client import JSON_PATCH, MAX_ATTEMPTS, Client, ClientObserver
from aioctl.kube.errors import (
    ApiError,
    Conflict,
    Gone,
    KubeError,
    NotFound,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
    asked_to_wait,
)
from aioctl.kube.wire import Request, Response
from testbed.scripted_wire import ScriptedWire, encode, list_body, status_body
from testbed.virtual_time import virtual_time

PATH = "/apis/serving.kserve.io/v1alpha2/namespaces/n/llminferenceservices"
OBJECT: dict[str, Any] = {
    "metadata": {"name": "s", "namespace": "n", "resourceVersion": "1"},
    "spec": {"x": [1, None]},
}


def refusal(code: int, reason: str = "", retry_after: str = "") -> Response:
    headers = {"retry-after": retry_after} if retry_after else {}
    return Response(code, headers, encode(status_body(code, reason, f"answer {code}")))


class Counting(ClientObserver):
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.seconds: list[float] = []

    def request_done(self, method: str, code: str, seconds: float) -> None:
        self.calls.append((method, code))
        self.seconds.append(seconds)


@pytest.mark.parametrize("name", ["", "..", "../pods/p"])
async def test_what_is_no_name_of_an_object_is_never_sent(name: str) -> None:
    client = Client(ScriptedWire())
    nameless = {**OBJECT, "metadata": {"name": name, "namespace": "n"}}
    for call in (
        client.get(SERVICE, "n", name),
        client.update(SERVICE, nameless),
        client.patch(SERVICE, "n", name, {}),
        client.delete(SERVICE, "n", name),
    ):
        with pytest.raises(ValueError, match="name"):
            await call


@virtual_time
async def test_each_call_gets_the_time_that_the_client_was_given() -> None:
    wire = ScriptedWire()
    for method, path in (
        ("POST", PATH),
        ("PUT", f"{PATH}/s"),
        ("PATCH", f"{PATH}/s"),
        ("DELETE", f"{PATH}/s"),
    ):
        wire.answer(method, path, body=OBJECT)
    wire.delay = 3600.0
    client = Client(wire, call_timeout=7.0)
    for call in (
        client.create(SERVICE, "n", OBJECT),
        client.update(SERVICE, OBJECT),
        client.patch(SERVICE, "n", "s", {}),
        client.delete(SERVICE, "n", "s"),
    ):
        began = anyio.current_time()
        with pytest.raises(TransportError):
            await call
        assert anyio.current_time() - began == 7.0


async def test_each_call_asks_for_its_path_query_and_body() -> None:
    wire = ScriptedWire()
    client = Client(wire)
    wire.answer("GET", f"{PATH}/s", body=OBJECT)
    wire.answer("POST", PATH, status=201, body=OBJECT)
    wire.answer("PUT", f"{PATH}/s/status", body=OBJECT)
    wire.answer("PATCH", f"{PATH}/s", body=OBJECT)
    wire.answer("DELETE", f"{PATH}/s", body={"kind": "Status"})

    assert await client.get(SERVICE, "n", "s") == OBJECT
    assert await client.create(SERVICE, "n", OBJECT) == OBJECT
    assert await client.update(SERVICE, OBJECT, subresource="status", dry_run=True) == OBJECT
    assert await client.patch(SERVICE, "n", "s", {"spec": None}) == OBJECT
    assert await client.patch(SERVICE, "n", "s", [], content_type=JSON_PATCH) == OBJECT
    await client.delete(SERVICE, "n", "s", uid="u", resource_version="7")

    asked = [(request.method, request.path, dict(request.query)) for request in wire.requests]
    manager = {"fieldManager": "aioctl"}
    assert asked == [
        ("GET", f"{PATH}/s", {}),
        ("POST", PATH, manager),
        ("PUT", f"{PATH}/s/status", {**manager, "dryRun": "All"}),
        ("PATCH", f"{PATH}/s", manager),
        ("PATCH", f"{PATH}/s", manager),
        ("DELETE", f"{PATH}/s", {}),
    ]
    bodies = [msgspec.json.decode(request.body) if request.body else None for request in wire.requests]
    assert bodies == [
        None,
        OBJECT,
        OBJECT,
        {"spec": None},
        [],
        {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": "u", "resourceVersion": "7"},
        },
    ]
    types = [request.headers.get("Content-Type") for request in wire.requests]
    assert types == [
        None,
        "application/json",
        "application/json",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/json",
    ]


async def test_cluster_scoped_and_core_kinds_have_their_own_paths() -> None:
    wire = ScriptedWire()
    wire.answer("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/c", body=OBJECT)
    wire.answer("GET", "/api/v1/namespaces/n/configmaps/c", body=OBJECT)
    await Client(wire).get(CLUSTER_ROLE, "", "c")
    await Client(wire).get(CONFIG_MAP, "n", "c")


@virtual_time
async def test_429_is_repeated_after_the_time_the_server_asked_for_even_for_a_create() -> None:
    wire = ScriptedWire()
    wire.answer("POST", PATH, refusal(429, "TooManyRequests", "3"), Response(201, {}, encode(OBJECT)))
    assert await Client(wire).create(SERVICE, "n", OBJECT) == OBJECT
    assert 3.0 <= anyio.current_time() < 5.5
    assert len(wire.requests) == 2


@virtual_time
async def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    wire = ScriptedWire()
    wire.answer("GET", f"{PATH}/s", refusal(429, "TooManyRequests", "60"))
    with pytest.raises(TooManyRequests) as caught:
        await Client(wire).get(SERVICE, "n", "s")
    assert caught.value.retry_after == 60
    assert anyio.current_time() == 0
    assert len(wire.requests) == 1


@pytest.mark.parametrize("code", [429, 503])
@virtual_time
async def test_without_patience_every_wait_is_left_to_the_caller_and_the_rest_repeated_as_ever(
    code: int,
) -> None:
    wire = ScriptedWire()
    wire.answer("GET", f"{PATH}/s", refusal(code, retry_after="1"))
    wire.answer("POST", PATH, refusal(429), Response(201, {}, encode(OBJECT)))
    client = Client(wire).with_patience(0)
    with pytest.raises(ApiError) as caught:
        await client.get(SERVICE, "n", "s")
    assert asked_to_wait(caught.value) == 1
    assert anyio.current_time() == 0
    assert len(wire.requests) == 1
    assert await client.create(SERVICE, "n", OBJECT) == OBJECT
    assert 0 < anyio.current_time() < 1


REFUSED = TransportError("refused", maybe_sent=False)
BROKEN = TransportError("broken", maybe_sent=True)


async def call(client: Client, method: str) -> None:
    match method:
        case "GET":
            await client.get(SERVICE, "n", "s")
        case "POST":
            await client.create(SERVICE, "n", OBJECT)
        case "PUT":
            await client.update(SERVICE, OBJECT)
        case "PATCH":
            await client.patch(SERVICE, "n", "s", {})
        case _:
            await client.delete(SERVICE, "n", "s")


@pytest.mark.parametrize(
    ("answer", "repeats_reads", "repeats_writes"),
    [
        (refusal(429), True, True),
        (refusal(503, retry_after="1"), True, True),
        (refusal(503), True, False),
        (refusal(500), True, False),
        (refusal(504), True, False),
        (REFUSED, True, True),
        (BROKEN, True, False),
        (refusal(404), False, False),
        (refusal(403), False, False),
        (refusal(409), False, False),
        (refusal(410), False, False),
        (refusal(422), False, False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_only_what_certainly_changed_nothing_is_repeated(
    method: str, answer: Response | Exception, repeats_reads: bool, repeats_writes: bool
) -> None:
    @virtual_time
    async def scenario() -> None:
        wire = ScriptedWire()
        wire.answer(method, PATH if method == "POST" else f"{PATH}/s", answer)
        client = Client(wire)
        with pytest.raises(KubeError):
            await call(client, method)
        repeats = repeats_reads if method == "GET" else repeats_writes
        assert len(wire.requests) == (MAX_ATTEMPTS if repeats else 1)
        assert anyio.current_time() < 12

    scenario()


async def test_errors_come_as_the_tree_with_the_servers_words() -> None:
    wire = ScriptedWire()
    wire.answer(
        "GET", f"{PATH}/s", status=404, body=status_body(404, "NotFound", 'x "s" not found', {"name": "s"})
    )
    wire.answer("PUT", f"{PATH}/s", status=409, body=status_body(409, "Conflict", "modified"))
    with pytest.raises(NotFound, match='x "s" not found'):
        await Client(wire).get(SERVICE, "n", "s")
    with pytest.raises(Conflict, match="modified"):
        await Client(wire).update(SERVICE, OBJECT)


async def test_an_answer_that_is_no_object_is_a_transport_error() -> None:
    wire = ScriptedWire()
    wire.answer("POST", PATH, status=200, body=b"<html>")
    with pytest.raises(TransportError, match="cannot be read") as caught:
        await Client(wire).create(SERVICE, "n", OBJECT)
    assert caught.value.maybe_sent


@virtual_time
async def test_every_exchange_is_observed_with_its_code_and_duration() -> None:
    wire = ScriptedWire(delay=0.5)
    observer = Counting()
    wire.answer("GET", f"{PATH}/s", REFUSED, refusal(429), Response(200, {}, encode(OBJECT)))
    await Client(wire, observer=observer).get(SERVICE, "n", "s")
    assert observer.calls == [("GET", "<error>"), ("GET", "429"), ("GET", "200")]
    assert observer.seconds == pytest.approx([0.5, 0.5, 0.5])


@virtual_time
async def test_every_attempt_passes_the_rate_limit() -> None:
    class Limiter:
        passed = 0

        async def acquire(self) -> None:
            self.passed += 1

    limiter = Limiter()
    wire = ScriptedWire()
    client = Client(wire, limiter=limiter)
    wire.answer("GET", f"{PATH}/s", refusal(429), Response(200, {}, encode(OBJECT)))
    await client.get(SERVICE, "n", "s")
    async with client.watch(SERVICE, namespace="n"):
        pass
    assert limiter.passed == 3


@virtual_time
async def test_a_call_without_an_answer_ends_at_its_deadline() -> None:
    wire = ScriptedWire(delay=1e9)
    wire.answer("POST", PATH, body=OBJECT)
    with pytest.raises(TransportError):
        await Client(wire).create(SERVICE, "n", OBJECT)
    assert anyio.current_time() == 35.0


@virtual_time
@pytest.mark.parametrize("deadline", [1.0, 10.0, 35.0])
async def test_a_read_that_ran_into_its_deadline_is_not_repeated(deadline: float) -> None:
    wire = ScriptedWire(delay=1e9)
    wire.answer("GET", f"{PATH}/s", body=OBJECT)
    with pytest.raises(TransportError):
        await Client(wire, call_timeout=deadline).get(SERVICE, "n", "s")
    assert anyio.current_time() == deadline
    assert len(wire.requests) == 1


@virtual_time
async def test_a_page_of_a_list_has_a_deadline_of_its_own() -> None:
    wire = ScriptedWire(delay=1e9)
    wire.answer("GET", PATH, body=OBJECT)
    with pytest.raises(TransportError):
        _ = [page async for page in Client(wire, list_timeout=30.0).list_pages(SERVICE, namespace="n")]
    assert anyio.current_time() == 30.0


async def test_a_list_comes_in_pages_of_raw_objects() -> None:
    wire = ScriptedWire()
    path = SERVICE.path()
    wire.answer(
        "GET",
        path,
        Response(200, {}, encode(list_body([{"metadata": {"name": "a"}}], "5", "next"))),
        Response(200, {}, encode(list_body([{"metadata": {"name": "b"}}], "5"))),
    )
    pages = [page async for page in Client(wire).list_pages(SERVICE, labels="x=y", fields="a=b", limit=1)]
    assert [page.items for page in pages] == [[b'{"metadata":{"name":"a"}}'], [b'{"metadata":{"name":"b"}}']]
    assert [(page.resource_version, page.more) for page in pages] == [("5", True), ("5", False)]
    first, second = (dict(request.query) for request in wire.requests)
    assert first == {"labelSelector": "x=y", "fieldSelector": "a=b", "limit": "1"}
    assert second == {**first, "continue": "next"}


async def test_a_list_at_a_version_names_it_only_on_the_first_page() -> None:
    wire = ScriptedWire()
    wire.answer(
        "GET",
        SERVICE.path(),
        Response(200, {}, encode(list_body([], "5", "next"))),
        Response(200, {}, encode({"kind": "List", "metadata": {"resourceVersion": "5"}, "items": None})),
    )
    pages = [page async for page in Client(wire).list_pages(SERVICE, limit=0, resource_version="0")]
    assert [page.items for page in pages] == [[], []]
    assert [dict(request.query) for request in wire.requests] == [
        {"resourceVersion": "0"},
        {"continue": "next"},
    ]


async def test_metadata_only_asks_for_partial_objects() -> None:
    wire = ScriptedWire()
    wire.answer("GET", POOL_V1.path(), body=list_body([], "1"))
    _ = [page async for page in Client(wire).list_pages(POOL_V1, metadata_only=True)]
    async with Client(wire).watch(POOL_V1, metadata_only=True):
        pass
    accepts = [request.headers["Accept"] for request in wire.requests]
    assert accepts == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]


async def test_a_watch_yields_raw_objects_and_asks_for_bookmarks_and_an_end() -> None:
    wire = ScriptedWire()
    stream = wire.stream_answer(SERVICE.path())
    stream.send({"type": "ADDED", "object": {"a": 1}}, {"type": "BOOKMARK", "object": {"b": [2]}})
    stream.end()
    async with Client(wire).watch(SERVICE, resource_version="9", server_timeout=240.4) as events:
        seen = [(event.type, event.object) async for event in events]
    assert seen == [("ADDED", b'{"a":1}'), ("BOOKMARK", b'{"b":[2]}')]
    assert dict(wire.requests[0].query) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "240",
        "resourceVersion": "9",
    }
    assert stream.closed


@pytest.mark.parametrize("where", ["opening", "inside"])
async def test_a_forgotten_version_is_gone_whether_the_answer_or_an_event_says_so(where: str) -> None:
    wire = ScriptedWire()
    expired = status_body(410, "Expired", "too old resource version")
    if where == "opening":
        wire.stream_answer(SERVICE.path(), status=410, body=expired)
    else:
        wire.stream_answer(SERVICE.path()).send({"type": "ERROR", "object": expired})
    with pytest.raises(Gone, match="too old"):
        async with Client(wire).watch(SERVICE, resource_version="1") as events:
            _ = [event async for event in events]


@virtual_time
async def test_a_watch_in_silence_ends_as_a_transport_error() -> None:
    wire = ScriptedWire()
    wire.stream_answer(SERVICE.path())
    with pytest.raises(TransportError):
        async with Client(wire).watch(SERVICE, idle_timeout=90) as events:
            _ = [event async for event in events]
    assert anyio.current_time() == 90


async def test_watches_are_observed_once_when_they_open_or_fail() -> None:
    wire = ScriptedWire()
    observer = Counting()
    client = Client(wire, observer=observer)
    wire.stream_answer(SERVICE.path()).end()
    wire.stream_answer(SERVICE.path(), status=503)
    wire.stream_answer(SERVICE.path(), error=REFUSED)
    wire.stream_answer(SERVICE.path()).cut()
    outcomes: list[type[KubeError] | None] = []
    for _ in range(4):
        try:
            async with client.watch(SERVICE) as events:
                _ = [event async for event in events]
            outcomes.append(None)
        except KubeError as error:
            outcomes.append(type(error))
    assert outcomes == [None, ServerUnavailable, TransportError, TransportError]
    assert observer.calls == [("GET", "200"), ("GET", "503"), ("GET", "<error>"), ("GET", "200")]


async def test_get_raw_answers_the_body_and_raises_the_tree() -> None:
    wire = ScriptedWire()
    wire.answer("GET", "/version", body=b"v")
    wire.answer("GET", "/nope", status=404, body=b"404 page not found")
    assert await Client(wire).get_raw("/version") == b"v"
    with pytest.raises(ApiError):
        await Client(wire).get_raw("/nope")


async def test_closing_the_client_closes_the_wire() -> None:
    wire = ScriptedWire()
    await Client(wire).aclose()
    assert wire.closed


def test_a_request_is_plain_data() -> None:
    assert Request("GET", "/a") == Request("GET", "/a", (), {}, None)
