"""What every player does: follow kinds, remember objects, write statuses, act after a delay.

`follow` turns lists and watches into one endless line of changes, surviving ends, gaps and kinds that come and go.
`Agenda` runs what is due, several at once, again when it did not work.
"""

import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import anyio
import msgspec

from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import key_of
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError, NotFound
from aioctl.sim.api import SimCluster
from aioctl.sim.memory import MemoryWire

Object = dict[str, Any]
AGENT: Final = "sim-player/1"
RETRY_SECONDS: Final = 0.5
ABSENT_SECONDS: Final = 5.0
"""How often a kind that is not served is asked for again."""
CONCURRENCY: Final = 8
WATCH_SECONDS: Final = 3600.0
"""How long a watch may last: a player that lists anew is late by `RETRY_SECONDS`."""

Item = TypeVar("Item", bound=Hashable)
Plays = Callable[[Object], bool]


@dataclass(frozen=True, slots=True)
class Event:
    """One change: ADDED, MODIFIED or DELETED."""

    type: str
    object: Object


def player_client(cluster: SimCluster, *, answers_after: float = 0.0) -> Client:
    """What players on a cluster in this process speak; `answers_after` as in `MemoryWire`."""
    wire = MemoryWire(cluster, latency=0.0, answers_after=answers_after, agent=AGENT)
    return Client(wire, field_manager=AGENT.partition("/")[0])


async def patch_status(client: Client, kind: Kind, key: ObjectKey, status: Object) -> Object | None:
    """Merge-patches the status subresource; None when the object is gone. Raises KubeError."""
    try:
        return await client.patch(kind, key.namespace, key.name, {"status": status}, subresource="status")
    except NotFound:
        return None


async def follow(
    client: Client, kind: Kind, known: dict[ObjectKey, Object], *, plays: Plays = lambda _: True
) -> AsyncIterator[Event]:
    """All changes of a kind from its beginning; keeps `known` up to date before each one. Endless. Objects that `plays` says no
    to are as if they were not there."""
    while True:
        try:
            found = await listed(client, kind)
            objects, since = found if found is not None else ([], "")
            for event in _differences([obj for obj in objects if plays(obj)], known):
                yield event
            if found is None:
                await anyio.sleep(ABSENT_SECONDS)
                continue
            async with client.watch(kind, resource_version=since, server_timeout=WATCH_SECONDS) as changes:
                async for change in changes:
                    if change.type == "BOOKMARK":
                        continue
                    event = Event(change.type, msgspec.json.decode(change.object))
                    if plays(event.object):
                        _remember(event, known)
                        yield event
        except KubeError:
            pass  # listed anew below, as every client of an API server does
        await anyio.sleep(RETRY_SECONDS)


async def listed(client: Client, kind: Kind) -> tuple[list[Object], str] | None:
    """All objects of all namespaces and the revision to watch from; None while the kind is not served. Raises KubeError."""
    found: list[Object] = []
    version = ""
    try:
        async for page in client.list_pages(kind):
            found += [msgspec.json.decode(raw) for raw in page.items]
            version = page.resource_version
    except NotFound:
        return None
    # Items of a list lack what the list says once.
    return [{"apiVersion": kind.api_version, "kind": kind.kind, **obj} for obj in found], version


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
    """Things to do at their time; the same thing is not written down twice for the same moment, and never done twice at once.

    Of two writes of one status that are on their way together either may come last, and nothing tells of the older one then.
    """

    def __init__(self, work: Callable[[Item], Awaitable[None]]) -> None:
        self._work = work
        self._heap: list[tuple[float, int, Item]] = []
        self._planned: set[tuple[float, Item]] = set()
        self._doing: set[Item] = set()
        self._again: set[Item] = set()
        """Came due while it was being done."""
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
                if item in self._doing:
                    self._again.add(item)
                    continue
                await limit.acquire()
                self._doing.add(item)
                group.start_soon(self._do, item, limit)

    async def _do(self, item: Item, limit: anyio.Semaphore) -> None:
        try:
            await self._work(item)
        except KubeError:
            self.add(item, RETRY_SECONDS)
        finally:
            limit.release()
            self._doing.discard(item)
            if item in self._again:
                self._again.discard(item)
                self.add(item, 0.0)
