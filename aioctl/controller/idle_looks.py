"""Services that are woken again and again by the status of others and have nothing to write are looked at less often (WATCH-4).

Two gateways that overwrite each other's status of a pool do so for ever, some fifty times a second, and whoever reads that pool
would be planned each time. So a few looks are free, as many as a rollout takes; then a service waits for a second between two, and
later for longer. Anything but a status, and whatever happens to the service itself, is looked at at once.
"""

from typing import Final

from aioctl.api.kinds import ObjectKey
from aioctl.controller.service_state import IdleLooks, ServiceStates
from aioctl.engine.clock import Clock
from aioctl.kube.cached import Cached

FREE: Final = 10
"""Looks in a row that found nothing to do and cost no wait; each further ten double the wait."""
SHORTEST: Final = 1.0
LONGEST: Final = 8.0
"""Seconds between two looks. A gateway that has accepted at last is seen that late, at worst, if others went on before."""
CALM: Final = 30.0
"""Seconds without a look after which the next ones are free again."""


def by_status_alone(old: Cached | None, new: Cached | None) -> bool:
    """The same object, of a kind that counts its generations, in the same generation and with the same labels."""
    if old is None or new is None or not new.generation or new.deleting:
        return False
    return (old.uid, old.generation, old.labels) == (new.uid, new.generation, new.labels)


class IdleLookLimit:
    """State of one process: how often each service was looked at for nothing."""

    def __init__(self, states: ServiceStates, clock: Clock) -> None:
        self._states = states
        self._clock = clock

    def looked(self, service: ObjectKey, *, idle: bool) -> None:
        """The service was planned; `idle`: and had nothing to do."""
        state = self._states.of(service)
        if not idle:
            state.idle = None
            return
        now = self._clock.monotonic()
        before = state.idle
        in_a_row = before.in_a_row if before is not None and now - before.last < CALM else 0
        state.idle = IdleLooks(in_a_row + 1, now)

    def wait(self, service: ObjectKey) -> float:
        """Seconds until the service is to be looked at again because of somebody's status."""
        state = self._states.known(service)
        if state is None or state.idle is None or state.idle.in_a_row < FREE:
            return 0.0
        pause = min(SHORTEST * 2.0 ** min(state.idle.in_a_row // FREE - 1, 8), LONGEST)
        return max(0.0, state.idle.last + pause - self._clock.monotonic())
