"""When the next InferencePool may be created (design rule 5, spec 40 section 16).

All creations of the process pass one token bucket, and the second pool of a service comes at least the stagger after
its first. Nobody waits here: the answer is a number of seconds, and the service goes back into the queue for it.
"""

from aioctl.api.kinds import ObjectKey
from aioctl.engine.clock import Clock
from aioctl.engine.limits import TokenBucket

_KEPT = 3600.0


class PoolPacer:
    """Asks of one process; state is the bucket and the time of each service's last pool creation."""

    def __init__(self, rate: float, stagger: float, clock: Clock) -> None:
        self._bucket = TokenBucket(rate, max(1, int(rate)), clock)
        self._stagger = stagger
        self._clock = clock
        self._last: dict[ObjectKey, float] = {}

    def admit(self, service: ObjectKey) -> float:
        """0.0 when the service may create a pool now (and counts it); else the seconds until it should ask again."""
        now = self._clock.monotonic()
        last = self._last.get(service)
        if last is not None and now < last + self._stagger:
            return last + self._stagger - now
        wait = self._bucket.try_take()
        if wait > 0:
            return wait
        self._last[service] = now
        return 0.0

    def forget(self, service: ObjectKey) -> None:
        """Drops what is remembered of a service that is gone."""
        self._last.pop(service, None)
