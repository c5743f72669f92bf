"""The laws of the work queue, checked against a naive model over arbitrary interleavings.

A key never runs twice at once; no add is lost; what is taken is always the best of what is ready (ready moment minus
ageing per priority level); nothing becomes ready before its moment.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.lowlevel
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aioctl.engine.limits import Backoff, TokenBucket
from aioctl.engine.queue import QueueStatistics, WorkQueue
from testbed.virtual_time import VirtualClock, VirtualTimeLoop

T = TypeVar("T")

AGEING = 0.5
KEYS = st.sampled_from("abcdef")
PRIORITIES = st.integers(-3, 3)
DELAYS = st.integers(0, 40).map(
    lambda quarters: quarters / 4
)  # exact in binary: the model must not round differently


@dataclass
class Entry:
    ready_at: float
    priority: int

    @property
    def rank(self) -> float:
        return self.ready_at - AGEING * self.priority


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        clock = VirtualClock()
        # powers of two for the same reason; a bucket that never limits, it has tests of its own
        backoff: Backoff[str] = Backoff(base=0.25, factor=2, cap=8)
        bucket = TokenBucket(None, 1, clock)
        self.queue: WorkQueue[str] = WorkQueue(clock=clock, backoff=backoff, bucket=bucket, ageing=AGEING)
        self.waiting: dict[str, Entry] = {}
        self.again: dict[str, Entry] = {}
        self.running: set[str] = set()
        self.failures: dict[str, int] = {}
        self.due: dict[str, float] = {}

    def run(self, awaitable: Awaitable[T]) -> T:
        async def wait() -> T:
            return await awaitable

        return self.loop.run_until_complete(wait())

    @property
    def ready(self) -> dict[str, Entry]:
        return {key: entry for key, entry in self.waiting.items() if entry.ready_at <= self.loop.time()}

    def note_add(self, key: str, delay: float, priority: int) -> None:
        pending = self.again if key in self.running else self.waiting
        entry = pending.setdefault(key, Entry(self.loop.time() + delay, priority))
        entry.ready_at = min(entry.ready_at, self.loop.time() + delay)
        entry.priority = max(entry.priority, priority)

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: int) -> None:
        async def act() -> None:
            self.queue.add(key, priority=priority)

        self.run(act())
        self.note_add(key, 0, priority)

    @rule(key=KEYS, delay=DELAYS, priority=PRIORITIES)
    def add_after(self, key: str, delay: float, priority: int) -> None:
        async def act() -> None:
            self.queue.add_after(key, delay, priority=priority)

        self.run(act())
        self.note_add(key, delay, priority)

    @rule(key=KEYS, priority=PRIORITIES)
    def add_rate_limited(self, key: str, priority: int) -> None:
        async def act() -> None:
            self.queue.add_rate_limited(key, priority=priority)

        self.run(act())
        failures, now = self.failures.get(key, 0), self.loop.time()
        if now >= self.due.get(key, 0.0):
            failures += 1
            self.failures[key], self.due[key] = failures, now + self.backoff_after(failures)
        self.note_add(key, self.backoff_after(failures), priority)

    @staticmethod
    def backoff_after(failures: int) -> float:
        return min(0.25 * 2.0 ** (failures - 1), 8)

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.queue.forget(key)
        self.failures.pop(key, None)
        self.due.pop(key, None)

    @rule(seconds=DELAYS)
    def pass_time(self, seconds: float) -> None:
        self.run(anyio.sleep(seconds))

    @precondition(lambda self: self.ready)
    @rule()
    def get(self) -> None:
        best = min(entry.rank for entry in self.ready.values())
        key = self.run(self.queue.get())
        assert key not in self.running
        assert key in self.ready
        assert self.waiting.pop(key).rank == best
        self.running.add(key)

    @precondition(lambda self: not self.ready)
    @rule()
    def get_waits_until_the_first_moment_and_loses_nothing_when_cancelled(self) -> None:
        async def act() -> None:
            soonest = min((entry.ready_at for entry in self.waiting.values()), default=self.loop.time() + 1)
            with anyio.move_on_at(soonest - 0.125) as scope:
                await self.queue.get()
            assert scope.cancelled_caught

        self.run(act())

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))

        async def act() -> None:
            self.queue.done(key)

        self.run(act())
        self.running.remove(key)
        if key in self.again:
            self.waiting[key] = self.again.pop(key)

    @invariant()
    def counts_agree(self) -> None:
        self.run(anyio.lowlevel.checkpoint())  # timers that are due may fire
        ready = len(self.ready)
        assert len(self.queue) == ready
        expected = QueueStatistics(ready=ready, delayed=len(self.waiting) - ready, running=len(self.running))
        assert self.queue.statistics() == expected
        for key in "abcdef":
            assert self.queue.failures(key) == self.failures.get(key, 0)

    def teardown(self) -> None:
        """Whatever was added comes out in the end, once."""
        try:
            self.run(self.drain())
        finally:
            self.loop.close()
        super().teardown()

    async def drain(self) -> None:
        expected = set(self.waiting) | set(self.again)
        for key in self.running:
            self.queue.done(key)
        drained: list[str] = []
        with anyio.move_on_after(1000):
            while True:
                drained.append(await self.queue.get())
        assert sorted(drained) == sorted(expected)


TestQueueLaws = QueueMachine.TestCase
