"""Two limiters: a token bucket for rates, and exponential backoff per key. Neither starts a task or a timer.

The bucket is kept as one moment, the time at which it will be full again (the generic cell rate algorithm), so it
does not drift and costs nothing while unused.
"""

import math
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

import anyio

from aioctl.engine.clock import SYSTEM_CLOCK, Clock

__all__ = ["GRAIN", "Backoff", "TokenBucket"]

K = TypeVar("K", bound=Hashable)

GRAIN: Final = 1e-6
"""Seconds. A shorter wait counts as none: a timer may fire that early, and rounding must not cost another round."""


class TokenBucket:
    """At most `burst` at once and `rate` per second in the long run. `rate` None or <= 0: no limit."""

    def __init__(self, rate: float | None, burst: float = 1, clock: Clock = SYSTEM_CLOCK) -> None:
        if burst < 1:
            raise ValueError(f"burst is {burst:g}; a bucket must hold at least one token")
        self._interval = 0.0 if rate is None or rate <= 0 else 1.0 / rate
        self._depth = self._interval * burst
        self._clock = clock
        self._full_at = -math.inf

    def take(self) -> float:
        """Takes a token, if need be one that is yet to come; returns the seconds until the taker may act on it."""
        if not self._interval:
            return 0.0
        now = self._clock.monotonic()
        self._full_at = max(self._full_at, now) + self._interval
        wait = self._full_at - self._depth - now
        return wait if wait > GRAIN else 0.0

    async def acquire(self) -> None:
        """Takes a token and waits for it; takers are served in the order of their calls.

        Cancelled while waiting, the token goes back, unless others have lined up behind it in the meantime.
        """
        before = self._full_at
        wait = self.take()
        mine = self._full_at
        try:
            await anyio.sleep(wait)
        except BaseException:
            if self._full_at == mine:
                self._full_at = before
            raise


class Backoff(Generic[K]):
    """`base * factor ** n` seconds for the n-th failure in a row of a key (n from 0), at most `cap`.

    The defaults are those of client-go's item limiter: 5 ms doubling to 1000 s. Unlike there, a wait never becomes much longer
    than the trouble has lasted: see `next`.
    """

    def __init__(self, base: float = 0.005, factor: float = 2, cap: float = 1000.0) -> None:
        if not (0 < base <= cap and factor > 1):
            raise ValueError(
                f"backoff needs 0 < base <= cap and factor > 1; got {base:g}, {cap:g}, {factor:g}"
            )
        self._base = base
        self._factor = factor
        self._cap = cap
        self._steps_to_cap = math.ceil(math.log(cap / base, factor))
        self._failures: dict[K, tuple[int, float]] = {}

    def next(self, key: K, now: float | None = None) -> float:
        """Counts one more failure of the key; returns the seconds to wait before the next try.

        `now`: when it failed, in seconds on a steady line. A try that something else brought on before its time is over
        makes the wait no longer: a key that is woken often would wait for a quarter of an hour after a minute of trouble.
        """
        failures, due = self._failures.get(key, (0, -math.inf))
        if now is not None and now < due - GRAIN:
            return self._wait(failures - 1)
        wait = self._wait(failures)
        self._failures[key] = failures + 1, -math.inf if now is None else now + wait
        return wait

    def forget(self, key: K) -> None:
        """The key succeeded, or is gone: its next failure is its first."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """Failures in a row that count."""
        return self._failures.get(key, (0, 0.0))[0]

    def _wait(self, failures: int) -> float:
        if failures >= self._steps_to_cap:
            return self._cap
        return min(self._base * self._factor**failures, self._cap)
