"""Gathers from the cluster what `plan/migration.py` decides on. Reads only; unknown stays unknown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, external_pool_name
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, ObjectKey, Served
from aioctl.api.objects import (
    Object,
    annotations_of,
    dig,
    generation_of,
    is_deleting,
    mapping,
    name_of,
    sequence,
)
from aioctl.plan import forms, gateway_requests, refusals, silent_gateways
from aioctl.plan.evidence import (
    GatewayEvidence,
    Source,
    Support,
    of_gateways,
    references,
    switch_of,
)
from aioctl.plan.finished import v1alpha2_served
from aioctl.plan.forms import form_of
from aioctl.plan.group_migration import of_the_group
from aioctl.plan.groups import group_of, pools_of
from aioctl.plan.hearsay import BESIDE, Heard
from aioctl.plan.lock import lock_counts, status_locked
from aioctl.plan.memo import concluded, once
from aioctl.plan.migration import Decision, MigrationFacts, PoolState, Refusal, decide
from aioctl.plan.model import Context
from aioctl.plan.observation import Absent, Observation, Present, Unanswered, Unknown
from aioctl.plan.parents import parents_of
from aioctl.plan.policy import Probe, Strategy
from aioctl.plan.readiness import Readiness, accepts, find_condition, is_stale, v1_ready, v1alpha2_ready
from aioctl.plan.refusals import INVALID_KIND
from aioctl.plan.routing import (
    Mode,
    groups_of_pools,
    has_scheduler,
    is_any_pool_ref,
    is_pool_ref,
    mode,
    owns_pools,
    parent_gateways,
    pool_names,
    route_spec,
)

Decided = Callable[[], Decision]
"""The state of the migration for the parts of one plan: they ask, and it is found once. Raises as `migration_of`."""


def migration_of(ctx: Context) -> Decision:
    """The state of the migration as the view in the context shows it."""
    return once(ctx, ("migration", ctx.policy.turn), lambda: decide(of_the_group(ctx, facts_of(ctx))))


def facts_of(ctx: Context) -> MigrationFacts:
    """The facts of one service."""

    def facts() -> MigrationFacts:
        return _facts(ctx, _probes(ctx))

    return once(ctx, ("facts", ctx.policy.turn), lambda: concluded(ctx, f"facts {ctx.policy.turn}", facts))


def unprobed(ctx: Context) -> MigrationFacts:
    """The facts without what the gateways answer to our questions, whichever service puts them; but with what they refuse of a rule
    with both generations, which is a reason to ask about one."""

    def facts() -> MigrationFacts:
        answers = (each.probes for each in heard_by(ctx, route_spec(ctx)).values())
        if not _probes(ctx) and not any(answers):
            return facts_of(ctx)  # nobody has answered
        mixed = ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.mixed_probe_name(ctx.name))
        return _facts(ctx, [mixed.obj] if isinstance(mixed, Present) else [], affirmed=False)

    return once(ctx, ("facts without answers", ctx.policy.turn), facts)


def evidence_of(ctx: Context) -> tuple[GatewayEvidence, ...]:
    """What is known of each gateway of the managed route, other services' routes included; also of a service that has moved."""
    read = ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
    wanted = route_spec(ctx)
    live = read.obj if isinstance(read, Present) else None
    return _evidence(ctx, live, wanted, _probes(ctx), heard_by(ctx, wanted))


def _probes(ctx: Context) -> list[Object]:
    """The routes that ask for this service and are there, the one that asks about v1 first."""
    asking = (names.probe_name(ctx.name), names.mixed_probe_name(ctx.name))
    reads = (ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, name) for name in asking)
    return [read.obj for read in reads if isinstance(read, Present)]


def takes_both(ctx: Context, live: Object | None) -> bool:
    """Whether a rule of a group's route may lead a member's traffic to a pool of another generation than the route's (GROUP-5).

    As with `auto`: where every gateway is known to take both, and while none has refused what the live route has.
    """
    mixed = live is not None and len(references(live, _pools(ctx))[0]) > 1
    form = form_of(Strategy.AUTO, Strategy.AUTO, mixed=mixed, evidence=evidence_of(ctx))
    return form is Strategy.WEIGHTED


def _asking_about_both(
    ctx: Context, probes: Sequence[Object], heard: Mapping[ObjectKey, Heard]
) -> Object | None:
    """The route that asks whether gateways take both generations in one rule: of this service, else of another one."""
    own = names.mixed_probe_name(ctx.name)
    for probe in probes:
        if name_of(probe) == own:
            return probe
    for each in heard.values():
        if each.asks_both is not None:
            read = ctx.obs.get(kinds.HTTP_ROUTE, *each.asks_both)
            return read.obj if isinstance(read, Present) else None
    return None


def heard_by(ctx: Context, wanted: Mapping[str, Any], *, affirmed: bool = True) -> dict[ObjectKey, Heard]:
    """What routes of other services say of the gateways that the managed route hangs on. Without what is `affirmed`, of their probes
    nothing counts but what is refused where both generations stand in one rule."""
    ours = frozenset(ObjectKey(ctx.namespace, name) for name in names.own_routes(ctx.name))
    heard = {gateway: ctx.obs.heard(gateway, ours) for gateway in parent_gateways(wanted, ctx.namespace)}
    # Where a request has to go through as well, the word on another's probe is not enough.
    if ctx.policy.probe is Probe.TRAFFIC:
        return {gateway: replace(each, probes={}) for gateway, each in heard.items()}
    return heard if affirmed else {gateway: _doubts(each) for gateway, each in heard.items()}


def _doubts(heard: Heard) -> Heard:
    return replace(
        heard, probes={about: yes for about, yes in heard.probes.items() if about in BESIDE.values()}
    )


def _never(_probe: Object, _gateway: ObjectKey) -> bool:
    return False


def _facts(ctx: Context, probes: Sequence[Object], *, affirmed: bool = True) -> MigrationFacts:
    """`affirmed`: what gateways affirm on probes counts."""
    strategy, paused, problem = preferences(ctx)
    if mode(ctx) is not Mode.MANAGED:
        return MigrationFacts(managed=False, strategy=strategy, paused=paused)
    read = ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
    live = read.obj if isinstance(read, Present) else None
    wanted = route_spec(ctx)
    mixed = live is not None and _is_mixed(ctx, live)
    route_locked = live is not None and lock_counts(ctx, live, wanted)
    # Of a service that has moved nothing depends on what others say, and it need not be woken by it.
    moved = route_locked or status_locked(ctx.service)
    heard = {} if moved else heard_by(ctx, wanted, affirmed=affirmed)
    evidence = _evidence(ctx, live, wanted, probes, heard, affirmed=affirmed)
    chooses = live is not None and not moved and strategy is Strategy.AUTO and owns_pools(ctx)
    pools = _pools(ctx)
    v1alpha2 = set() if isinstance(read, Unknown) else _of_v1alpha2(ctx, live, evidence)
    wait = (
        forms.wait(ctx, live, pools, evidence, probes, _asking_about_both(ctx, probes, heard))
        if chooses and live is not None
        else forms.NO_WAIT
    )
    return MigrationFacts(
        scheduler=has_scheduler(ctx.spec),
        external=bool(external_pool_name(ctx.spec)),
        route_exists=not isinstance(read, Absent),
        route_locked=route_locked,
        status_locked=status_locked(ctx.service),
        v1_served=ctx.obs.served(kinds.POOL_V1),
        v1alpha2_served=v1alpha2_served(ctx),
        v1=_v1(ctx, wanted),
        v1alpha2=_v1alpha2(ctx, wanted),
        refusal=refusal_of(live, ctx.obs) if live is not None else Refusal.NONE,
        mixed=mixed,
        v1_has_traffic=live is not None and _v1_has_traffic(ctx, live),
        v1alpha2_refused=_refusal(v1alpha2),
        refuses_v1alpha2=Support.NO in v1alpha2,
        v1_by=_of_all(each.v1.support for each in evidence),
        v1_doubted=any(each.v1.source is Source.BESIDE for each in evidence),
        v1_shown=bool(evidence) and all(each.v1.shown for each in evidence),
        v1_awaited=silent_gateways.is_awaited(ctx, (each.gateway for each in evidence)),
        picker_available=_picker_available(ctx),
        silent=_only_silence(ctx, evidence),
        refusers="; ".join(_refuser(each) for each in evidence if each.v1.support is Support.NO),
        strategy=strategy,
        form=form_of(strategy, ctx.policy.strategy, mixed=mixed, evidence=evidence),
        asks_both=chooses and live is not None and forms.is_asked(ctx, live, pools, evidence),
        form_awaited=wait.awaited,
        form_until=wait.until,
        paused=paused,
        turn=ctx.policy.turn,
        problem=problem,
    )


def _evidence(
    ctx: Context,
    live: Object | None,
    wanted: Mapping[str, Any],
    probes: Sequence[Object],
    heard: Mapping[ObjectKey, Heard],
    *,
    affirmed: bool = True,
) -> tuple[GatewayEvidence, ...]:
    """What is known of each gateway that the managed route hangs on, or will after this write."""
    by_traffic = partial(gateway_requests.answers, ctx) if ctx.policy.probe is Probe.TRAFFIC else None
    name = effective_pool_name(ctx.name, ctx.spec)
    reads = {
        kind: ctx.obs.get(kind, ctx.namespace, name)
        for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)
        if ctx.obs.served(kind) is not Served.NO
    }
    return of_gateways(
        ctx.obs,
        parent_gateways(wanted, ctx.namespace),
        live,
        {kind: read.obj for kind, read in reads.items() if isinstance(read, Present)},
        _pools(ctx),
        probes,
        heard,
        by_traffic if affirmed else _never,
    )


def _of_all(found: Iterable[Support]) -> Support:
    said = set(found)
    if Support.NO in said:
        return Support.NO
    return Support.YES if said == {Support.YES} else Support.UNKNOWN


def _of_v1alpha2(ctx: Context, live: Object | None, evidence: Iterable[GatewayEvidence]) -> set[Support]:
    """What gateways have said on routes of the v1alpha2 reference that carries the live route's traffic, or would."""
    if live is not None and POOL_GROUP_V1ALPHA2 not in references(live, _pools(ctx))[0]:
        return set()
    return {each.v1alpha2.support if each.v1alpha2.shown else Support.UNKNOWN for each in evidence}


def _refusal(said: set[Support]) -> Refusal:
    if said == {Support.NO}:
        return Refusal.ALL
    return Refusal.SOME if said == {Support.NO, Support.YES} else Refusal.NONE


def _picker_available(ctx: Context) -> bool:
    """True also for a service that runs no picker of its own: whoever runs it answers for it."""
    found = dict(silent_gateways.pools_of(ctx)).get(kinds.POOL_V1)
    return found is not None and silent_gateways.has_picker(ctx, found)


def _only_silence(ctx: Context, evidence: Iterable[GatewayEvidence]) -> bool:
    """No gateway keeps the v1 pool from being ready but those that write no status of pools, and have had time to."""
    pools = silent_gateways.pools_of(ctx)
    v1 = dict(pools).get(kinds.POOL_V1)
    if v1 is None or silent_gateways.wait(ctx, v1) != timedelta(0):
        return False
    return all(
        accepts(v1, kinds.POOL_V1, each.gateway) or silent_gateways.is_silent(pools, each.gateway)
        for each in evidence
    )


def _refuser(found: GatewayEvidence) -> str:
    by = f" ({found.controller})" if found.controller else ""
    return (
        f"Gateway {found.gateway}{by} refuses references to v1 InferencePools; {switch_of(found.controller)}"
    )


def preferences(ctx: Context) -> tuple[Strategy, bool, str]:
    """Strategy, whether the service is paused, and what is wrong with its annotations (defaults stay in force)."""
    annotations = annotations_of(ctx.service)
    problems = []
    strategy = ctx.policy.strategy
    asked = annotations.get(names.MIGRATION_STRATEGY)
    if asked:
        try:
            strategy = Strategy(asked)
        except ValueError:
            allowed = ", ".join(each.value for each in Strategy)
            problems.append(
                f'annotation {names.MIGRATION_STRATEGY}: "{asked}" is none of {allowed}; {strategy.value} is used'
            )
    migration = annotations.get(names.MIGRATION)
    if migration and migration != "paused":
        problems.append(f'annotation {names.MIGRATION}: "{migration}" is not paused and has no effect')
    return strategy, migration == "paused", "; ".join(problems)


def refusal_of(route: Object, obs: Observation) -> Refusal:
    """How many of the route's own parents say ResolvedRefs=False/InvalidKind about its current generation."""
    refusing = [any(_refuses(entry, route) for entry in parent.entries) for parent in parents_of(route, obs)]
    if not any(refusing):
        return Refusal.NONE
    return Refusal.ALL if all(refusing) else Refusal.SOME


def _refuses(entry: Mapping[str, Any], route: Object) -> bool:
    condition = find_condition(sequence(entry, "conditions"), "ResolvedRefs")
    if condition is None or is_stale(condition, generation_of(route)):
        return False
    if condition.get("status") != "False" or INVALID_KIND not in refusals.reasons(condition):
        return False
    named = refusals.of_kinds(condition, mapping(route, "spec"))
    return not named or any(is_any_pool_ref(ref) for ref in named)


def _is_mixed(ctx: Context, live: Object) -> bool:
    groups = groups_of_pools(live.get("spec"), _pools(ctx))
    return groups >= {POOL_GROUP_V1, POOL_GROUP_V1ALPHA2}


def _v1_has_traffic(ctx: Context, live: Object) -> bool:
    pools = _pools(ctx)
    return any(
        ref["group"] == POOL_GROUP_V1 and dig(ref, "weight") != 0
        for rule in sequence(live.get("spec"), "rules")
        for ref in sequence(rule, "backendRefs")
        if is_pool_ref(ref, pools)
    )


def _pools(ctx: Context) -> frozenset[str]:
    """The pools that the service's route leads to: its own, and those of the members of its group."""
    own = pool_names(ctx.name, ctx.spec)
    try:
        return own | pools_of(group_of(ctx))
    except Unanswered:
        return own


def _v1(ctx: Context, wanted: Mapping[str, Any]) -> PoolState:
    # The gateways that the route will hang on after this write: for an unchanged route those of the live one.
    gateways = parent_gateways(wanted, ctx.namespace)
    return _pool(ctx, kinds.POOL_V1, lambda pool: v1_ready(pool, gateways))


def _v1alpha2(ctx: Context, wanted: Mapping[str, Any]) -> PoolState:
    gateways = parent_gateways(wanted, ctx.namespace)
    return _pool(ctx, kinds.POOL_V1ALPHA2, lambda pool: v1alpha2_ready(pool, gateways))


def _pool(ctx: Context, kind: Kind, judge: Callable[[Object], Readiness]) -> PoolState:
    if ctx.obs.served(kind) is Served.NO:
        return PoolState.ABSENT
    match ctx.obs.get(kind, ctx.namespace, effective_pool_name(ctx.name, ctx.spec)):
        case Unknown():
            return PoolState.UNKNOWN
        case Absent():
            return PoolState.ABSENT
        case Present(pool):
            return PoolState.READY if judge(pool).ready and not is_deleting(pool) else PoolState.NOT_READY
