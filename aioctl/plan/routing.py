"""What the router section of a combined spec asks for: the routing mode and the references it names (ROUTE-1).

Views only: nothing is read from the cluster and nothing is built here. Refs win over an inline spec (Decision).
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from aioctl.api import names, user_names
from aioctl.api.defaulting import external_pool_name
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey
from aioctl.api.objects import Object, mapping, name_of, namespace_of, present, sequence, text, within
from aioctl.plan.model import Context, PlanError, of_context

Spec = Mapping[str, Any]

GATEWAY_API_GROUP: Final = "gateway.networking.k8s.io"
POOL_GROUPS: Final = (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)


class Mode(Enum):
    """Who makes the HTTPRoute."""

    NONE = "none"
    """No router, no route section, or the service is stopped."""
    REFERENCED = "referenced"
    MANAGED = "managed"


def has_route(spec: Spec) -> bool:
    return present({"spec": spec}, "spec", "router", "route")


def has_scheduler(spec: Spec) -> bool:
    return present({"spec": spec}, "spec", "router", "scheduler")


@of_context
def mode(ctx: Context) -> Mode:
    """The routing mode of the service."""
    if ctx.stopped or not has_route(ctx.spec):
        return Mode.NONE
    return Mode.REFERENCED if route_refs(ctx) else Mode.MANAGED


@of_context
def owns_pools(ctx: Context) -> bool:
    """True when both pools are ours to make: scheduler wanted, no external pool, not stopped (CHILD-1). Whether the service runs
    a picker does not matter (docs/decisions/0022)."""
    return has_scheduler(ctx.spec) and not external_pool_name(ctx.spec) and not ctx.stopped


@of_context
def route_refs(ctx: Context) -> list[ObjectKey]:
    """The user's own HTTPRoutes, in order; always in the namespace of the service."""
    refs = _refs(ctx, "spec", "router", "route", "http", "refs")
    return [ObjectKey(ctx.namespace, name) for _, name in refs]


def gateway_refs(ctx: Context) -> list[ObjectKey]:
    """The gateways of `router.gateway.refs`; a namespace left out is that of the service."""
    refs = _refs(ctx, "spec", "router", "gateway", "refs")
    return [ObjectKey(namespace or ctx.namespace, name) for namespace, name in refs]


def _refs(ctx: Context, *path: str) -> Iterator[tuple[str, str]]:
    """(namespace, name) of each reference; FieldError names the entry."""
    for index, ref in enumerate(sequence({"spec": ctx.spec}, *path)):
        with within(f"{'.'.join(path)}[{index}]"):
            entry = text(ref, "namespace"), text(ref, "name")
        yield entry


@of_context
def route_spec(ctx: Context) -> Mapping[str, Any]:
    """The combined `router.route.http.spec` with its parentRefs replaced by the gateway refs, if any (ROUTE-9)."""
    return hung_on_gateways(ctx.spec)


def hung_on_gateways(spec: Spec) -> dict[str, Any]:
    """The same of a combined spec."""
    combined = dict(mapping({"spec": spec}, "spec", "router", "route", "http", "spec"))
    if refs := sequence({"spec": spec}, "spec", "router", "gateway", "refs"):
        combined["parentRefs"] = [_parent_ref(index, ref) for index, ref in enumerate(refs)]
    return combined


def _parent_ref(index: int, ref: Any) -> dict[str, str]:
    """A gateway ref as a parent of the route. What it leaves out stays out: a namespace is then that of the route."""
    with within(f"spec.router.gateway.refs[{index}]"):
        given = {field: text(ref, field) for field in ("name", "namespace", "sectionName")}
    return {
        "group": GATEWAY_API_GROUP,
        "kind": "Gateway",
        **{field: value for field, value in given.items() if value},
    }


def parent_gateways(spec: Spec, namespace: str) -> list[ObjectKey]:
    """Gateways of an HTTPRoute's spec in order, once each; group and kind are not looked at (section 8)."""
    keys = [
        ObjectKey(text(ref, "namespace") or namespace, text(ref, "name"))
        for ref in sequence(spec, "parentRefs")
    ]
    return list(dict.fromkeys(keys))


def gateways_of(route: Object) -> list[ObjectKey]:
    """Gateways a live HTTPRoute hangs on."""
    return parent_gateways(mapping(route, "spec"), namespace_of(route))


def pool_names(service_name: str, spec: Spec) -> frozenset[str]:
    """Names by which a backendRef means the service's own pool: the default name and the external one (4.6)."""
    return frozenset({names.default_pool_name(service_name), external_pool_name(spec)} - {""})


def is_pool_ref(ref: Any, pools: frozenset[str]) -> bool:
    """True for a backendRef to one of the pools, in either generation."""
    return is_any_pool_ref(ref) and ref.get("name") in pools


def is_any_pool_ref(ref: Any) -> bool:
    """True for a backendRef to an InferencePool, whoever's and in whichever generation."""
    return (
        isinstance(ref, (dict, Mapping))  # a dict is found sooner than by the abstract class
        and ref.get("kind") == "InferencePool"
        and ref.get("group") in POOL_GROUPS
    )


def picker_of(pool: Object) -> str:
    """Name of the endpoint picker's Service that an InferencePool names, of either version; empty when it names none.

    Raises PlanError when it cannot be one: hosts and certificates are made of it.
    """
    field = "endpointPickerRef" if present(pool, "spec", "endpointPickerRef") else "extensionRef"
    name = text(pool, "spec", field, "name")
    if name and (problem := user_names.host_problem(name)):
        raise PlanError(f"InferencePool {namespace_of(pool)}/{name_of(pool)}: spec.{field}.name: {problem}")
    return name


def groups_of_pools(spec: Any, pools: frozenset[str]) -> set[str]:
    """The groups by which a route's spec refers to InferencePools of these names."""
    return {
        ref["group"]
        for rule in sequence(spec, "rules")
        for ref in sequence(rule, "backendRefs")
        if is_pool_ref(ref, pools)
    }
