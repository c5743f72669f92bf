"""The conversion endpoint: every usable request gets a well-formed answer, and a large one leaves the loop to others."""

import json
import tracemalloc
from io import BytesIO
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api.kinds import V1ALPHA1, V1ALPHA2
from aioctl.engine.turnstile import Turnstile
from aioctl.serving.conversion import PER_OBJECT, ConversionHandler, ConversionObserver
from aioctl.serving.limits import Limits
from aioctl.serving.line import Refused
from aioctl.serving.webhook import Answer, Call, WebhookServer
from tests.serving.support import Ca, Recorder, client, running

POD = {
    "containers": [
        {"name": f"c{i}", "args": ["--x", '"},{'], "env": [{"name": "A", "value": "b" * 40}]}
        for i in range(90)
    ]
}


def service(name: str, version: str = V1ALPHA1, **more: Any) -> dict[str, Any]:
    managers = [{"apiVersion": version, "manager": "a"}, {"apiVersion": version, "manager": "b"}]
    return {
        "apiVersion": version,
        "kind": "LLMInferenceService",
        "metadata": {"managedFields": managers, "name": name, "namespace": "ns", "uid": name},
        "spec": {"model": {"uri": "hf://a/b"}, **more},
    }


def review(objects: list[Any], desired: str = V1ALPHA2, version: str = "apiextensions.k8s.io/v1") -> bytes:
    request = {"uid": "u-1", "desiredAPIVersion": desired, "objects": objects}
    whole = {"kind": "ConversionReview", "apiVersion": version, "request": request}
    return json.dumps(whole, separators=(",", ":")).encode()


class Seen(ConversionObserver):
    def __init__(self) -> None:
        self.reviews: list[tuple[str, str, int]] = []

    def reviewed(self, direction: str, result: str, seconds: float, objects: int) -> None:
        assert seconds >= 0
        self.reviews.append((direction, result, objects))


async def ask(handler: ConversionHandler, body: bytes) -> Answer:
    return await handler.answer(Call("/convert", "application/json", anyio.current_time(), bytearray(body)))


def decoded(answer: Answer) -> Any:
    body = b"".join(answer.pieces)
    assert answer.length in {None, len(body)}
    if answer.sent is not None:
        answer.sent()
    return json.loads(body)


@pytest.mark.parametrize("version", ["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"])
async def test_objects_come_back_converted_in_their_order(version: str) -> None:
    seen = Seen()
    handler = ConversionHandler(Turnstile(), observer=seen)
    names = [f"s{i}" for i in range(5)]
    answer = await ask(handler, review([service(name) for name in names], version=version))
    found = decoded(answer)
    assert (found["apiVersion"], found["kind"]) == (version, "ConversionReview")
    assert found["response"]["uid"] == "u-1"
    assert found["response"]["result"] == {"status": "Success"}
    converted = found["response"]["convertedObjects"]
    assert [obj["metadata"]["name"] for obj in converted] == names
    assert {obj["apiVersion"] for obj in converted} == {V1ALPHA2}
    assert seen.reviews == [("up", "success", 5)]


@pytest.mark.parametrize("desired", [V1ALPHA1, V1ALPHA2])
async def test_a_review_that_is_taken_apart_is_answered_as_one_that_is_not(desired: str) -> None:
    source = V1ALPHA1 if desired == V1ALPHA2 else V1ALPHA2
    objects = [service(f"s{i}", source, template=POD, replicas=i) for i in range(120)]
    body = review(objects, desired)
    assert len(body) > 1024 * 1024
    found = decoded(await ask(ConversionHandler(Turnstile()), body))
    expected = [{**obj, "apiVersion": desired} for obj in objects]
    assert found["response"]["convertedObjects"] == expected
    pretty = json.dumps(json.loads(body), indent=1).encode()
    assert decoded(await ask(ConversionHandler(Turnstile()), pretty)) == found


async def test_one_object_that_fails_fails_the_whole_review_by_name() -> None:
    seen = Seen()
    handler = ConversionHandler(Turnstile(), observer=seen)
    bad = {**service("bad"), "apiVersion": "serving.kserve.io/v1beta1"}
    answer = await ask(handler, review([service("good"), bad]))
    assert answer.status == 200
    response = decoded(answer)["response"]
    assert response["uid"] == "u-1"
    assert not response.get("convertedObjects")
    assert response["result"]["status"] == "Failure"
    assert "ns/bad" in response["result"]["message"]
    assert "v1beta1" in response["result"]["message"]
    assert seen.reviews == [("up", "failure", 2)]


async def test_no_objects_are_a_success() -> None:
    response = decoded(await ask(ConversionHandler(Turnstile()), review([])))["response"]
    assert response == {"uid": "u-1", "convertedObjects": None, "result": {"status": "Success"}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1"}',
        b"\xff\xfe",
    ],
)
async def test_only_a_body_without_a_usable_request_gets_400(body: bytes) -> None:
    seen = Seen()
    answer = await ask(ConversionHandler(Turnstile(), observer=seen), body)
    assert (answer.status, b"".join(answer.pieces)) == (400, b"")
    assert seen.reviews == [("unknown", "bad_request", 0)]


async def test_a_crash_of_the_converter_is_a_failure_with_the_uid() -> None:
    def crash(raw: msgspec.Raw, desired: str) -> bytes:
        raise RecursionError

    seen = Seen()
    handler = ConversionHandler(Turnstile(), observer=seen, convert=crash)
    answer = await ask(handler, review([service("a")]))
    response = decoded(answer)["response"]
    assert (answer.status, response["uid"]) == (200, "u-1")
    assert response["result"] == {"status": "Failure", "message": "internal error occurred during conversion"}
    assert seen.reviews == [("up", "panic", 1)]


async def test_a_review_over_the_limit_is_told_the_limit_and_the_cure(ca: Ca) -> None:
    turnstile = Turnstile()
    handler = ConversionHandler(turnstile, body_limit=100)
    webhook = WebhookServer(
        "127.0.0.1", 0, ca.live(), {"/convert": handler}, limits=Limits(), turnstile=turnstile
    )
    async with running(webhook), client(webhook.port, ca) as http:
        answer = await http.post("/convert?timeout=30s", data=b"x" * 101)
        assert answer.status == 413
        assert "has 101 bytes and the limit is 100; read the list in pages" in await answer.text()


async def test_a_long_list_goes_through_in_short_stretches(ca: Ca) -> None:
    turnstile, seen, observer = Turnstile(), Seen(), Recorder()
    handlers = {"/convert": ConversionHandler(turnstile, observer=seen)}
    webhook = WebhookServer(
        "127.0.0.1", 0, ca.live(), handlers, limits=Limits(), turnstile=turnstile, observer=observer
    )
    body = review([service(f"s{i}", template=POD) for i in range(1500)])
    assert len(body) > 12_000_000
    single = review([service("single")])
    singles = 0
    async with running(webhook), client(webhook.port, ca) as http, anyio.create_task_group() as group:
        finished = anyio.Event()

        async def long() -> None:
            async with http.post("/convert?timeout=30s", data=BytesIO(body)) as answer:
                assert answer.status == 200
                found = msgspec.json.decode(await answer.read())
            finished.set()
            converted = found["response"]["convertedObjects"]
            assert [obj["metadata"]["name"] for obj in converted] == [f"s{i}" for i in range(1500)]

        group.start_soon(long)
        while not finished.is_set():
            async with http.post("/convert", data=single) as answer:
                assert json.loads(await answer.read())["response"]["result"]["status"] == "Success"
            singles += 1
    assert singles >= 10, "single objects wait for a list no longer than a few slices"
    assert ("up", "success", 1500) in seen.reviews
    assert observer.calls[-1][1] == 200


async def test_memory_stays_below_four_times_the_review() -> None:
    body = bytearray(review([service(f"s{i}", template=POD) for i in range(400)]))
    size = len(body)
    handler = ConversionHandler(Turnstile())
    call = Call("/convert", "application/json", 0.0, body)
    del body
    tracemalloc.start()
    try:
        answer = await handler.answer(call)
        written = sum(len(piece) for piece in answer.pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written > 0.9 * size
    assert peak + size < 3 * size


@pytest.mark.parametrize("first", [[], [service("a")]])
async def test_numbers_instead_of_objects_are_refused_before_they_cost_anything(first: list[Any]) -> None:
    body = bytearray(review([*first, *range(2_000_000)]))
    call = Call("/convert", "application/json", 0.0, body)
    del body
    tracemalloc.start()
    try:
        answer = await ConversionHandler(Turnstile()).answer(call)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    response = decoded(answer)["response"]
    assert (answer.status, response["uid"], response["result"]["status"]) == (200, "u-1", "Failure")
    assert f"objects[{len(first)}] is not an object" in response["result"]["message"]
    assert peak < 1024 * 1024


@pytest.mark.parametrize("entry", [1, None, "x", [], True])
async def test_an_entry_of_a_small_review_that_is_no_object_is_refused_too(entry: Any) -> None:
    response = decoded(await ask(ConversionHandler(Turnstile()), review([service("a"), entry])))["response"]
    assert (response["uid"], response["result"]["status"]) == ("u-1", "Failure")
    assert response["result"]["message"]


@pytest.mark.parametrize("count", [3, 200])
async def test_what_a_review_becomes_is_charged(count: int) -> None:
    charged = 0

    async def charge(size: int) -> None:
        nonlocal charged
        charged += size

    body = review([service(f"s{i}", template=POD) for i in range(count)])
    answer = await ConversionHandler(Turnstile()).answer(Call("/convert", "", 0.0, body, charge))
    converted = sum(len(piece) for piece in answer.pieces)
    assert charged >= count * PER_OBJECT
    if count > 3:
        assert charged >= count * PER_OBJECT + 0.99 * converted


async def test_a_review_for_which_there_is_no_memory_is_refused_by_the_line() -> None:
    async def charge(size: int) -> None:
        raise Refused("too many")

    with pytest.raises(Refused, match="too many"):
        await ConversionHandler(Turnstile()).answer(
            Call("/convert", "", anyio.current_time(), review([service("a")]), charge)
        )
