"""What every player does: follow kinds, remember objects, act after a delay.

`follow` turns lists and watches into one endless line of changes, surviving ends, gaps and kinds that come and go.
`Agenda` runs what is due, several at once, again when it did not work.
"""

import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from typing import Generic, TypeVar

import anyio

from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import key_of
from aioctl.sim.players.client import Event, Object, PlayerClient, TryAgain

RETRY_SECONDS = 0.5
ABSENT_SECONDS = 5.0
"""How often a kind that is not served is asked for again."""
CONCURRENCY = 8

Item = TypeVar("Item", bound=Hashable)


async def follow(client: PlayerClient, kind: Kind, known: dict[ObjectKey, Object]) -> AsyncIterator[Event]:
    """All changes of a kind from its beginning; keeps `known` up to date before each one. Endless."""
    while True:
        try:
            listed = await client.list(kind)
            objects, since = listed if listed is not None else ([], "")
            for event in _differences(objects, known):
                yield event
            if listed is None:
                await anyio.sleep(ABSENT_SECONDS)
                continue
            async for event in client.watch(kind, since):
                _remember(event, known)
                yield event
        except TryAgain:
            pass  # listed anew below, as every client of an API server does
        await anyio.sleep(RETRY_SECONDS)


def _remember(event: Event, known: dict[ObjectKey, Object]) -> None:
    if event.type == "DELETED":
        known.pop(key_of(event.object), None)
    else:
        known[key_of(event.object)] = event.object


def _differences(objects: list[Object], known: dict[ObjectKey, Object]) -> list[Event]:
    found = {key_of(obj): obj for obj in objects}
    events = [Event("DELETED", obj) for key, obj in known.items() if key not in found]
    for key, obj in found.items():
        before = known.get(key)
        if before is None:
            events.append(Event("ADDED", obj))
        elif before["metadata"].get("resourceVersion") != obj["metadata"].get("resourceVersion"):
            events.append(Event("MODIFIED", obj))
    known.clear()
    known.update(found)
    return events


class Agenda(Generic[Item]):
    """Things to do at their time; the same thing is not written down twice for the same moment."""

    def __init__(self, work: Callable[[Item], Awaitable[None]]) -> None:
        self._work = work
        self._heap: list[tuple[float, int, Item]] = []
        self._planned: set[tuple[float, Item]] = set()
        self._count = itertools.count()
        self._news = anyio.Event()

    def add(self, item: Item, delay: float) -> None:
        due = anyio.current_time() + delay
        if (due, item) not in self._planned:
            self._planned.add((due, item))
            heapq.heappush(self._heap, (due, next(self._count), item))
            self._news.set()

    async def run(self) -> None:
        """Endless."""
        limit = anyio.Semaphore(CONCURRENCY)
        async with anyio.create_task_group() as group:
            while True:
                if not self._heap:
                    self._news = anyio.Event()
                    await self._news.wait()
                    continue
                wait = self._heap[0][0] - anyio.current_time()
                if wait > 0:
                    self._news = anyio.Event()
                    with anyio.move_on_after(wait):
                        await self._news.wait()
                    continue
                due, _, item = heapq.heappop(self._heap)
                self._planned.discard((due, item))
                await limit.acquire()
                group.start_soon(self._do, item, limit)

    async def _do(self, item: Item, limit: anyio.Semaphore) -> None:
        try:
            await self._work(item)
        except TryAgain:
            self.add(item, RETRY_SECONDS)
        finally:
            limit.release()
