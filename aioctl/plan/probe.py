"""Asks the gateways of a service whether they serve v1 InferencePools, with a route that carries no traffic (MIG-8, MIG-12).

Some gateways say nothing of a pool until a route names it (istiod), so before the move nothing may be known of v1. A second
HTTPRoute, for a hostname that nobody can resolve, names the v1 pool alone; ResolvedRefs on it is the answer. It stands as long
as the question does and goes with the move: nothing has to be remembered, and a gateway that learns v1 later says so by itself.

It is asked at once where a gateway refuses v1alpha2, and after a while where v1alpha2 is served and one reference at a time is
written, or where the gateway writes no status of pools. Not while somebody holds the service, as then nothing would follow. A gateway is asked by one service at a time, the first
by name of those that did; the others hear the answer. A new service on a gateway that is known to refuse v1alpha2 asks before it
has a route, and its route is made once that is answered.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import HTTP_ROUTE, POOL_GROUP_V1, POOL_V1, ObjectKey, Served
from aioctl.api.objects import Object, created_at, sequence
from aioctl.golang.equality import derivative
from aioctl.plan import silent_gateways
from aioctl.plan.children import build, ensure, remove
from aioctl.plan.evidence import Support
from aioctl.plan.memo import left_until
from aioctl.plan.migration import Decision, Reason, Refusal
from aioctl.plan.migration_facts import Decided, facts_of, heard_by, unprobed
from aioctl.plan.model import Context, Present, Probe, Strategy, Unknown, Write
from aioctl.plan.route_defaults import defaulted
from aioctl.plan.routing import Mode, mode, owns_pools, parent_gateways, route_spec

PATIENCE: Final = timedelta(seconds=60)
"""How long a route whose v1alpha2 reference is served waits for word of v1 before the gateways are asked."""
_LABEL: Final = {names.PROBE: "true"}


def probe(ctx: Context, decided: Decided) -> Iterator[Write]:
    """The write that puts the question, or takes it back. Best effort: nothing of the service depends on it."""
    name = names.probe_name(ctx.name)
    writes = (
        ensure(ctx, HTTP_ROUTE, _route(ctx, name), same=_same, quiet=True)
        if _wait(ctx, decided) == timedelta(0)
        else remove(ctx, HTTP_ROUTE, name, quiet=True)
    )
    yield from (replace(write, best_effort=True) for write in writes)


def seconds_until(ctx: Context, decision: Decision) -> float | None:
    """Seconds until the gateways are asked; None when they are not going to be, or were."""
    wait = _wait(ctx, lambda: decision)
    return wait.total_seconds() if wait else None


def _wait(ctx: Context, decided: Decided) -> timedelta | None:
    """How long from now on it is to be asked, zero for now; None where there is no question."""
    if ctx.policy.probe is Probe.OFF or mode(ctx) is not Mode.MANAGED or not owns_pools(ctx):
        return None
    read = ctx.obs.get(HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
    if isinstance(read, Unknown) or _pool(ctx) is None:
        return None
    decision = decided()
    if decision.locked or decision.reason in (Reason.PAUSED, Reason.STRATEGY_HOLD):
        return None
    facts = unprobed(ctx)
    if facts.v1_by is not Support.UNKNOWN or (isinstance(read, Present) and _is_asked(ctx)):
        return None
    if facts.v1alpha2_refused is not Refusal.NONE:
        return timedelta(0)
    if not isinstance(read, Present):
        return None
    return _left(ctx, read.obj) if facts.alone else _left_to_the_silent(ctx)


def _left_to_the_silent(ctx: Context) -> timedelta | None:
    """Where both are named at once, the status of the v1 pool is the answer; whoever writes none is asked."""
    pools, pool = silent_gateways.pools_of(ctx), _pool(ctx)
    silent = [
        key
        for key in parent_gateways(route_spec(ctx), ctx.namespace)
        if silent_gateways.is_silent(pools, key)
    ]
    return silent_gateways.wait(ctx, pool) if silent and pool is not None else None


def comes_first(ctx: Context) -> bool:
    """True while the managed route, which does not exist yet, is not made because gateways are asked: they are known to refuse
    v1alpha2, and v1 is not known to be served. Who says nothing to the question would say nothing of the route. Where the cluster
    has no v1 InferencePools there is nothing to ask."""
    if ctx.policy.probe is Probe.OFF or not owns_pools(ctx) or ctx.obs.served(POOL_V1) is Served.NO:
        return False
    facts = facts_of(ctx)
    held = facts.paused or facts.strategy is Strategy.HOLD
    return facts.v1_by is Support.UNKNOWN and facts.v1alpha2_refused is Refusal.ALL and not held


def _left(ctx: Context, since: Object) -> timedelta | None:
    """How much of PATIENCE is left since the object was made; None where that is not known."""
    created = created_at(since)
    return None if created is None else left_until(ctx, created + PATIENCE)


def _is_asked(ctx: Context) -> bool:
    """Others ask every gateway of the service, and are before it by name."""
    ours = ObjectKey(ctx.namespace, names.probe_name(ctx.name))
    asking = [heard.asks for heard in heard_by(ctx, route_spec(ctx)).values()]
    return bool(asking) and all(key is not None and (not _asks(ctx) or key < ours) for key in asking)


def _asks(ctx: Context) -> bool:
    return isinstance(ctx.obs.get(HTTP_ROUTE, ctx.namespace, names.probe_name(ctx.name)), Present)


def _pool(ctx: Context) -> Object | None:
    read = ctx.obs.get(POOL_V1, ctx.namespace, names.default_pool_name(ctx.name))
    return read.obj if isinstance(read, Present) else None


def _route(ctx: Context, name: str) -> dict[str, Any]:
    key = hashlib.sha256(f"{ctx.namespace}/{ctx.name}".encode()).hexdigest()[:8]
    reference = {
        "group": POOL_GROUP_V1,
        "kind": kinds.POOL_V1.kind,
        "name": names.default_pool_name(ctx.name),
    }
    return build(
        ctx,
        HTTP_ROUTE,
        name,
        labels={**names.labels(ctx.name, names.PROBE_COMPONENT), **_LABEL},
        spec={
            "parentRefs": list(sequence(route_spec(ctx), "parentRefs")),
            "hostnames": [f"{key}.aioctl-probe.invalid"],
            "rules": [{"backendRefs": [reference]}],
        },
    )


def _same(wanted: Mapping[str, Any], live: Object) -> bool:
    return derivative(defaulted(wanted["spec"]), defaulted(live.get("spec") or {}))
