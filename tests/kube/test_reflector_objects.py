"""The reflector reads one object at a time: large, odd and unreadable ones, and those that are no news."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from structlog.testing import capture_logs

from aioctl.api.kinds import ObjectKey
from testbed.virtual_time import virtual_time
from tests.kube.reflector_scene import EXPIRED, Scene, listing, pool, settle


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
