"""The turnstile: at most one stretch of CPU work per loop iteration (ARCH-8).

Webhooks and reconciles share one loop, so a call waits for everything that is ready before it: many ready reconciles
times their chunk. Whoever is about to work for more than half a millisecond without awaiting passes the turnstile first:

    async with turnstile.turn():            or      await turnstile.pass_through(urgent=True)
        plan = make_plan(observation)               answer = convert(review)

One passes per iteration, in between the loop reads its sockets. The stretch must not await: the turn is over at the next
await. Longer work is cut into slices of about 0.5 ms, each with a turn of its own.

Urgent turns (webhook calls in flight) go first. Nobody starves: once the oldest ordinary waiter has waited for 250 ms,
it goes next, though never two of them in a row while an urgent one waits. Idle, a turn costs no iteration and no wait:
the caller goes on at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

__all__ = ["STARVATION_BOUND", "Turnstile"]

STARVATION_BOUND: Final = 0.25
"""Seconds after which an ordinary waiter goes before urgent ones (measured with 200 reconciles, see ARCH-8)."""

_Waiter = tuple[float, asyncio.Future[None]]


class Turnstile:
    """One per event loop; every user of the loop passes the same one."""

    def __init__(self, starvation_bound: float = STARVATION_BOUND) -> None:
        self._starvation_bound = starvation_bound
        self._urgent: deque[_Waiter] = deque()
        self._ordinary: deque[_Waiter] = deque()
        self._taken = False
        """Somebody works in this iteration, or was let through for the next one."""
        self._let_through = False
        """The last release woke a waiter, whose stretch runs in the iteration of the next release."""
        self._overdue_went_last = False

    async def pass_through(self, *, urgent: bool = False) -> None:
        """Returns when it is the caller's turn; the turn lasts until the caller's next await.

        Cancelled while waiting, the place in the line is given up; the others do not notice.
        """
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._release, loop)
            return
        line = self._urgent if urgent else self._ordinary
        waiter: asyncio.Future[None] = loop.create_future()
        line.append((loop.time(), waiter))
        await waiter

    @asynccontextmanager
    async def turn(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """`pass_through` as a block, which shows what belongs to the stretch. The block must not await."""
        await self.pass_through(urgent=urgent)
        yield

    @property
    def waiting(self) -> int:
        """Callers in line."""
        return sum(not waiter.done() for line in (self._urgent, self._ordinary) for _, waiter in line)

    def _release(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs once per iteration while the turnstile is in use: lets the next waiter through for the next iteration.

        A future's waiter runs one iteration after its result is set, so the release of that iteration is scheduled at
        the same time, behind it: one stretch per iteration, none in between. Only when a whole iteration had no
        stretch is the turnstile free again.
        """
        waiter = self._next_waiter(loop.time())
        if waiter is not None:
            waiter.set_result(None)
        elif not self._let_through:
            self._taken = False
            return
        self._let_through = waiter is not None
        loop.call_soon(self._release, loop)

    def _next_waiter(self, now: float) -> asyncio.Future[None] | None:
        for line in (self._urgent, self._ordinary):
            while line and line[0][1].done():  # cancelled while waiting
                line.popleft()
        overdue = bool(self._ordinary) and now - self._ordinary[0][0] >= self._starvation_bound
        self._overdue_went_last = overdue and not (self._overdue_went_last and bool(self._urgent))
        if self._overdue_went_last or not self._urgent:
            return self._ordinary.popleft()[1] if self._ordinary else None
        return self._urgent.popleft()[1]
