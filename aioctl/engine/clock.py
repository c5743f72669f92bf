"""Where time comes from.

Monotonic time is the running loop's time, so whoever owns the loop owns the time: the virtual-time loop of the tests
governs every wait and every measurement. Wall-clock time is only for what is written into objects and certificates; it
is always passed in as a `Clock`, never read from the system elsewhere.
"""

import asyncio
from datetime import UTC, datetime
from typing import Final, Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "SystemClock"]


class Clock(Protocol):
    """Two readings that must not be mixed: a steady one for waits, a civil one for objects."""

    def monotonic(self) -> float:
        """Seconds on the running loop's time line; only differences mean something."""
        ...

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        ...


class SystemClock:
    """The clock of a real process. `monotonic` raises RuntimeError where no loop runs."""

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now(self) -> datetime:
        return datetime.now(UTC)


SYSTEM_CLOCK: Final[Clock] = SystemClock()
"""The clock without state, shared as the default argument of everything that waits."""
