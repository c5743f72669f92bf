"""Asks the gateways of a service whether they serve v1 InferencePools, with a route that carries no traffic (MIG-8).

Some gateways say nothing of a pool until a route names it (istiod), so before the move nothing may be known of v1. A second
HTTPRoute, for a hostname that nobody can resolve, names the v1 pool alone; ResolvedRefs on it is the answer. It stands as long
as the question does and goes with the move: nothing has to be remembered, and a gateway that learns v1 later says so by itself.

It is asked at once where a gateway refuses v1alpha2, and after a while where v1alpha2 is served and one reference at a time is
written. Not while somebody holds the service, as then nothing would follow.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import HTTP_ROUTE, POOL_GROUP_V1, POOL_V1
from aioctl.api.objects import Object, sequence, text
from aioctl.golang.equality import derivative
from aioctl.plan.children import build, ensure, remove
from aioctl.plan.evidence import Support
from aioctl.plan.migration import Decision, Reason, Refusal
from aioctl.plan.migration_facts import Decided, unprobed
from aioctl.plan.model import Context, Present, Probe, Write
from aioctl.plan.route_defaults import defaulted
from aioctl.plan.routing import Mode, mode, owns_pools, route_spec

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
    if not isinstance(read, Present) or not _has_pool(ctx):
        return None
    decision = decided()
    if decision.locked or decision.reason in (Reason.PAUSED, Reason.STRATEGY_HOLD):
        return None
    facts = unprobed(ctx)
    if facts.v1_by is not Support.UNKNOWN:
        return None
    if facts.v1alpha2_refused is not Refusal.NONE:
        return timedelta(0)
    if not facts.alone:
        return None
    try:
        created = datetime.fromisoformat(text(read.obj, "metadata", "creationTimestamp"))
    except ValueError:
        return None
    return max(timedelta(0), created + PATIENCE - ctx.now)


def _has_pool(ctx: Context) -> bool:
    read = ctx.obs.get(POOL_V1, ctx.namespace, names.default_pool_name(ctx.name))
    return isinstance(read, Present)


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
        labels={**names.labels(ctx.name, names.ROUTER_COMPONENT), **_LABEL},
        spec={
            "parentRefs": list(sequence(route_spec(ctx), "parentRefs")),
            "hostnames": [f"{key}.aioctl-probe.invalid"],
            "rules": [{"backendRefs": [reference]}],
        },
    )


def _same(wanted: Mapping[str, Any], live: Object) -> bool:
    return derivative(defaulted(wanted["spec"]), defaulted(live.get("spec") or {}))
