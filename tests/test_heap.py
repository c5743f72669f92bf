"""What stays of the heap is frozen where walking it takes long, and cycles in it still go where that is bearable.

Rules: WEB-5.
"""

import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from math import prod

import anyio
import pytest
from structlog.testing import capture_logs

from aioctl import heap
from aioctl.heap import Heap
from testbed.virtual_time import virtual_time

PYTHONS_OWN = (700, 10, 10)
DAY = 86_400.0


class Node:
    """Of a cycle of one: reference counts never free it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@asynccontextmanager
async def running() -> AsyncIterator[None]:
    callbacks = list(gc.callbacks)
    async with anyio.create_task_group() as group:
        await group.start(Heap().run)
        yield
        group.cancel_scope.cancel()
    assert gc.callbacks == callbacks


def frozen_cycle() -> "weakref.ref[Node]":
    """A cycle that a full collection leaves, as it is still held, and that nobody holds any more afterwards."""
    node = Node()
    gc.collect()
    return weakref.ref(node)


@virtual_time
async def test_the_heap_is_frozen_at_start_and_collected_more_seldom_than_python_would() -> None:
    frozen = gc.get_freeze_count()
    async with running():
        assert gc.get_freeze_count() > frozen
        assert prod(gc.get_threshold()) >= 3 * prod(PYTHONS_OWN)


@pytest.mark.parametrize(("long", "frozen"), [(0.0, True), (1e9, False)], ids=["long", "short"])
def test_what_a_full_collection_leaves_is_frozen_if_it_took_long(
    long: float, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "_LONG", long)

    @virtual_time
    async def play() -> None:
        async with running():
            left = frozen_cycle()
            gc.collect()
            assert (left() is not None) is frozen
            young = weakref.ref(Node())
            gc.collect()
            assert young() is None, "what nobody held before is collected as ever"

    play()


@pytest.mark.parametrize(("bearable", "goes"), [(1e9, True), (0.0, False)], ids=["small", "large"])
def test_frozen_cycles_go_once_a_day_where_that_is_bearable(
    bearable: float, goes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heap, "_LONG", 0.0)
    monkeypatch.setattr(heap, "_BEARABLE", bearable)

    @virtual_time
    async def play() -> None:
        async with running():
            left = frozen_cycle()
            with capture_logs() as lines:
                await anyio.sleep(DAY - 1)
                assert left() is not None
                await anyio.sleep(2)
            assert (left() is None) is goes
            assert [line["event"] for line in lines] == (
                []
                if goes
                else ["cycles among what is frozen are not collected: that would hold the event loop"]
            )

    play()
