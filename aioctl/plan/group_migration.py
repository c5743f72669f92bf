"""A route that shares requests moves as one: when what its migration asks for holds for the pool of every member (GROUP-5).

All its references are of one API group, v1 once the route is locked. Each route of a group moves and locks on its own: both
pools of every member exist, so that none has to wait for another. Where v1alpha2 is refused and v1 served, a member without a v1
pool is left behind: it gets no request in either place.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from aioctl.api import kinds
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, Served
from aioctl.api.objects import Object, is_deleting, sequence
from aioctl.plan.evidence import Support
from aioctl.plan.groups import Member, Pool, group_of, shared_generation
from aioctl.plan.migration import Decision, MigrationFacts, PoolState
from aioctl.plan.model import Context
from aioctl.plan.observation import Absent, Present, Unanswered, Unknown
from aioctl.plan.policy import Strategy
from aioctl.plan.readiness import v1_ready, v1alpha2_ready
from aioctl.plan.routing import parent_gateways, route_spec

_WORST_FIRST: Final = (PoolState.UNKNOWN, PoolState.ABSENT, PoolState.NOT_READY, PoolState.READY)


def of_the_group(ctx: Context, facts: MigrationFacts) -> MigrationFacts:
    """The facts that the migration of the service's route is decided on: its own, and those of the members it refers to.

    A service without scheduler has no pool of its own, but its route moves with those of others. One reference at a time,
    because a rule that shares requests has one for each member.
    """
    if not facts.managed:
        return facts
    try:
        group = group_of(ctx)
    except Unanswered:
        return replace(facts, v1=PoolState.UNKNOWN)
    if group is None:
        return facts
    others = [member for member in group.sharing if member.name != ctx.name and _has_pool(ctx, member)]
    facts = replace(facts, form=Strategy.SWAP, asks_both=False, form_awaited=False)
    if not others:
        return facts
    v1 = [_state(ctx, kinds.POOL_V1, member) for member in others]
    old = [_state(ctx, kinds.POOL_V1ALPHA2, member) for member in others]
    if facts.external:
        return _with_own_from_user(facts, _worst(v1))
    own_v1, own_old = ([facts.v1], [facts.v1alpha2]) if facts.scheduler else ([], [])
    v1 = [*own_v1, *v1]
    if facts.v1alpha2_fails and facts.v1_by is Support.YES:
        # Whose v1 pool is not there has nothing to lose with the others, and is led to again once it is.
        v1 = [state for state in v1 if state is not PoolState.ABSENT] or v1
    return replace(facts, scheduler=True, v1=_worst(v1), v1alpha2=_worst((*own_old, *old)))


def _with_own_from_user(facts: MigrationFacts, others: PoolState) -> MigrationFacts:
    """A user's own pool moves as soon as there is one in v1; here it waits for those of the others, where it can stay."""
    exist = (PoolState.READY, PoolState.NOT_READY)
    if others is PoolState.READY or facts.v1 not in exist or facts.v1alpha2 not in exist:
        return facts
    return replace(facts, external=False, status_locked=False, v1=others)


def generation(ctx: Context, decision: Decision, live: Object | None) -> str:
    """The API group of every pool that the route of a member refers to."""
    if decision.keep and live is not None:
        kept = shared_generation(ctx, sequence(live, "spec", "rules"))
        if kept:
            return kept
    return decision.only or (POOL_GROUP_V1 if decision.locked else POOL_GROUP_V1ALPHA2)


def _has_pool(ctx: Context, member: Member) -> bool:
    """False for one whose Service is referred to as long as its pool is not there."""
    if not member.pool_name:
        return False
    asked = member.pool is Pool.ASKED and not member.external
    return not asked or _state(ctx, kinds.POOL_V1, member) is not PoolState.ABSENT


def _state(ctx: Context, kind: Kind, member: Member) -> PoolState:
    if ctx.obs.served(kind) is Served.NO:
        return PoolState.ABSENT
    match ctx.obs.get(kind, ctx.namespace, member.pool_name):
        case Unknown():
            return PoolState.UNKNOWN
        case Absent():
            return PoolState.ABSENT
        case Present(pool):
            gateways = parent_gateways(route_spec(ctx), ctx.namespace)
            judge = v1_ready if kind == kinds.POOL_V1 else v1alpha2_ready
            ready = judge(pool, gateways).ready and not is_deleting(pool)
            return PoolState.READY if ready else PoolState.NOT_READY


def _worst(states: Iterable[PoolState]) -> PoolState:
    return min(states, key=_WORST_FIRST.index)
