"""The lag of the event loop: how much later than planned a callback runs, as a call that comes in would feel it.

A sleeper wakes every `interval` and notes by how much it was late. One long blockage delays only one wake-up but would
have delayed every call in between; so a lag longer than the interval also counts for the wake-ups it swallowed.
"""

import math
from collections import deque
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus

from aioctl.engine.clock import SYSTEM_CLOCK, Clock

__all__ = ["LagMonitor"]


class LagMonitor:
    """Samples the running loop. `observe` is told every lag in seconds; `quantile` looks at the last `window` samples."""

    def __init__(
        self,
        observe: Callable[[float], None] | None = None,
        *,
        interval: float = 0.05,
        window: int = 1200,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not interval > 0:
            raise ValueError(f"interval is {interval:g} seconds; it must be positive")
        self._observe = observe
        self._interval = interval
        self._clock = clock
        self._samples: deque[float] = deque(maxlen=window)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Samples until it is cancelled."""
        task_status.started()
        while True:
            due = self._clock.monotonic() + self._interval
            await anyio.sleep(self._interval)
            self._record(max(0.0, self._clock.monotonic() - due))

    def quantile(self, q: float) -> float:
        """The lag in seconds that a share `q` (0 to 1) of the recent samples does not exceed; 0 without samples."""
        if not self._samples:
            return 0.0
        ordered = sorted(self._samples)
        return ordered[max(0, math.ceil(q * len(ordered)) - 1)]

    def p99(self) -> float:
        """`quantile(0.99)`: over the last minute with the default interval and window."""
        return self.quantile(0.99)

    def _record(self, lag: float) -> None:
        # the swallowed wake-ups would have been late by one interval less each; beyond the window they are all the same
        swallowed = min(int(lag / self._interval), self._samples.maxlen or 0)
        for number in range(swallowed + 1):
            sample = lag - number * self._interval
            self._samples.append(sample)
            if self._observe is not None:
                self._observe(sample)
