"""Which services may move their traffic now (MIG-10): a budget for the whole fleet, and a window in time.

A place is taken when a plan would move a service, and given back when the service is Ready on v1, or is not going to move
after all. A service that moved and is not Ready keeps its place for as long as that lasts, whichever process moved it: a wave that
does harm ends by itself. Nobody waits here: who finds no place stands in line without a timer, and is woken when a place is
free, which is then reserved; where the window is closed a service comes back when it opens.
"""

from collections.abc import Callable

from aioctl.api.kinds import ObjectKey
from aioctl.engine.clock import Clock
from aioctl.plan.migration import Decision, Reason, State
from aioctl.plan.waves import Budget, Pace, Window, taken


class Waves:
    """State of one process: who is on the move, and who stands in line."""

    def __init__(
        self,
        budget: Budget,
        window: Window | None,
        clock: Clock,
        services: Callable[[], int],
        wake: Callable[[ObjectKey], None],
    ) -> None:
        """`services`: how many there are; `wake` puts one into the queue."""
        self._budget = budget
        self._window = window
        self._pace = Pace(budget, window)
        self._clock = clock
        self._services = services
        self._wake = wake
        self._moving: dict[ObjectKey, None] = {}
        self._waiting: dict[ObjectKey, None] = {}
        """In the order in which they came."""

    def admit(self, service: ObjectKey) -> str:
        """Takes a place for the service, which would move now; else what it waits for, in words."""
        if service in self._moving:
            return ""
        if closed := self._pace.closed(self._clock.now()):
            return closed
        places = self._budget.places(self._services())
        if places is None or len(self._moving) < places:
            self._waiting.pop(service, None)
            self._moving[service] = None
            return ""
        self._waiting.setdefault(service)
        return taken([str(each) for each in self._moving], places)

    def settled(self, service: ObjectKey, decision: Decision, *, ready: bool) -> None:
        """What the service's run came to."""
        if decision.reason is Reason.WAITS_FOR_BUDGET:
            return
        self._waiting.pop(service, None)
        if decision.state is State.MIGRATED and not ready:
            self._moving.setdefault(service)
        elif decision.state is not State.SHIFTING:
            self._leave(service)

    def gone(self, service: ObjectKey) -> None:
        """The service is deleted, or has nothing to move."""
        self._waiting.pop(service, None)
        self._leave(service)

    def opens_in(self) -> float | None:
        """Seconds until the window opens; None when it is open, or there is none."""
        now = self._clock.now()
        if self._window is None or self._window.holds(now):
            return None
        opens = self._window.opens(now)
        return None if opens is None else (opens - now).total_seconds()

    def _leave(self, service: ObjectKey) -> None:
        if service not in self._moving:
            return
        del self._moving[service]
        places = self._budget.places(self._services())
        while self._waiting and (places is None or len(self._moving) < places):
            following = next(iter(self._waiting))
            del self._waiting[following]
            # Reserved until its run says whether it still wants to move: else each place would wake the whole line.
            self._moving[following] = None
            self._wake(following)
