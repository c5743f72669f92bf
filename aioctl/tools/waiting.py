"""Services that could move and wait for their turn (MIG-10), told without the leader, who alone knows whose turn it is. Pure.

What is known: which services moved and are not Ready, how many places there are, and whether the window is open. So how many
wait is exact, and who they are is by name, where the leader goes by who came first.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from aioctl.api import conditions as c
from aioctl.api.defaulting import is_stopped
from aioctl.api.objects import FieldError, Object, dig, is_deleting, key_of
from aioctl.plan.lock import status_locked
from aioctl.plan.migration import Reason, State
from aioctl.plan.observation import Observation
from aioctl.plan.policy import Policy
from aioctl.plan.readiness import find_condition
from aioctl.plan.waves import Pace, taken
from aioctl.tools.look import Look, look


def in_turn(
    seen: Sequence[Look],
    obs: Observation,
    policy: Policy,
    pace: Pace,
    fleet: Sequence[Object],
    now: datetime,
) -> list[Look]:
    """The looks, those of services that wait for others or for the window made anew. `fleet`: every service there is."""
    moves = [one for one in seen if one.decision is not None and one.decision.state is State.SHIFTING]
    if not moves:
        return list(seen)
    turn, free = _turn(pace, fleet, now)
    waiting = {one.key for one in sorted(moves, key=lambda one: one.key)[free:]} if turn else set()
    return [_waiting(one, obs, policy, turn) if one.key in waiting else one for one in seen]


def _turn(pace: Pace, fleet: Sequence[Object], now: datetime) -> tuple[str, int]:
    """What is waited for, and how many may move before."""
    if closed := pace.closed(now):
        return closed, 0
    places = pace.budget.places(len(fleet))
    if places is None:
        return "", 0
    moving = [str(key_of(service)) for service in fleet if _has_moved(service)]
    free = max(0, places - len(moving))
    return taken(moving, places) if moving else f"AIOCTL_MIGRATION_BUDGET allows {places} at once", free


def _has_moved(service: Object) -> bool:
    """Moved and not Ready yet, for whatever reason: it takes a place."""
    if is_stopped(service) or is_deleting(service):
        return False
    try:
        locked = status_locked(service)
    except FieldError:
        return False
    conditions = dig(service, "status", "conditions")
    ready = find_condition(conditions if isinstance(conditions, list) else (), c.READY)
    return locked and (ready is None or ready.get("status") != c.TRUE)


def _waiting(one: Look, obs: Observation, policy: Policy, turn: str) -> Look:
    """Planned as the leader plans for a service without a place; as before where traffic has no other place to go."""
    made = look(obs, one.service, replace(policy, turn=turn), one.now)
    waits = made.decision is not None and made.decision.reason is Reason.WAITS_FOR_BUDGET
    return replace(made, turn=turn) if waits else one
