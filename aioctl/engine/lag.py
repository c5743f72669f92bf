"""The lag of the event loop: how much later than planned a callback runs, as a call that comes in would feel it.

A sleeper wakes every `interval` and notes by how much it was late. One long blockage delays only one wake-up but would
have delayed every call in between; so a lag longer than the interval also counts for the wake-ups it swallowed.
"""

from collections.abc import Callable
from typing import Final

import anyio
from anyio.abc import TaskStatus

from aioctl.engine.clock import SYSTEM_CLOCK, Clock

__all__ = ["LagMonitor"]

MOST_SWALLOWED: Final = 1200
"""Wake-ups counted for one blockage: a minute of them. A process that slept for hours must not wake to a day of counting."""


class LagMonitor:
    """Samples the running loop every `interval` seconds. `observe` is told every lag in seconds."""

    def __init__(
        self,
        observe: Callable[[float], None],
        *,
        interval: float = 0.05,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not interval > 0:
            raise ValueError(f"interval is {interval:g} seconds; it must be positive")
        self._observe = observe
        self._interval = interval
        self._clock = clock

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Samples until it is cancelled."""
        task_status.started()
        while True:
            due = self._clock.monotonic() + self._interval
            await anyio.sleep(self._interval)
            self._record(max(0.0, self._clock.monotonic() - due))

    def _record(self, lag: float) -> None:
        # The swallowed wake-ups would have been late by one interval less each.
        for number in range(min(int(lag / self._interval), MOST_SWALLOWED) + 1):
            self._observe(lag - number * self._interval)
