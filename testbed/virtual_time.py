"""Virtual time: an asyncio loop whose clock jumps to the next timer as soon as nothing else is left to do.

Write a test of something that waits like this; a thousand virtual seconds pass in a blink:

    @virtual_time
    async def test_the_second_try_comes_after_ten_seconds() -> None:
        clock = VirtualClock()
        ...
        await anyio.sleep(10)
        assert clock.monotonic() == 10.0

The loop's time starts at 0. `@virtual_time` makes an ordinary function of the coroutine function, so pytest fixtures,
`parametrize` and hypothesis' `@given` (above it) work, but async fixtures would run on another loop: make what they would
make in the test's body. `run_virtual(fn, *args)` does the same for one call. Where a whole folder should run so, return
`{"virtual": VirtualTimeLoop}` from the hook `pytest_asyncio_loop_factories(config, item)` in its conftest.

A test that waits for something nobody will ever do fails at once with `Deadlock` and the list of what waits. Real I/O
does not pass virtual time: use in-memory fakes, and the ordinary loop where sockets are open. Threads are waited for only
while no timer is set; with a timer set, the clock jumps and the timer wins.
"""

import asyncio
import functools
import random
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

REAL_PATIENCE: Final = 5.0
"""Real seconds that a loop without timers waits for a thread or a socket."""
CPU_LIMIT: Final = 60.0
"""Seconds of CPU a virtual run may take, on however busy a machine; beyond it, something polls for what never comes."""

SLOW_TURN: Final = 0.002
"""Seconds that a turn of the loop takes on a busy machine, on average: ten times those of an idle one."""
STALLS, LONGEST_STALL = 0.0003, 12.0
"""How many of the turns stand still, and for how many seconds at most: longer than any answer is waited for but a list's."""


class Deadlock(AssertionError):
    """Nothing is ready, no timer is set, and nothing outside the loop could wake it."""


class _JumpingSelector(selectors.DefaultSelector):
    """Asks the real selector without waiting; when it has nothing, moves the loop's clock instead of sleeping."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if self.loop.busy is not None:
            self.loop.advance(_lost(self.loop.busy))
        if events or timeout == 0:
            return events
        if timeout is None:
            return self._wait_for_the_outside()
        self.loop.advance(timeout)
        if time.process_time() > self.loop.cpu_deadline:
            raise Deadlock(
                f"{CPU_LIMIT:g} seconds of CPU are over at virtual time {self.loop.time():g}: does a task poll"
                f" for something that never comes?{self.loop.waiting()}"
            )
        return events

    def _wait_for_the_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        """No timer is set. Only another thread or a socket can still wake the loop (one key is its own self-pipe)."""
        if threading.active_count() > 1 or len(self.get_map()) > 1:
            events = super().select(REAL_PATIENCE)
            if events:
                return events
        raise Deadlock(
            f"nothing can happen any more at virtual time {self.loop.time():g}{self.loop.waiting()}"
        )


def _lost(dice: random.Random) -> float:
    """Seconds that one turn of the loop takes on a busy machine."""
    stands_still = dice.random() < STALLS
    return dice.random() * LONGEST_STALL if stands_still else dice.expovariate(1 / SLOW_TURN)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A selector loop with its own time line, beginning at 0."""

    busy: random.Random | None = None
    """Set: each turn of the loop takes time, as on a machine that does much beside, and now and then all stands still."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._virtual_now = 0.0
        self.cpu_deadline = time.process_time() + CPU_LIMIT
        super().__init__(selector)

    def time(self) -> float:
        return self._virtual_now

    def advance(self, seconds: float) -> None:
        """Lets time pass without running anything: what a callback that hogs the CPU for `seconds` does to a loop."""
        self._virtual_now += seconds

    def waiting(self) -> str:
        """One line for each unfinished task, with the place where it waits."""
        lines = []
        for task in asyncio.all_tasks(self):
            stack = task.get_stack(limit=1)
            place = f"{stack[-1].f_code.co_filename}:{stack[-1].f_lineno}" if stack else "nowhere yet"
            lines.append(f"\n  {task.get_name()} ({task.get_coro()!r}) waits at {place}")
        return ":" + "".join(sorted(lines)) if lines else ""


BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)


class VirtualClock:
    """A `Clock` whose wall clock is the running loop's time counted from `start`."""

    def __init__(self, start: datetime = BEGIN) -> None:
        self._start = start
        self.off_by = timedelta()
        """How wrong the wall clock is; to be set by whoever lets it jump."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic()) + self.off_by


def advance(seconds: float) -> None:
    """`VirtualTimeLoop.advance` of the running loop: stands for `seconds` of blocking work."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.advance(seconds)


def allow_cpu(seconds: float) -> None:
    """Of a long run: so many seconds of CPU beside `CPU_LIMIT`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.cpu_deadline += seconds


def be_busy(dice: random.Random) -> None:
    """From now on the running loop is one of a busy machine."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.busy = dice


def run_virtual(fn: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> R:
    """Runs the coroutine function on a fresh virtual-time loop and returns its result."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(fn(*args, **kwargs))


def virtual_time(fn: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes an ordinary test of a coroutine function: each call runs on a virtual-time loop of its own."""

    @functools.wraps(fn)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtual(fn, *args, **kwargs)

    return run
