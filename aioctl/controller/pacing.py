"""When the next InferencePool may be created (ARCH-5, POOL-4).

All creations of the process pass one token bucket, and the second pool of a service comes at least the stagger after
its first. Nobody waits here: a service that is too early gets a time of its own, goes back into the queue, and finds that
time reserved for it, so a thousand services in line ask twice each and not a thousand times. All pools that a service
still wants get their times together: the second one would else line up behind the first ones of the whole fleet, and the
service be told Ready long before it can migrate, which costs it a second write. A creation that failed has no follower to
hold back: how soon it is tried again is the queue's back-off alone.
"""

from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.service_state import ServiceStates
from aioctl.engine.clock import Clock
from aioctl.engine.limits import GRAIN, TokenBucket


class PoolPacer:
    """State of one process: the bucket, the times given away, and each service's last pool creation."""

    def __init__(self, rate: float, stagger: float, clock: Clock, states: ServiceStates) -> None:
        """`rate` per second (0: no limit), `stagger` in seconds."""
        self._bucket = TokenBucket(rate, max(1.0, rate), clock)
        self._stagger = stagger
        self._clock = clock
        self._states = states

    def admit(self, service: ObjectKey, wanted: int = 1) -> float:
        """0.0 when the service may create a pool now (which takes its turn); else the seconds until its turn.

        `wanted`: pools that it still has to create, this one included.
        """
        now = self._clock.monotonic()
        state = self._states.of(service)
        slots = state.pool_times
        while len(slots) < wanted:
            own = now + self._bucket.take()
            slots.append(max(own, slots[-1] + self._stagger) if slots else own)
        earliest = slots[0]
        if state.last_pool is not None:
            earliest = max(earliest, state.last_pool + self._stagger)
        if earliest > now + GRAIN:
            return earliest - now
        slots.popleft()
        return 0.0

    def created(self, service: ObjectKey) -> None:
        """The service has a pool more: its next one keeps the distance."""
        self._states.of(service).last_pool = self._clock.monotonic()

    def settled(self, service: ObjectKey) -> None:
        """The service wants no pool now: a time that is left over is not for the next one it may want some day."""
        if (state := self._states.known(service)) is not None:
            state.pool_times.clear()


class RollPacer:
    """Rollouts that only change the form of pods go one after another over all services (FORM-2).

    As with pools, nobody waits here: a workload that is too early gets a time of its own, and is let through once at that time.
    """

    def __init__(self, interval: float, clock: Clock) -> None:
        """`interval`: seconds between two rollouts; 0: no limit."""
        self._bucket = TokenBucket(1.0 / interval if interval else None, 1, clock)
        self._clock = clock
        self._times: dict[ObjectRef, float] = {}

    def admit(self, workload: ObjectRef) -> float:
        """0.0 when the workload may roll now, which takes its turn; else the seconds until then."""
        now = self._clock.monotonic()
        at = self._times.get(workload)
        if at is None:
            at = now + self._bucket.take()
        if at > now + GRAIN:
            self._times[workload] = at
            return at - now
        self._times.pop(workload, None)
        return 0.0

    def forget(self, workload: ObjectRef) -> None:
        """Drops the time of a workload that is gone."""
        self._times.pop(workload, None)
