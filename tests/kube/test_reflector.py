"""The reflector keeps its store equal to the server, whatever happens to lists and watches."""

import anyio

from aioctl.api.kinds import SERVICE, ObjectKey
from aioctl.engine.store import Store
from aioctl.kube.cached import Cached
from aioctl.kube.client import Client
from aioctl.kube.errors import TransportError
from aioctl.kube.reflector import SILENCE, Reflector
from aioctl.kube.wire import Response
from testbed.scripted_wire import ScriptedWire, encode, list_body
from testbed.virtual_time import virtual_time
from tests.kube.reflector_scene import EXPIRED, Scene, listing, pool, settle


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
async def test_a_watch_that_paused_and_then_finds_its_version_forgotten_lists_without_another_pause() -> None:
    """Watches that end all the time have long pauses; a 410 behind one must not double what the cache is late."""
    scene = Scene()
    scene.list_answer(listing(version=5), listing(pool("a", 7), version=8))
    scene.stream().end()
    scene.stream(status=410, body=EXPIRED)
    scene.stream()
    watched: list[float] = []
    listed: list[float] = []
    async with scene.running():
        while len(listed) < 2:  # virtual time
            await anyio.sleep(0.01)
            now = anyio.current_time()
            watched += [now] * (len(scene.versions_watched()) - len(watched))
            listed += [now] * (len(scene.seen.lists) - len(listed))
    assert watched[1] - watched[0] > 0.1, "the pause behind the watch that ended"
    assert listed[1] - watched[1] < 0.05, "none behind the 410"


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
async def test_selectors_and_namespace_go_into_list_and_watch() -> None:
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
