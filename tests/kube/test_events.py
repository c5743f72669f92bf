"""Events are written in the background, the same ones as a count, and never hold up who records them.

Rules: EVENT-1.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from aioctl.kube.client import Client
from aioctl.kube.errors import TransportError
from aioctl.kube.events import QUEUE, REMEMBERED, REPEAT, EventRecorder, EventsObserver, regarding
from aioctl.kube.wire import Request, Response
from testbed.scripted_wire import ScriptedWire, encode, status_body
from testbed.virtual_time import VirtualClock, virtual_time

PATH = "/api/v1/namespaces/n/events"
SERVICE = {
    "apiVersion": "serving.kserve.io/v1alpha2",
    "kind": "LLMInferenceService",
    "metadata": {"name": "s", "namespace": "n", "uid": "u", "resourceVersion": "7"},
}
REF = regarding(SERVICE)
OK = Response(201, {}, b"{}")


class Counts(EventsObserver):
    def __init__(self) -> None:
        self.written = 0
        self.dropped: list[str] = []

    def event_written(self) -> None:
        self.written += 1

    def event_dropped(self, why: str) -> None:
        self.dropped.append(why)


class Scene:
    def __init__(self, queue: int = QUEUE) -> None:
        self.wire = ScriptedWire()
        self.counts = Counts()
        self.recorder = EventRecorder(
            Client(self.wire), instance="pod-1", queue=queue, clock=VirtualClock(), observer=self.counts
        )

    def bodies(self, method: str) -> list[dict[str, Any]]:
        return [msgspec.json.decode(request.body or b"") for request in self.wire.asked(method)]

    def create_then(self, patched: Response) -> Callable[[Request], Response]:
        """Answers a create, and scripts the answer to patches of the new event."""

        def create(request: Request) -> Response:
            name = msgspec.json.decode(request.body or b"")["metadata"]["name"]
            self.wire.answer("PATCH", f"{PATH}/{name}", patched)
            return OK

        return create

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.recorder.run)
            yield
            tasks.cancel_scope.cancel()


@virtual_time
async def test_an_event_is_a_core_event_of_the_go_controllers_component() -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, OK)
    async with scene.running():
        scene.recorder.event(REF, "Normal", "Created", "Created v1.HTTPRoute n/s")
        await anyio.sleep(1)
    [body] = scene.bodies("POST")
    name = body["metadata"].pop("name")
    assert name.startswith("s.")
    assert body == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "n"},
        "involvedObject": {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "name": "s",
            "namespace": "n",
            "uid": "u",
            "resourceVersion": "7",
        },
        "type": "Normal",
        "reason": "Created",
        "message": "Created v1.HTTPRoute n/s",
        "source": {"component": "LLMInferenceServiceController"},
        "reportingComponent": "LLMInferenceServiceController",
        "reportingInstance": "pod-1",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }


@pytest.mark.parametrize(
    ("kind", "component"),
    [
        ("LLMInferenceService", "LLMInferenceServiceController"),
        ("LLMInferenceServiceConfig", "LLMInferenceServiceConfigController"),
    ],
)
@virtual_time
async def test_services_and_configs_have_a_source_each(kind: str, component: str) -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, OK)
    async with scene.running():
        scene.recorder.event({**REF, "kind": kind}, "Warning", "DeletionBlocked", "x")
        await anyio.sleep(1)
    [body] = scene.bodies("POST")
    assert (body["source"], body["reportingComponent"]) == ({"component": component}, component)


@virtual_time
async def test_the_same_event_again_becomes_a_count_at_most_once_per_interval() -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, scene.create_then(OK))
    async with scene.running():
        for _ in range(30):
            scene.recorder.event(REF, "Warning", "Error", "Reconciliation failed: x")
            await anyio.sleep(1)
        await anyio.sleep(REPEAT)
    assert [body["count"] for body in scene.bodies("POST")] == [1]
    patches = scene.bodies("PATCH")
    assert [patch["count"] for patch in patches] == [11, 21, 30]
    assert patches[-1]["lastTimestamp"] == "2026-01-01T00:00:29Z"
    assert scene.counts.written == 4


@virtual_time
async def test_distinct_messages_and_objects_are_never_merged() -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, OK)
    async with scene.running():
        for number in range(50):
            scene.recorder.event(REF, "Normal", "Created", f"Created thing {number}")
        scene.recorder.event({**REF, "uid": "other"}, "Normal", "Created", "Created thing 0")
        await anyio.sleep(1)
    bodies = scene.bodies("POST")
    assert len(bodies) == 51
    assert len({body["metadata"]["name"] for body in bodies}) == 51


@virtual_time
async def test_events_written_before_the_queue_is_full_are_kept_and_the_rest_is_counted() -> None:
    scene = Scene(queue=100)
    scene.wire.answer("POST", PATH, OK)
    for number in range(105):
        scene.recorder.event(REF, "Normal", "Created", str(number))
    assert scene.counts.dropped == ["full"] * 5
    async with scene.running():
        await anyio.sleep(1)
    assert scene.counts.written == 100


@virtual_time
async def test_what_a_burst_left_behind_is_forgotten_when_it_is_written_and_not_at_the_next_event() -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, OK)
    for number in range(REMEMBERED + 1):
        scene.recorder.event(REF, "Normal", "Created", str(number))
    async with scene.running():
        await anyio.sleep(2 * REPEAT)
        assert scene.counts.written == REMEMBERED + 1
        scene.recorder.event(REF, "Normal", "Created", "0")
        await anyio.sleep(REPEAT)
    assert scene.bodies("PATCH") == []
    assert [body["count"] for body in scene.bodies("POST") if body["message"] == "0"] == [1, 1]


@pytest.mark.parametrize("stopped", [True, False])
@virtual_time
async def test_an_event_that_is_being_written_is_not_forgotten(stopped: bool) -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, scene.create_then(OK))
    async with scene.running():
        for _ in range(2):
            scene.recorder.event(REF, "Warning", "Error", "repeated")
            await anyio.sleep(1)
        for number in range(REMEMBERED):
            scene.recorder.event(REF, "Normal", "Created", str(number))
        await anyio.sleep(REPEAT / 2)
        scene.wire.delay = REPEAT
        await anyio.sleep(REPEAT)
        # Of all that is known, what is on its way was recorded longest ago.
        assert [patch["count"] for patch in scene.bodies("PATCH")] == [2]
        scene.recorder.event(REF, "Normal", "Created", "one more")
        if not stopped:
            scene.recorder.event(REF, "Warning", "Error", "repeated")
            await anyio.sleep(4 * REPEAT)
        scene.wire.delay = 0
    assert [patch["count"] for patch in scene.bodies("PATCH")] == [2, 2 if stopped else 3]
    assert len([body for body in scene.bodies("POST") if body["message"] == "repeated"]) == 1


@virtual_time
async def test_a_server_that_is_down_delays_events_and_a_refusal_drops_only_that_one() -> None:
    scene = Scene()
    down = TransportError("reset", maybe_sent=True)
    forbidden = Response(403, {}, encode(status_body(403, "Forbidden", "namespace is being terminated")))
    scene.wire.answer("POST", PATH, down, OK, forbidden, OK)
    async with scene.running():
        for message in ("one", "two", "three"):
            scene.recorder.event(REF, "Normal", "Created", message)
        await anyio.sleep(20)
    assert [body["message"] for body in scene.bodies("POST")] == ["one", "one", "two", "three"]
    assert scene.counts.dropped == ["refused"]
    assert scene.counts.written == 2


@virtual_time
async def test_a_create_whose_answer_got_lost_makes_no_second_event() -> None:
    scene = Scene()
    exists = Response(409, {}, encode(status_body(409, "AlreadyExists", "exists")))
    scene.wire.answer("POST", PATH, TransportError("reset", maybe_sent=True), exists)
    async with scene.running():
        scene.recorder.event(REF, "Normal", "Created", "one")
        await anyio.sleep(20)
    first, second = scene.bodies("POST")
    assert first["metadata"]["name"] == second["metadata"]["name"]
    assert scene.counts.written == 1


@virtual_time
async def test_an_event_that_expired_meanwhile_is_created_anew() -> None:
    scene = Scene()
    gone = Response(404, {}, encode(status_body(404, "NotFound", "no such event")))
    scene.wire.answer("POST", PATH, scene.create_then(gone))
    async with scene.running():
        scene.recorder.event(REF, "Normal", "Created", "one")
        await anyio.sleep(4000)
        scene.recorder.event(REF, "Normal", "Created", "one")
        await anyio.sleep(10)
    bodies = scene.bodies("POST")
    assert len({body["metadata"]["name"] for body in bodies}) == 2
    assert [body["count"] for body in bodies] == [1, 1]


@virtual_time
async def test_the_stop_writes_what_is_left_but_not_for_ever() -> None:
    scene = Scene()
    scene.wire.answer("POST", PATH, OK)
    async with scene.running():
        scene.recorder.event(REF, "Normal", "Created", "last words")
    # Cancelled in the middle of a create, it is sent again under the same name.
    assert {body["message"] for body in scene.bodies("POST")} == {"last words"}
    assert len({body["metadata"]["name"] for body in scene.bodies("POST")}) == 1

    stuck = Scene()
    stuck.wire.delay = 1e9
    stuck.wire.answer("POST", PATH, OK)
    started = anyio.current_time()
    async with stuck.running():
        stuck.recorder.event(REF, "Normal", "Created", "never heard")
        await anyio.sleep(1)
    assert anyio.current_time() - started < 5
    assert stuck.counts.dropped == ["failed"]


@virtual_time
async def test_recording_never_waits() -> None:
    scene = Scene()
    scene.wire.delay = 30
    scene.wire.answer("POST", PATH, OK)
    async with scene.running():
        await anyio.lowlevel.checkpoint()
        for number in range(100):
            scene.recorder.event(REF, "Normal", "Created", str(number))
        assert anyio.current_time() == 0


@virtual_time
async def test_events_of_cluster_scoped_objects_go_to_the_default_namespace() -> None:
    scene = Scene()
    scene.wire.answer("POST", "/api/v1/namespaces/default/events", OK)
    async with scene.running():
        scene.recorder.event({"kind": "Node", "name": "x" * 253}, "Normal", "A", "b")
        await anyio.sleep(1)
    assert len(scene.bodies("POST")[0]["metadata"]["name"]) <= 253
