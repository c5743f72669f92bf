"""Asks the gateways of a service what they serve, with routes that carry no traffic (MIG-8, MIG-12, MIG-14).

Some gateways say nothing of a pool until a route names it (istiod), so before the move nothing may be known of v1. A second
HTTPRoute, for a hostname that nobody can resolve, names the v1 pool alone; ResolvedRefs on it is the answer. It stands as long
as the question does and goes with the move: nothing has to be remembered, and a gateway that learns v1 later says so by itself.

A third one names both generations in one rule. It is there where every gateway serves each of them and nobody has said whether they take
both, as long as something follows from the answer: the form of an `auto` route that has not moved, or a member of a traffic group whose
pool its user has in the other generation alone (GROUP-5).

It is asked at once where a gateway refuses v1alpha2, and after a while where v1alpha2 is served and one reference at a time is
written, or where the gateway writes no status of pools. Not while somebody holds the service, as then nothing would follow. A gateway is asked by one service at a time, the first
by name of those that did; the others hear the answer. A new service of which one gateway is known to refuse v1alpha2, and none v1,
asks before it has a route, and its route is made once that is answered.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import (
    HTTP_ROUTE,
    POOL_GROUP_V1,
    POOL_GROUP_V1ALPHA2,
    POOL_V1,
    POOL_V1ALPHA2,
    Kind,
    ObjectKey,
    Served,
)
from aioctl.api.objects import Object, created_at, generation_of, sequence
from aioctl.api.records import changed
from aioctl.golang.equality import derivative
from aioctl.plan import silent_gateways
from aioctl.plan.children import build, ensure, remove
from aioctl.plan.evidence import Support, references
from aioctl.plan.forms import may_ask
from aioctl.plan.group_migration import generation, of_the_group
from aioctl.plan.groups import group_name, group_of, lacks_generation, pools_of
from aioctl.plan.hearsay import Heard
from aioctl.plan.memo import left_until
from aioctl.plan.migration import Decision, Reason
from aioctl.plan.migration_facts import Decided, evidence_of, facts_of, heard_by, unprobed
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import Present, Unanswered, Unknown
from aioctl.plan.parents import parents_of
from aioctl.plan.policy import Probe, Strategy
from aioctl.plan.readiness import find_condition, is_stale
from aioctl.plan.route_defaults import defaulted
from aioctl.plan.routing import Mode, mode, owns_pools, parent_gateways, route_spec

PATIENCE: Final = timedelta(seconds=60)
"""How long a route whose v1alpha2 reference is served waits for word of v1 before the gateways are asked."""
_LABEL: Final = {names.PROBE: "true"}
_BOTH: Final = (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)


def probe(ctx: Context, decided: Decided) -> Iterator[Write]:
    """The writes that put the questions, or take them back. Best effort: nothing of the service depends on them."""
    asked = {
        names.probe_name(ctx.name): ((POOL_GROUP_V1,), _wait(ctx, decided) == timedelta(0)),
        names.mixed_probe_name(ctx.name): (_BOTH, _asks_about_both(ctx, decided)),
    }
    for name, (groups, wanted) in asked.items():
        writes = (
            ensure(ctx, HTTP_ROUTE, _route(ctx, name, groups), same=_same, quiet=True)
            if wanted
            else remove(ctx, HTTP_ROUTE, name, quiet=True)
        )
        yield from (changed(write, best_effort=True) for write in writes)


def seconds_until(ctx: Context, decision: Decision) -> float | None:
    """Seconds until the gateways are asked, or until their answer is not waited for any more; None: neither will be."""
    wait = _wait(ctx, lambda: decision)
    if wait:
        return wait.total_seconds()
    if decision.reason is Reason.GATEWAY_ASKED and (until := facts_of(ctx).form_until) is not None:
        return left_until(ctx, until).total_seconds() or None
    return None


def _asks_about_both(ctx: Context, decided: Decided) -> bool:
    """Whether the gateways are to be asked now if they take both generations in one rule."""
    if ctx.policy.probe is Probe.OFF or mode(ctx) is not Mode.MANAGED or not owns_pools(ctx):
        return False
    if not all(_pool(ctx, kind) for kind in (POOL_V1, POOL_V1ALPHA2)):
        return False
    decision = decided()
    if decision.reason in (Reason.PAUSED, Reason.STRATEGY_HOLD):
        return False
    read = ctx.obs.get(HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
    live = read.obj if isinstance(read, Present) else None
    if not decision.locked and _tells(ctx, live):
        return True
    if live is None:
        return False
    if group_name(ctx):
        wanted = _for_a_member(ctx, decision, live)
    else:
        wanted = facts_of(ctx).asks_both and not decision.locked
    return wanted and not _is_asked(ctx, names.mixed_probe_name(ctx.name), lambda heard: heard.asks_both)


def _tells(ctx: Context, live: Object | None) -> bool:
    """Whether the service's own question about both has brought out what nothing else says: that a gateway refuses v1, or, before
    there is a route, v1alpha2. It stands then: what it said would be forgotten with it."""
    if not isinstance(ctx.obs.get(HTTP_ROUTE, ctx.namespace, names.mixed_probe_name(ctx.name)), Present):
        return False
    facts = unprobed(ctx)
    return facts.v1_doubted or (live is None and facts.refuses_v1alpha2)


def _for_a_member(ctx: Context, decision: Decision, live: Object) -> bool:
    """A member of the group takes part with the pool that it has, if the gateways take both; the live route does not say so yet."""
    try:
        group = group_of(ctx)
    except Unanswered:
        return False
    if group is None or len(references(live, pools_of(group))[0]) > 1:
        return False
    return lacks_generation(ctx, group, generation(ctx, decision, live)) and may_ask(ctx, evidence_of(ctx))


def _wait(ctx: Context, decided: Decided) -> timedelta | None:
    """How long from now on it is to be asked, zero for now; None where there is no question."""
    if ctx.policy.probe is Probe.OFF or mode(ctx) is not Mode.MANAGED or not owns_pools(ctx):
        return None
    read = ctx.obs.get(HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
    if isinstance(read, Unknown) or _pool(ctx, POOL_V1) is None:
        return None
    decision = decided()
    if decision.locked or decision.reason in (Reason.PAUSED, Reason.STRATEGY_HOLD):
        return None
    facts = unprobed(ctx)
    if (facts.v1_by is not Support.UNKNOWN and not facts.v1_doubted) or (
        isinstance(read, Present) and _is_asked(ctx, names.probe_name(ctx.name), lambda heard: heard.asks)
    ):
        return None
    if facts.refuses_v1alpha2:
        return timedelta(0)
    if not isinstance(read, Present):
        return None
    return _left(ctx, read.obj) if facts.alone else _left_to_the_silent(ctx)


def _left_to_the_silent(ctx: Context) -> timedelta | None:
    """Where both are named at once, the status of the v1 pool is the answer; whoever writes none is asked."""
    pools, pool = silent_gateways.pools_of(ctx), _pool(ctx, POOL_V1)
    silent = [
        key
        for key in parent_gateways(route_spec(ctx), ctx.namespace)
        if silent_gateways.is_silent(pools, key)
    ]
    return silent_gateways.wait(ctx, pool) if silent and pool is not None else None


def awaited(ctx: Context) -> list[ObjectKey]:
    """The gateways whose word on v1 the managed route, which does not exist yet, waits for: one is known to refuse v1alpha2, none to
    refuse v1, and not all to serve it. Who says nothing to the question would say nothing of the route. Where the cluster has no v1
    InferencePools there is nothing to ask."""
    if ctx.policy.probe is Probe.OFF or ctx.obs.served(POOL_V1) is Served.NO:
        return []
    facts = of_the_group(ctx, facts_of(ctx))
    held = facts.paused or facts.strategy is Strategy.HOLD
    if held or not facts.scheduler or facts.external:
        return []
    if not facts.refuses_v1alpha2 or facts.v1_by is not Support.UNKNOWN:
        return []
    unknown = (each.gateway for each in evidence_of(ctx) if each.v1.support is Support.UNKNOWN)
    return [gateway for gateway in unknown if _may_say(ctx, gateway)]


def _may_say(ctx: Context, gateway: ObjectKey) -> bool:
    """Whether the gateway may still say of v1 what it does: it is asked, and does not keep the question out, as a listener with a
    hostname of its own does. A service without a pool of its own, which shares those of its group, hears it when others ask."""
    if not owns_pools(ctx):
        return heard_by(ctx, route_spec(ctx))[gateway].asks is not None
    read = ctx.obs.get(HTTP_ROUTE, ctx.namespace, names.probe_name(ctx.name))
    return not isinstance(read, Present) or not _is_kept_out(ctx, read.obj, gateway)


def _is_kept_out(ctx: Context, asking: Object, gateway: ObjectKey) -> bool:
    """The gateway does not accept the question as it is now."""
    said = [
        condition
        for parent in parents_of(asking, ctx.obs)
        if parent.key == gateway
        for entry in parent.entries
        if (condition := find_condition(sequence(entry, "conditions"), "Accepted")) is not None
    ]
    return any(each.get("status") == "False" and not is_stale(each, generation_of(asking)) for each in said)


def _left(ctx: Context, since: Object) -> timedelta | None:
    """How much of PATIENCE is left since the object was made; None where that is not known."""
    created = created_at(since)
    return None if created is None else left_until(ctx, created + PATIENCE)


def _is_asked(ctx: Context, name: str, asks: Callable[[Heard], ObjectKey | None]) -> bool:
    """Others ask every gateway of the service, and are before it by name. `name`: of its own probe; `asks`: of theirs."""
    asking = [asks(heard) for heard in heard_by(ctx, route_spec(ctx)).values()]
    ours = ObjectKey(ctx.namespace, name)
    is_there = isinstance(ctx.obs.get(HTTP_ROUTE, ctx.namespace, name), Present)
    return bool(asking) and all(key is not None and (not is_there or key < ours) for key in asking)


def _pool(ctx: Context, kind: Kind) -> Object | None:
    if ctx.obs.served(kind) is Served.NO:
        return None
    read = ctx.obs.get(kind, ctx.namespace, names.default_pool_name(ctx.name))
    return read.obj if isinstance(read, Present) else None


def _route(ctx: Context, name: str, groups: Sequence[str]) -> dict[str, Any]:
    """Each has a hostname of its own: two routes of one would share its requests."""
    whose = f"{ctx.namespace}/{ctx.name}" if len(groups) == 1 else f"{ctx.namespace}/{ctx.name}/mixed"
    key = hashlib.sha256(whose.encode()).hexdigest()[:8]
    pool = names.default_pool_name(ctx.name)
    references = [{"group": group, "kind": kinds.POOL_V1.kind, "name": pool} for group in groups]
    return build(
        ctx,
        HTTP_ROUTE,
        name,
        labels={**names.labels(ctx.name, names.PROBE_COMPONENT), **_LABEL},
        spec={
            "parentRefs": list(sequence(route_spec(ctx), "parentRefs")),
            "hostnames": [f"{key}.aioctl-probe.invalid"],
            "rules": [{"backendRefs": references}],
        },
    )


def _same(wanted: Mapping[str, Any], live: Object) -> bool:
    return derivative(defaulted(wanted["spec"]), defaulted(live.get("spec") or {}))
