"""Deciding for one service: the plan, and what is concluded once its writes are done. Here, or in a child process.

A `Planner` is what the reconciler asks. `LocalPlanner` decides on the loop, each decision in a turn of the turnstile and
under a mark that says which service it is; `controller/confinement.py` has the one that asks a child process.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from aioctl.api import without_effect
from aioctl.api.objects import FieldError, Object, key_of
from aioctl.controller.marks import Marks
from aioctl.engine.turnstile import Turnstile
from aioctl.plan import (
    collisions,
    gateway_requests,
    groups,
    order,
    probe,
    route,
    routing,
    scheduler,
    silent_gateways,
    status,
    workload,
)
from aioctl.plan.memo import concluded
from aioctl.plan.migration import Decision
from aioctl.plan.model import Context, Outcome, Part, Plan
from aioctl.plan.observation import Observation, Unanswered
from aioctl.plan.policy import Policy
from aioctl.plan.reach import progress_of

_STATUS_WRITTEN: Final = 1.0
"""Seconds until a plan that waits for its own status is made again: a write of its own wakes nobody."""


class PlanTooExpensive(Exception):
    """Planning was ended because it took too much; the text says what of."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What follows from a plan and what came of its writes."""

    status: Object
    """As it should be stored."""
    decision: Decision | None
    """Where the migration stands; None when the spec could not be combined or read."""
    gateways: frozenset[str]
    """The gateways the managed route hangs on, as `namespace/name`."""
    misfits: tuple[str, ...] | None
    """What will not work and has no condition; None when that cannot be said."""
    held: int | None = None
    """Workloads whose pods keep another form than today's; None when that cannot be said."""
    notices: tuple[tuple[str, str], ...] = ()
    """(reason, message) of Warning events, each once for a generation of the service."""
    again: float | None = None
    """Seconds until the service is to be looked at again though nothing has changed; None: not at all."""


class Planner(Protocol):
    """Decides for one service at a time. `turn`: see `plan.policy.Policy`.

    `read` is called whenever the view was asked, before anything is awaited.
    """

    async def plan(
        self, obs: Observation, service: Object, now: datetime, read: Callable[[], None], turn: str = ""
    ) -> Plan: ...

    async def conclude(
        self, plan: Plan, outcome: Outcome, obs: Observation, now: datetime, read: Callable[[], None]
    ) -> Conclusion: ...


class LocalPlanner:
    """Decides in this process."""

    def __init__(self, policy: Policy, turnstile: Turnstile, marks: Marks) -> None:
        self._policy = policy
        self._turnstile = turnstile
        self._marks = marks

    async def plan(
        self, obs: Observation, service: Object, now: datetime, read: Callable[[], None], turn: str = ""
    ) -> Plan:
        async with self._turnstile.turn():
            with self._marks.planning(key_of(service)):
                decided = order.plan(obs, service, replace(self._policy, turn=turn), now)
            read()
        return decided

    async def conclude(
        self, plan: Plan, outcome: Outcome, obs: Observation, now: datetime, read: Callable[[], None]
    ) -> Conclusion:
        async with self._turnstile.turn():
            with self._marks.planning(key_of(plan.service)):
                conclusion = conclude(plan, outcome, obs, self._policy, now)
            read()
        return conclusion


def conclude(plan: Plan, outcome: Outcome, obs: Observation, policy: Policy, now: datetime) -> Conclusion:
    """Everything that is concluded, in one go."""
    decision = status.migration_of(plan, obs)
    return Conclusion(
        status.conclude(plan, outcome, obs, policy, now, decision),
        decision,
        _gateways(plan, obs) if decision is not None else frozenset(),
        _misfits(plan, obs),
        _held(plan, outcome),
        _notices(plan, obs),
        _again(plan, obs, decision),
    )


def _again(plan: Plan, obs: Observation, decision: Decision | None) -> float | None:
    if plan.context is None:
        return None
    ctx = replace(plan.context, obs=obs)
    try:
        if route.waits_for_the_status(ctx):
            return _STATUS_WRITTEN
        if decision is None:
            return None
        waits = (probe.seconds_until(ctx, decision), silent_gateways.seconds_until(ctx))
    except FieldError:
        return None
    return min((wait for wait in waits if wait is not None), default=None)


def _gateways(plan: Plan, obs: Observation) -> frozenset[str]:
    if plan.context is None:
        return frozenset()
    ctx = replace(plan.context, obs=obs)

    def gateways() -> frozenset[str]:
        if routing.mode(ctx) is not routing.Mode.MANAGED:
            return frozenset()
        return frozenset(map(str, routing.parent_gateways(routing.route_spec(ctx), ctx.namespace)))

    return concluded(ctx, "gateways", gateways)


def _held(plan: Plan, outcome: Outcome) -> int | None:
    held = status.held(plan, progress_of(plan, outcome))
    return None if held is None else len(held)


def _notices(plan: Plan, obs: Observation) -> tuple[tuple[str, str], ...]:
    if plan.context is None:
        return ()
    ctx = replace(plan.context, obs=obs)
    found = concluded(ctx, "notices", lambda: tuple(_noticed(ctx)))
    if any(step.part is Part.VALIDATION and step.error for step in plan.steps):
        return found  # there is no route to share or to collide with, and no address yet that others are compared with
    return (*found, *concluded(ctx, "notices of routes", lambda: tuple(_noticed_of_others(ctx))))


def _noticed_of_others(ctx: Context) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with suppress(FieldError, Unanswered):
        found += groups.notices(groups.group_of(ctx))
    with suppress(FieldError):
        found += collisions.notices(ctx)
    with suppress(FieldError):
        found += gateway_requests.notices(ctx)
    return found


def _noticed(ctx: Context) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    with suppress(FieldError, Unanswered):
        found += scheduler.notices(ctx)
    combined = {**ctx.service, "spec": ctx.spec}
    found += [(without_effect.REASON, text) for text in without_effect.of_combined(combined)]
    with suppress(FieldError, Unanswered):
        found += [(without_effect.REASON, text) for text in workload.notices(ctx)]
    return found


def _misfits(plan: Plan, obs: Observation) -> tuple[str, ...] | None:
    if plan.context is None:
        return None
    ctx = replace(plan.context, obs=obs)
    try:
        return concluded(ctx, "misfits", lambda: scheduler.misfits(ctx))
    except FieldError:
        return None  # the scheduler's own step names the field
