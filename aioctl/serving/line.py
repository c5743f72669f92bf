"""The line in which calls wait until there is memory for them, charged by the bytes that have come.

What a client announces costs nothing and gives nothing. A tiny body is read first and waits whole: its bytes are those that
any connection may keep. A larger one takes its share bite by bite; when there is no more to take, its reading pauses. Three
lanes, for tiny, small and large bodies, each first come, first served, so that a list does not hold up single objects.

Nobody waits for ever. If all who hold bytes wait for more, the first of them may go beyond the bound: one at a time, so the
bound is the lane and one body. While somebody waits, a call whose client neither sends nor reads gives way. A call is refused at once when
too many wait already, and later when its wait gets too long.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import anyio

from aioctl.serving.limits import Limits


class Refused(Exception):
    """The call is not served now; the text is for the caller."""


class ClientLate(Exception):
    """The client did not do its part in time: send its body, or read its answer."""

    gave_way = False


class GaveWay(ClientLate):
    """The client was silent while others waited for the memory that its call held."""

    gave_way = True


class Listener:
    """Waits for a client to send or to read, and can be told that others need what that takes."""

    def __init__(self) -> None:
        self.silent_since: float | None = None
        """Loop time since which its client is silent; None while it is not listened to."""
        self._listening: anyio.CancelScope | None = None
        self._given_way = False

    @contextmanager
    def listening(self, until: float) -> Iterator[None]:
        """Around the wait for the client, which ends at this loop time. Raises ClientLate or GaveWay."""
        with anyio.CancelScope(deadline=until) as scope:
            self._listening, self.silent_since = scope, anyio.current_time()
            try:
                yield
            finally:
                self._listening = self.silent_since = None
        if scope.cancelled_caught:
            raise GaveWay if self._given_way else ClientLate

    def give_way(self) -> None:
        if self._listening is not None:
            self._given_way = True
            self._listening.cancel()


class Share(Listener):
    """What one call holds of its lane."""

    def __init__(self, lane: "_Lane") -> None:
        super().__init__()
        self._lane = lane
        self.held = 0
        self.waiting = False

    async def take(self, size: int) -> None:
        """Holds `size` more bytes; waits for them in line if need be. Raises Refused."""
        await self._lane.take(self, size)


class _Lane:
    def __init__(self, capacity: int, patience: float, line: "Line") -> None:
        self.capacity = capacity
        self.patience = patience
        self.taken = 0
        self.waiters: deque[tuple[int, Share, anyio.Event]] = deque()
        self._holders: dict[Share, None] = {}
        self._beyond: Share | None = None
        """The one that may go beyond the capacity."""
        self._pressing: asyncio.TimerHandle | None = None
        self._line = line

    async def take(self, share: Share, size: int) -> None:
        if not size:
            return
        if share is self._beyond or (not self.waiters and self._fits(size)):
            self._give(share, size)
        else:
            await self._wait(share, size)
        self._line.report()

    def release(self, share: Share) -> None:
        self.taken -= share.held
        share.held = 0
        self._holders.pop(share, None)
        if self._beyond is share:
            self._beyond = None
        self._let_in()
        self._line.report()

    async def _wait(self, share: Share, size: int) -> None:
        limits = self._line.limits
        if self._line.waiting >= limits.waiting:
            raise Refused(f"{self._line.waiting} calls are waiting already; try again later")
        entry = (size, share, anyio.Event())
        self.waiters.append(entry)
        share.waiting = True
        self._let_in()
        self._line.report()
        try:
            with anyio.fail_after(limits.line):
                await entry[2].wait()
        except BaseException as error:
            # If set, it was let in and cancelled in the same moment: held, and released with the rest.
            if not entry[2].is_set():
                self.waiters.remove(entry)
                share.waiting = False
                self._let_in()
            if isinstance(error, TimeoutError):
                raise Refused(f"waited {limits.line:g} s for other calls; try again later") from error
            raise

    def _fits(self, size: int) -> bool:
        return self.taken == 0 or self.taken + size <= self.capacity

    def _give(self, share: Share, size: int) -> None:
        self.taken += size
        share.held += size
        self._holders[share] = None

    def _let_in(self) -> None:
        while self.waiters:
            size, share, event = self.waiters[0]
            if not self._fits(size):
                if self._beyond is not None or not all(holder.waiting for holder in self._holders):
                    break
                self._beyond = share
            self.waiters.popleft()
            share.waiting = False
            self._give(share, size)
            event.set()
        if self.waiters and self._pressing is None:
            self._pressing = asyncio.get_running_loop().call_later(self.patience, self._press)

    def _press(self) -> None:
        """Somebody waits: those who are silent give way."""
        self._pressing = None
        if not self.waiters:
            return
        before = anyio.current_time() - self.patience
        for share in self._holders:
            if share.silent_since is not None and share.silent_since <= before:
                share.give_way()
        self._pressing = asyncio.get_running_loop().call_later(self.patience, self._press)


class Line:
    """Bounds the bytes of the bodies in flight. `changed` is called when `waiting` or `bytes_in_flight` has changed."""

    def __init__(self, limits: Limits, changed: Callable[[], None]) -> None:
        self.limits = limits
        self.report = changed
        self._tiny = _Lane(limits.tiny_bytes, limits.small_silence, self)
        self._small = _Lane(limits.small_bytes, limits.small_silence, self)
        self._large = _Lane(limits.large_bytes, limits.large_silence, self)
        self._lanes = (self._tiny, self._small, self._large)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return sum(len(lane.waiters) for lane in self._lanes)

    @property
    def bytes_in_flight(self) -> int:
        return sum(lane.taken for lane in self._lanes)

    @asynccontextmanager
    async def share(self, size: int) -> AsyncIterator[Share]:
        """A share for a body of at most `size` bytes, which holds nothing yet; what it has taken is given back at the end."""
        if size <= self.limits.tiny_body:
            lane = self._tiny
        else:
            lane = self._small if size <= self.limits.small_body else self._large
        share = Share(lane)
        try:
            yield share
        finally:
            lane.release(share)
