"""The reflector says whether a kind is served, and does not take a failure for an answer."""

import anyio
from structlog.testing import capture_logs

from aioctl.kube.errors import TransportError
from aioctl.kube.reflector import RECHECK
from aioctl.kube.wire import Response
from testbed.scripted_wire import encode
from testbed.virtual_time import virtual_time
from tests.kube.reflector_scene import EXPIRED, NO_KIND, Scene, listing, pool, settle


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
async def test_why_a_list_fails_is_told_once_and_so_is_that_it_works_again() -> None:
    scene = Scene()
    down = TransportError("refused", maybe_sent=True)
    scene.list_answer(*[down] * 20, listing(version=5))
    scene.stream()
    with capture_logs() as lines:
        async with scene.running():
            await anyio.sleep(900)
    assert scene.synced()
    lists = [line for line in lines if line["event"].startswith("list")]
    told = [line["event"] for line in lists if line["log_level"] != "debug"]
    assert told == ["list failed", "list works again"]
