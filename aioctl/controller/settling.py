"""When a changed status is written (WEB-1: each write of a service object costs conversions).

What people wait for (it has become ready, somebody has to do something) is written after the settle time. Everything else is
written once it rests: a rollout that goes well is one write and not five, a service that was ready and is scaled says once how
many pods it has now, and a route that is stale for the second in which the gateway looks at our change does not make the service
flap.
"""

from typing import Final

from aioctl.api.conditions import TRUE
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object
from aioctl.controller.service_state import PendingStatus, ServiceStates
from aioctl.engine.clock import Clock
from aioctl.engine.limits import GRAIN
from aioctl.plan.status import readiness, status_equal

REST: Final = 3
"""Settle times without a change after which a status is written: with the default, longer than a gateway's usual second."""
LONGEST: Final = 20
"""Settle times after which a status is written though it goes on changing: with the default 10 s, in which most services of a
storm get ready."""
STILL_WRITING: Final = 240
"""The same while it is our own writes that it goes on for: 120 s."""


class StatusSettling:
    """State of one process: the services whose status is not written yet."""

    def __init__(self, settle: float, clock: Clock, states: ServiceStates) -> None:
        """`settle` in seconds; 0 writes everything at once."""
        self._settle = settle
        self._clock = clock
        self._states = states

    @property
    def shortest(self) -> float:
        """Seconds that every changed status waits, if it waits at all."""
        return self._settle

    def wait(
        self,
        service: ObjectKey,
        wanted: Object,
        *,
        was_ready: bool = False,
        problem: bool = False,
        busy: bool = False,
        wrote: bool = False,
    ) -> float:
        """Seconds until the wanted status, which differs from the stored one, is due; 0.0 when it is.

        `was_ready`: the stored one says so already, so that being ready is no news. `problem`: somebody has to do something
        about this service. `busy`: writes of ours for it are still to come.
        `wrote`: this run wrote something for it, and what others say of that is still to come.
        """
        now = self._clock.monotonic()
        state = self._states.of(service)
        pending = state.pending
        if pending is None:
            pending = PendingStatus(
                wanted, now, now + LONGEST * self._settle, now + STILL_WRITING * self._settle
            )
            state.pending = pending
        elif busy or not status_equal(pending.wanted, wanted):
            pending.wanted, pending.changed = wanted, now
        if wrote:
            # On a busy machine the runs of one service lie so far apart that each would write a status of its own.
            pending.latest = min(max(pending.latest, now + REST * self._settle), pending.last)
        became_ready = not was_ready and readiness(wanted) == TRUE
        if not (problem or became_ready):
            pending.soon = None
        elif pending.soon is None:
            pending.soon = now + self._settle
        due = min(pending.latest, pending.changed + REST * self._settle)
        if pending.soon is not None:
            due = min(due, pending.soon)
        return due - now if due - now > GRAIN else 0.0

    def forget(self, service: ObjectKey) -> None:
        """The status was written, or is right again."""
        if (state := self._states.known(service)) is not None:
            state.pending = None
