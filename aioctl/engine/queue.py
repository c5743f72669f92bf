"""The work queue: which key is worked next, and when.

- A key waits at most once. Adding it again merges: the earliest moment wins, the highest priority wins.
- A key runs at most once at a time. Added while it runs, it waits until `done` and then runs again: nothing is lost.
- Priorities age. A key is ranked by the moment it became ready, minus `ageing` seconds for each priority level, so a key
  is passed over only by keys that became ready less than (difference in priority * ageing) seconds after it. That bound
  holds for ever, it needs no sweep (the order of two waiting keys never changes), and it is why nothing starves.
- Delayed keys become ready by one timer; every operation is O(log n).

The queue decides nothing about outcomes (see `workers`) and knows no metric library: a `QueueObserver` is told what
happens, and the two figures that only a question can answer are `unfinished_seconds` and `longest_running_seconds`.
All methods must be called on the running loop.
"""

import asyncio
import itertools
import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

import anyio
import anyio.lowlevel

from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.engine.limits import Backoff, TokenBucket

__all__ = [
    "LOW_PRIORITY",
    "NO_QUEUE_OBSERVER",
    "QueueObserver",
    "QueueStatistics",
    "ShutDown",
    "WorkQueue",
]

K = TypeVar("K", bound=Hashable)

LOW_PRIORITY: Final = -100
"""For keys of an initial list, so that live changes (priority 0) go first; the value is controller-runtime's."""

_STALE_ALLOWED: Final = 64
"""Superseded heap entries kept at least before a heap is swept; small, and large enough not to sweep small heaps."""


class ShutDown(Exception):
    """The queue gives out no more keys."""


class QueueObserver:
    """What happens in the queue, in the terms of client-go's `workqueue_*` metrics."""

    def added(self) -> None:
        """A key became ready (`adds_total`). A merged or still delayed add does not count."""

    def got(self, queue_seconds: float) -> None:
        """A key was taken, this long after it became ready (`queue_duration_seconds`)."""

    def done(self, work_seconds: float) -> None:
        """A key was finished, this long after it was taken (`work_duration_seconds`)."""

    def retried(self) -> None:
        """A key was added with its backoff (`retries_total`)."""

    def depth(self, ready: int) -> None:
        """So many keys are ready now (`depth`)."""


NO_QUEUE_OBSERVER: Final[QueueObserver] = QueueObserver()


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """A snapshot. Keys that were added again while they run count once, as running."""

    ready: int
    delayed: int
    running: int


@dataclass(slots=True, eq=False)
class _Waiting:
    ready_at: float
    priority: int
    rank: float | None = None
    """Set once the key is ready; smaller goes first."""


@dataclass(frozen=True, slots=True)
class _Running:
    since: float
    priority: int


_Heap = list[tuple[float, int, K, _Waiting]]
"""(moment or rank, sequence number, key, entry). An entry that was superseded is skipped when it comes up."""


class WorkQueue(Generic[K]):
    """A queue of keys for a bounded set of workers. `ageing`: seconds of waiting that one priority level is worth."""

    def __init__(
        self,
        *,
        clock: Clock = SYSTEM_CLOCK,
        backoff: Backoff[K] | None = None,
        bucket: TokenBucket | None = None,
        observer: QueueObserver = NO_QUEUE_OBSERVER,
        ageing: float = 1.0,
    ) -> None:
        if not ageing > 0:
            raise ValueError(
                f"ageing is {ageing:g} seconds; without a positive value priorities mean nothing"
            )
        self._clock = clock
        self._backoff = backoff if backoff is not None else Backoff[K]()
        self._bucket = bucket if bucket is not None else TokenBucket(10, 100, clock)
        self._observer = observer
        self._ageing = ageing
        self._waiting: dict[K, _Waiting] = {}
        self._again: dict[K, _Waiting] = {}
        self._running: dict[K, _Running] = {}
        self._ready: _Heap[K] = []
        self._delayed: _Heap[K] = []
        self._ready_count = 0
        self._sequence = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._getters: deque[anyio.Event] = deque()
        self._shut_down = anyio.Event()

    # Adding

    def add(self, key: K, *, priority: int = 0) -> None:
        """Makes the key ready now, also if it was to wait longer. After `shut_down`, adds of all kinds are ignored."""
        self._submit(key, 0.0, priority)

    def add_after(self, key: K, seconds: float, *, priority: int = 0) -> None:
        """Makes the key ready in so many seconds, unless it is ready sooner. Raises ValueError if not finite."""
        if not math.isfinite(seconds):
            raise ValueError(f"cannot wait {seconds} seconds; a delay must be a finite number")
        self._submit(key, max(0.0, seconds), priority)

    def add_rate_limited(self, key: K, *, priority: int = 0) -> None:
        """Makes the key ready after its backoff, or when the global bucket has a token, whichever is later."""
        if self._shut_down.is_set():
            return
        self._observer.retried()
        wait = self._backoff.next(key, self._clock.monotonic())
        self._submit(key, max(wait, self._bucket.take()), priority)

    def forget(self, key: K) -> None:
        """Resets the key's backoff; says nothing about its place in the queue."""
        self._backoff.forget(key)

    def failures(self, key: K) -> int:
        """Rate-limited adds since the key was last forgotten, but for those that came before the wait of the last was over."""
        return self._backoff.failures(key)

    # Working

    async def get(self) -> K:
        """Takes the next key; it must be handed back with `done`. Raises ShutDown. Cancelled, it has taken nothing."""
        await (
            anyio.lowlevel.checkpoint()
        )  # before taking: a worker whose runs never wait must still share the loop
        while not self._shut_down.is_set():
            entry = self._pop(self._ready)
            if entry is not None:
                return self._take(*entry)
            await self._until_woken()
        raise ShutDown

    def done(self, key: K) -> None:
        """Ends the key's run; if it was added meanwhile, it waits again. Raises ValueError if it is not running."""
        run = self._running.pop(key, None)
        if run is None:
            raise ValueError(f"{key!r} is not running; done() belongs to a key that get() returned")
        now = self._clock.monotonic()
        self._observer.done(now - run.since)
        entry = self._again.pop(key, None)
        if entry is not None:
            self._waiting[key] = entry
            self._place(key, entry, now)

    def running_priority(self, key: K) -> int:
        """The priority with which a running key was taken. Raises KeyError if it is not running."""
        return self._running[key].priority

    # Ending

    def shut_down(self) -> None:
        """Ends all present and future `get` calls with ShutDown.

        Keys that run are finished with `done` as always. Keys that wait are dropped: the queue is level-triggered, whoever
        works next lists everything anyway. A queue that was shut down stays so.
        """
        self._shut_down.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for dropped in (self._waiting, self._again, self._ready, self._delayed):
            dropped.clear()
        self._ready_count = 0
        self._observer.depth(0)
        while self._getters:
            self._wake_one()

    async def wait_shut_down(self) -> None:
        """Returns once `shut_down` was called."""
        await self._shut_down.wait()

    # Looking

    def __len__(self) -> int:
        """Keys that are ready: neither delayed nor running."""
        return self._ready_count

    def statistics(self) -> QueueStatistics:
        """How many keys are where."""
        delayed = len(self._waiting) - self._ready_count
        return QueueStatistics(ready=self._ready_count, delayed=delayed, running=len(self._running))

    def unfinished_seconds(self) -> float:
        """Seconds that the present runs have taken so far, all together (`unfinished_work_seconds`)."""
        now = self._clock.monotonic()
        return sum(now - run.since for run in self._running.values())

    def longest_running_seconds(self) -> float:
        """Seconds of the longest present run, 0 if there is none (`longest_running_processor_seconds`)."""
        if not self._running:
            return 0.0
        oldest = next(iter(self._running.values()))  # a dict keeps the order in which keys were taken
        return self._clock.monotonic() - oldest.since

    # Bookkeeping

    def _submit(self, key: K, delay: float, priority: int) -> None:
        if self._shut_down.is_set():
            return
        now = self._clock.monotonic()
        ready_at = now + delay
        pending = self._again if key in self._running else self._waiting
        entry = pending.get(key)
        if entry is None:
            entry = pending[key] = _Waiting(ready_at, priority)
        elif ready_at >= entry.ready_at and priority <= entry.priority:
            return
        else:
            entry.ready_at = min(entry.ready_at, ready_at)
            entry.priority = max(entry.priority, priority)
        if pending is self._waiting:
            self._place(key, entry, now)

    def _place(self, key: K, entry: _Waiting, due: float) -> None:
        """Puts the entry where it belongs: among the ready if its moment is not after `due`, else behind the timer."""
        if entry.ready_at > due:
            self._push(self._delayed, entry.ready_at, key, entry)
            self._set_timer(entry.ready_at)
            return
        first_time = entry.rank is None
        entry.rank = entry.ready_at - entry.priority * self._ageing
        self._push(self._ready, entry.rank, key, entry)
        if first_time:
            self._ready_count += 1
            self._observer.added()
            self._observer.depth(self._ready_count)
            self._wake_one()

    def _take(self, key: K, entry: _Waiting) -> K:
        now = self._clock.monotonic()
        del self._waiting[key]
        if not self._waiting:  # what else is in the heaps was superseded, and may be due in a year
            self._ready.clear()
            self._delayed.clear()
        self._ready_count -= 1
        self._running[key] = _Running(now, entry.priority)
        self._observer.got(max(0.0, now - entry.ready_at))
        self._observer.depth(self._ready_count)
        return key

    def _is_live(self, heap: _Heap[K], position: float, key: K, entry: _Waiting) -> bool:
        expected = entry.rank if heap is self._ready else entry.ready_at if entry.rank is None else None
        return self._waiting.get(key) is entry and expected == position

    def _push(self, heap: _Heap[K], position: float, key: K, entry: _Waiting) -> None:
        heappush(heap, (position, next(self._sequence), key, entry))
        if len(heap) > 2 * len(self._waiting) + _STALE_ALLOWED:
            heap[:] = [item for item in heap if self._is_live(heap, item[0], item[2], item[3])]
            heapify(heap)

    def _pop(self, heap: _Heap[K], until: float = math.inf) -> tuple[K, _Waiting] | None:
        """The first entry that still counts and stands not after `until`; removes it and what was superseded."""
        while heap and heap[0][0] <= until:
            position, _, key, entry = heappop(heap)
            if self._is_live(heap, position, key, entry):
                return key, entry
        return None

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._on_timer, when)

    def _on_timer(self, when: float) -> None:
        self._timer = None
        due = max(
            when, self._clock.monotonic()
        )  # a loop may call a little early; its own moment is due all the same
        while (ready := self._pop(self._delayed, due)) is not None:
            self._place(*ready, due)
        if self._delayed:
            self._set_timer(self._delayed[0][0])

    def _wake_one(self) -> None:
        if self._getters:
            self._getters.popleft().set()

    async def _until_woken(self) -> None:
        event = anyio.Event()
        self._getters.append(event)
        try:
            await event.wait()
        except BaseException:
            if event.is_set():
                self._wake_one()  # this getter was chosen and is now cancelled: the key is the next one's
            else:
                self._getters.remove(event)
            raise
