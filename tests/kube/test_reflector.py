"""The reflector keeps its store equal to the server, whatever happens to lists and watches."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from structlog.testing import capture_logs

from aioctl.api.kinds import POOL_V1, SERVICE, Kind, ObjectKey
from aioctl.engine.store import Delta, Store
from aioctl.kube.cached import Cached
from aioctl.kube.client import Client
from aioctl.kube.errors import TransportError
from aioctl.kube.reflector import RECHECK, SILENCE, Reflector
from aioctl.kube.wire import Response
from tests.support.scripted_wire import ScriptedStream, ScriptedWire, encode, list_body, status_body
from tests.support.virtual_time import VirtualClock, virtual_time

PATH = POOL_V1.path()
EXPIRED = status_body(410, "Expired", "too old resource version")
NO_KIND = Response(404, {}, b"404 page not found\n")


def pool(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": f"u-{name}",
            "resourceVersion": str(version),
            **more,
        }
    }


def listing(*items: Any, version: int, more: str = "") -> Response:
    return Response(200, {}, encode(list_body(list(items), str(version), more)))


class Watcher:
    def __init__(self) -> None:
        self.lists: list[int] = []
        self.ends: list[str] = []
        self.absences: list[bool] = []

    def listed(self, kind: Kind, objects: int, seconds: float) -> None:
        self.lists.append(objects)

    def watch_ended(self, kind: Kind, why: str) -> None:
        self.ends.append(why)

    def presence_changed(self, kind: Kind, absent: bool) -> None:
        self.absences.append(absent)


class Scene:
    """One reflector on a scripted wire."""

    def __init__(self, **options: Any) -> None:
        self.wire = ScriptedWire()
        self.store: Store[ObjectKey, Cached] = Store()
        self.deltas: list[tuple[str, str, bool]] = []
        self.store.subscribe(self._note)
        self.seen = Watcher()
        self.reflector = Reflector(
            Client(self.wire), POOL_V1, self.store, observer=self.seen, clock=VirtualClock(), **options
        )

    def _note(self, delta: Delta[ObjectKey, Cached]) -> None:
        verb = "added" if delta.old is None else "removed" if delta.new is None else "changed"
        self.deltas.append((verb, delta.key.name, delta.initial))

    @property
    def held(self) -> dict[str, str]:
        return {item.key.name: item.resource_version for item in self.store.values()}

    def synced(self) -> bool:
        return self.store.synced

    def absent(self) -> bool:
        return self.reflector.absent

    def list_answer(self, *answers: Response | Exception) -> None:
        self.wire.answer("GET", PATH, *answers)

    def stream(self, **options: Any) -> ScriptedStream:
        return self.wire.stream_answer(PATH, **options)

    def versions_watched(self) -> list[str]:
        return [dict(request.query)["resourceVersion"] for request in self.wire.asked("WATCH")]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(lambda task_status: self.reflector.run(task_status=task_status))
            yield
            tasks.cancel_scope.cancel()


async def settle() -> None:
    await anyio.sleep(0.001)


@virtual_time
async def test_the_pages_of_the_first_list_are_initial_and_later_events_are_live() -> None:
    scene = Scene(page=2)
    scene.list_answer(
        listing(pool("a", 1), pool("b", 2), version=5, more="next"), listing(pool("c", 3), version=5)
    )
    stream = scene.stream()
    async with scene.running():
        assert not scene.synced()
        await scene.store.wait_synced()
        await settle()
        assert scene.held == {"a": "1", "b": "2", "c": "3"}
        assert scene.deltas == [("added", name, True) for name in "abc"]
        assert scene.versions_watched() == ["5"]
        scene.deltas.clear()
        stream.send(
            {"type": "MODIFIED", "object": pool("a", 6)},
            {"type": "ADDED", "object": pool("d", 7)},
            {"type": "DELETED", "object": pool("b", 8)},
        )
        await settle()
    assert scene.held == {"a": "6", "c": "3", "d": "7"}
    assert scene.deltas == [("changed", "a", False), ("added", "d", False), ("removed", "b", False)]
    assert scene.seen.lists == [3]


@virtual_time
async def test_a_watch_that_ends_goes_on_from_the_last_version_seen_bookmarks_included() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5))
    first, second, third = scene.stream(), scene.stream(), scene.stream()
    async with scene.running():
        first.send({"type": "ADDED", "object": pool("a", 6)})
        await anyio.sleep(15)
        first.end()
        await settle()
        second.send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "40"}}})
        await anyio.sleep(15)
        second.end()
        await settle()
        assert not third.closed
    assert scene.versions_watched() == ["5", "6", "40"]
    assert scene.seen.ends == ["end", "end"]
    assert scene.seen.lists == [0]
    assert scene.held == {"a": "6"}


@virtual_time
async def test_a_cut_watch_is_opened_again_and_the_cache_stays_in_sync() -> None:
    scene = Scene()
    scene.list_answer(listing(pool("a", 1), version=5))
    stream = scene.stream()
    async with scene.running():
        await anyio.sleep(60)
        stream.cut()
        await settle()
        assert scene.synced()
    assert scene.versions_watched() == ["5", "5"]
    assert scene.seen.ends == ["error"]
    assert len(scene.seen.lists) == 1


@virtual_time
async def test_a_silent_watch_is_given_up_after_its_deadline() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5))
    scene.stream()
    async with scene.running():
        await anyio.sleep(SILENCE - 1)
        assert len(scene.versions_watched()) == 1
        assert scene.reflector.last_event_age == SILENCE - 1
        await anyio.sleep(2)
        assert len(scene.versions_watched()) == 2
        assert scene.reflector.last_event_age is not None
        assert scene.reflector.last_event_age < 2
    assert scene.seen.ends == ["silence"]


@virtual_time
async def test_bookmarks_keep_an_idle_watch_alive() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5))
    stream = scene.stream()
    async with scene.running():
        for minute in range(1, 6):
            await anyio.sleep(60)
            stream.send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(5 + minute)}}})
        await settle()
    assert scene.seen.ends == []
    assert len(scene.versions_watched()) == 1


@virtual_time
async def test_410_lists_again_and_what_vanished_meanwhile_is_seen_as_removed() -> None:
    scene = Scene()
    scene.list_answer(
        listing(pool("a", 1), pool("b", 2), version=5),
        listing(pool("a", 1), pool("c", 9), version=20),
    )
    stream = scene.stream()
    async with scene.running():
        await anyio.sleep(30)
        scene.deltas.clear()
        scene.wire.delay = 1
        stream.send({"type": "ERROR", "object": EXPIRED})
        await anyio.sleep(0.5)
        assert not scene.synced()
        assert scene.held == {"a": "1", "b": "2"}
        await anyio.sleep(5)
        assert scene.synced()
    assert scene.held == {"a": "1", "c": "9"}
    assert scene.deltas == [("added", "c", False), ("removed", "b", False)]
    assert scene.versions_watched()[:2] == ["5", "20"]
    assert scene.seen.ends == ["gone"]


@virtual_time
async def test_410_on_opening_the_watch_lists_again_too() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5), listing(pool("a", 7), version=8))
    scene.stream(status=410, body=EXPIRED)
    async with scene.running():
        await anyio.sleep(5)
        assert scene.held == {"a": "7"}
        assert scene.versions_watched() == ["5", "8"]


@virtual_time
async def test_410_between_two_pages_asks_for_all_in_one_answer() -> None:
    scene = Scene(page=1)
    scene.list_answer(
        listing(pool("a", 1), version=5, more="next"),
        Response(410, {}, encode(EXPIRED)),
        listing(pool("b", 2), version=9),
    )
    async with scene.running():
        await scene.store.wait_synced()
        assert scene.held == {"b": "2"}
    limits = [dict(request.query).get("limit") for request in scene.wire.asked("GET")]
    assert limits == ["1", "1", None]


@virtual_time
async def test_a_failing_server_is_asked_ever_more_slowly_until_it_answers() -> None:
    scene = Scene()
    down = TransportError("refused", maybe_sent=True)
    scene.list_answer(*[down] * 80, listing(pool("a", 1), version=5))
    async with scene.running():
        await anyio.sleep(60)
        assert not scene.synced()
        asked = len(scene.wire.asked("GET"))
        assert 12 <= asked <= 44
        await scene.store.wait_synced()
        assert anyio.current_time() < 900
        assert scene.held == {"a": "1"}


@virtual_time
async def test_watches_that_break_at_once_are_not_opened_in_a_tight_loop() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5))
    for _ in range(100):
        scene.stream(error=TransportError("refused", maybe_sent=False))
    async with scene.running():
        await anyio.sleep(60)
    assert 5 <= len(scene.versions_watched()) <= 15
    assert len(scene.seen.lists) == 1


@virtual_time
async def test_a_kind_that_is_not_served_is_absent_only_after_a_second_look() -> None:
    scene = Scene()
    scene.list_answer(NO_KIND)
    async with scene.running():
        await anyio.sleep(0.5)
        assert not scene.synced()
        assert not scene.absent()
        await scene.store.wait_synced()
        assert scene.absent()
        assert anyio.current_time() < 5
    assert scene.seen.absences == [True]


@virtual_time
async def test_a_404_of_a_proxy_empties_no_cache() -> None:
    lost = Response(404, {}, b"default backend - 404")
    scene = Scene()
    scene.list_answer(listing(pool("a", 1), version=5), lost, lost, lost, listing(pool("a", 1), version=5))
    stream = scene.stream()
    scene.stream(status=404, body=lost.body)
    scene.stream(status=410, body=encode(EXPIRED))
    async with scene.running():
        await anyio.sleep(20)
        stream.end()
        await anyio.sleep(300)
        assert scene.held == {"a": "1"}
        assert scene.synced()
        assert not scene.absent()
    assert scene.deltas == [("added", "a", True)]
    assert scene.seen.absences == []


@virtual_time
async def test_a_kind_that_appears_is_noticed_by_the_next_look_or_a_poke() -> None:
    for poked in (False, True):
        scene = Scene()
        scene.list_answer(NO_KIND, NO_KIND, listing(pool("a", 1), version=5))
        async with scene.running():
            await anyio.sleep(2)
            assert scene.absent()
            if poked:
                scene.reflector.poke()
                await settle()
            else:
                await anyio.sleep(RECHECK)
            assert not scene.absent()
            assert scene.held == {"a": "1"}
        assert scene.seen.absences == [True, False]


@virtual_time
async def test_a_kind_that_disappears_takes_its_objects_with_it() -> None:
    scene = Scene()
    scene.list_answer(listing(pool("a", 1), version=5), NO_KIND)
    stream = scene.stream()
    scene.stream(status=404, body=NO_KIND.body)
    async with scene.running():
        await anyio.sleep(20)
        stream.end()
        await settle()
        assert scene.held == {"a": "1"}
        assert not scene.synced()
        await anyio.sleep(3)
        assert scene.held == {}
        assert scene.absent()
        assert scene.synced()
    assert ("removed", "a", False) in scene.deltas


@virtual_time
async def test_a_kind_that_is_gone_is_no_silent_watch() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5), NO_KIND)
    scene.stream(status=404, body=NO_KIND.body)
    async with scene.running():
        await anyio.sleep(3600)
        assert scene.absent()
        age = scene.reflector.last_event_age
        assert age is not None
        assert age <= RECHECK


@virtual_time
async def test_a_server_that_answers_nothing_useful_for_long_is_silent() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5), *[TransportError("refused", maybe_sent=True)] * 400)
    scene.stream(status=410, body=encode(EXPIRED))
    async with scene.running():
        await anyio.sleep(1200)
        age = scene.reflector.last_event_age
        assert age is not None
        assert age > 1000


@virtual_time
async def test_an_object_of_one_and_a_half_mebibyte_arrives() -> None:
    scene = Scene()
    scene.list_answer(listing(version=5))
    stream = scene.stream()
    async with scene.running():
        stream.send({"type": "ADDED", "object": {**pool("a", 6), "spec": {"data": "x" * (3 * 2**19)}}})
        await settle()
        item = scene.store.get(ObjectKey("n", "a"))
        assert item is not None
        assert len(item.decode()["spec"]["data"]) == 3 * 2**19


@virtual_time
async def test_an_unreadable_object_does_not_stop_the_others() -> None:
    scene = Scene()
    bad = {"metadata": {"name": "bad", "labels": {"a": 1}}}
    scene.list_answer(listing(pool("a", 1), bad, version=5))
    stream = scene.stream()
    async with scene.running():
        stream.send({"type": "ADDED", "object": bad}, {"type": "ADDED", "object": pool("b", 6)})
        await settle()
    assert scene.held == {"a": "1", "b": "6"}


@virtual_time
async def test_an_object_that_became_unreadable_is_kept_until_it_is_deleted() -> None:
    scene = Scene()
    broken = pool("a", 6, labels={"a": 1})
    expired = {"type": "ERROR", "object": EXPIRED}
    scene.list_answer(
        listing(pool("a", 1), pool("b", 2), version=5),
        listing(broken, "no object", {"metadata": {"name": 7}}, version=7),
    )
    first, second = scene.stream(), scene.stream()
    with capture_logs() as logs:
        async with scene.running():
            await settle()
            first.send({"type": "MODIFIED", "object": broken})
            await settle()
            assert scene.held == {"a": "1", "b": "2"}
            first.send(expired)
            await anyio.sleep(10)
            assert scene.seen.lists == [2, 1]
            assert scene.held == {"a": "1"}
            scene.deltas.clear()
            second.send({"type": "DELETED", "object": broken})
            await settle()
            assert scene.deltas == [("removed", "a", False)]
    told = [(entry["object"], entry["known"]) for entry in logs if entry["event"] == "unreadable object"]
    assert told == [("n/a", True), ("n/a", True), ("", False), ("", False), ("n/a", True)]


@virtual_time
async def test_an_event_that_shows_nothing_new_is_no_delta() -> None:
    scene = Scene()
    scene.list_answer(listing(pool("a", 5), version=5))
    stream = scene.stream()
    async with scene.running():
        await settle()
        scene.deltas.clear()
        stream.send({"type": "MODIFIED", "object": pool("a", 5)})
        await settle()
    assert scene.deltas == []


@virtual_time
async def test_decoding_passes_the_turnstile_in_slices() -> None:
    class Turns:
        taken = 0

        @asynccontextmanager
        async def turn(self, *, urgent: bool = False) -> AsyncIterator[None]:
            self.taken += 1
            yield

    turns = Turns()
    scene = Scene(turnstile=turns)
    scene.list_answer(listing(*[pool(f"p{number}", number) for number in range(100)], version=5))
    async with scene.running():
        await scene.store.wait_synced()
    assert turns.taken == 100 // 16 + 1 + 1


@virtual_time
async def test_selectors_namespace_and_form_go_into_list_and_watch() -> None:
    wire = ScriptedWire()
    store: Store[ObjectKey, Cached] = Store()
    path = SERVICE.path("n")
    wire.answer("GET", path, body=list_body([], "1"))
    reflector = Reflector(
        Client(wire),
        SERVICE,
        store,
        labels="a=b",
        fields="metadata.name=x",
        namespace="n",
        metadata_only=True,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reflector.run)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert len(wire.requests) == 2
    for request in wire.requests:
        query = dict(request.query)
        assert request.path == path
        assert (query["labelSelector"], query["fieldSelector"]) == ("a=b", "metadata.name=x")
        assert "PartialObjectMetadata" in request.headers["Accept"]
