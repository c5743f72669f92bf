"""When the next InferencePool may be created (design rule 5, spec 40 section 16).

All creations of the process pass one token bucket, and the second pool of a service comes at least the stagger after
its first. Nobody waits here: a service that is too early gets a time of its own, goes back into the queue, and finds that
time reserved for it, so a thousand services in line ask twice each and not a thousand times. A creation that failed has no
follower to hold back: how soon it is tried again is the queue's back-off alone.
"""

from aioctl.api.kinds import ObjectKey
from aioctl.engine.clock import Clock
from aioctl.engine.limits import TokenBucket

_GRAIN = 1e-6
"""Seconds; a timer may fire that early."""


class PoolPacer:
    """State of one process: the bucket, the times given away, and each service's last pool creation."""

    def __init__(self, rate: float, stagger: float, clock: Clock) -> None:
        """`rate` per second (0: no limit), `stagger` in seconds."""
        self._bucket = TokenBucket(rate, max(1.0, rate), clock)
        self._stagger = stagger
        self._clock = clock
        self._slots: dict[ObjectKey, float] = {}
        self._last: dict[ObjectKey, float] = {}

    def admit(self, service: ObjectKey) -> float:
        """0.0 when the service may create a pool now (which takes its turn); else the seconds until its turn."""
        now = self._clock.monotonic()
        slot = self._slots.get(service)
        if slot is None:
            after_first = self._last[service] + self._stagger if service in self._last else now
            slot = self._slots[service] = max(now + self._bucket.take(), after_first)
        if slot > now + _GRAIN:
            return slot - now
        del self._slots[service]
        return 0.0

    def created(self, service: ObjectKey) -> None:
        """The service has a pool more: its next one keeps the distance."""
        self._last[service] = self._clock.monotonic()

    def forget(self, service: ObjectKey) -> None:
        """Drops what is remembered of a service that is gone."""
        self._last.pop(service, None)
        self._slots.pop(service, None)
