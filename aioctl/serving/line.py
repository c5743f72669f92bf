"""The line in which calls wait until their bodies fit into memory.

Two lanes, for small and for large bodies, each first come, first served. A call is refused at once when too many calls
or announced bytes wait already, and later when its wait gets too long; it is never let in beyond the bound, except that
a body larger than its whole lane goes alone.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from aioctl.serving.limits import Limits


class Refused(Exception):
    """The call is not served now; the text is for the caller."""


class _Lane:
    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self.waiters: deque[tuple[int, anyio.Event]] = deque()

    def fits(self, size: int) -> bool:
        return self.taken == 0 or self.taken + size <= self.capacity

    def let_in(self) -> None:
        while self.waiters and self.fits(self.waiters[0][0]):
            size, event = self.waiters.popleft()
            self.taken += size
            event.set()


class Line:
    """Bounds the bytes of the bodies in flight. `changed` is told the calls in line and the bytes in flight."""

    def __init__(self, limits: Limits, changed: Callable[[int, int], None]) -> None:
        self._limits = limits
        self._changed = changed
        self._small = _Lane(limits.small_bytes)
        self._large = _Lane(limits.large_bytes)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return len(self._small.waiters) + len(self._large.waiters)

    @property
    def bytes_in_flight(self) -> int:
        return self._small.taken + self._large.taken

    @property
    def bytes_waiting(self) -> int:
        return sum(size for lane in (self._small, self._large) for size, _ in lane.waiters)

    @asynccontextmanager
    async def admit(self, size: int) -> AsyncIterator[None]:
        """Holds `size` bytes of the budget while inside. Raises Refused."""
        lane = self._small if size <= self._limits.small_body else self._large
        if not lane.waiters and lane.fits(size):
            lane.taken += size
        else:
            await self._wait(lane, size)
        self._report()
        try:
            yield
        finally:
            lane.taken -= size
            lane.let_in()
            self._report()

    async def _wait(self, lane: _Lane, size: int) -> None:
        limits = self._limits
        if self.waiting >= limits.waiting:
            raise Refused(f"{self.waiting} calls are waiting already; try again later")
        if self.bytes_waiting + size > limits.waiting_bytes:
            raise Refused(f"calls with {self.bytes_waiting} bytes are waiting already; try again later")
        entry = (size, anyio.Event())
        lane.waiters.append(entry)
        self._report()
        try:
            with anyio.fail_after(limits.line):
                await entry[1].wait()
        except BaseException as error:
            if entry[1].is_set():  # let in and cancelled in the same moment
                lane.taken -= size
            else:
                lane.waiters.remove(entry)
            lane.let_in()
            self._report()
            if isinstance(error, TimeoutError):
                raise Refused(f"waited {limits.line:g} s for other calls; try again later") from error
            raise

    def _report(self) -> None:
        self._changed(self.waiting, self.bytes_in_flight)
