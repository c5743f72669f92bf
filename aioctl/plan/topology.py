"""`status.router`: the gateways and routes that requests to a service pass, and its pool and endpoint picker (TOPO-1).

Read off the specs of the routes, not off what gateways say of them, and the same in every state of a migration: the pool is
named in the v1 group throughout, unless the cluster serves v1alpha2 alone.
"""

from collections.abc import Iterable
from typing import Any

from aioctl.api import kinds
from aioctl.api.defaulting import effective_pool_name, epp_service_name, external_pool_name
from aioctl.api.kinds import ObjectKey, Served
from aioctl.api.objects import Object, name_of, namespace_of, sequence, text
from aioctl.plan import groups
from aioctl.plan.gateways import routes
from aioctl.plan.model import Context
from aioctl.plan.observation import Present
from aioctl.plan.routing import GATEWAY_API_GROUP, Mode, has_scheduler, mode


def router(ctx: Context) -> dict[str, Any]:
    """The topology; empty where no route is wanted. Raises Unanswered when a route cannot be read.

    Without `scheduler` while a pool of the user that it leads to has not been seen in any generation.
    """
    if mode(ctx) is Mode.NONE:
        return {}
    found: dict[str, Any] = {}
    if gateways := _gateways(routes(ctx)):
        found["gateways"] = gateways
    if has_scheduler(ctx.spec) and not _is_missing(ctx, external_pool_name(ctx.spec)):
        found["scheduler"] = _scheduler(ctx)
    if group := groups.shown(ctx, groups.group_of(ctx)):
        found["group"] = group
    return found


def _gateways(all_routes: Iterable[Object]) -> list[dict[str, Any]]:
    """Each gateway once, by namespace and name, with the listeners that parents name and the routes on it, by name."""
    sections: dict[ObjectKey, set[str]] = {}
    on: dict[ObjectKey, dict[str, dict[str, Any]]] = {}
    for route in all_routes:
        for ref in sequence(route, "spec", "parentRefs"):
            key = ObjectKey(text(ref, "namespace") or namespace_of(route), text(ref, "name"))
            sections.setdefault(key, set()).add(text(ref, "sectionName"))
            on.setdefault(key, {}).setdefault(name_of(route), _reference("HTTPRoute", _key(route)))
    found: list[dict[str, Any]] = []
    for key in sorted(sections, key=str):
        gateway = _reference("Gateway", key)
        if listeners := sorted(sections[key] - {""}):
            gateway["listeners"] = listeners
        found.append({**gateway, "httpRoutes": [on[key][name] for name in sorted(on[key])]})
    return found


def _is_missing(ctx: Context, external: str) -> bool:
    return bool(external) and not any(
        isinstance(ctx.obs.get(kind, ctx.namespace, external), Present)
        for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)
        if ctx.obs.served(kind) is not Served.NO
    )


def _scheduler(ctx: Context) -> dict[str, Any]:
    served = {kind: ctx.obs.served(kind) for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)}
    old = served[kinds.POOL_V1] is Served.NO and served[kinds.POOL_V1ALPHA2] is not Served.NO
    return {
        "inferencePool": {
            "group": (kinds.POOL_V1ALPHA2 if old else kinds.POOL_V1).group,
            "kind": "InferencePool",
            "name": effective_pool_name(ctx.name, ctx.spec),
        },
        "service": {"group": "", "kind": "Service", "name": epp_service_name(ctx.name, ctx.spec)},
    }


def _reference(kind: str, key: ObjectKey) -> dict[str, Any]:
    return {"group": GATEWAY_API_GROUP, "kind": kind, "name": key.name, "namespace": key.namespace}


def _key(route: Object) -> ObjectKey:
    return ObjectKey(namespace_of(route), name_of(route))
