"""How the work of a function grows with its input, in processor time of this thread.

Quadratic work takes four times as long for twice the input. What is measured is far from that: an absolute cap that linear
work stays a hundred times below and quadratic work exceeds many times, and the best of several runs.
"""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

RUNS = 3
HANGS_AFTER = 30.0
"""Seconds; a cubic or exponential matcher would never come back."""


def seconds(call: Callable[[], object], *, enough: float, hopeless: float = math.inf) -> float:
    """Processor seconds of one call: the least of some runs, or the first that takes no more than `enough`, or
    at least `hopeless`."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.thread_time()
        call()
        best = min(best, time.thread_time() - start)
        if best <= enough or best >= hopeless:
            break
    return best


class Hangs(AssertionError):
    """A call did not come back in time."""


@contextmanager
def not_for_ever(what: str) -> Iterator[None]:
    """Ends a call that hangs with an error that says which one it was."""

    def expired(_number: int, _frame: FrameType | None) -> None:
        raise Hangs(f"{what} does not come back")

    before = signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, HANGS_AFTER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
