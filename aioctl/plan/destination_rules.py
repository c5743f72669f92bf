"""Istio's DestinationRules, so that its gateways speak TLS to the endpoint picker and the model servers (ISTIO-1).

Wanted only while some parent gateway is Istio's; ours are removed whenever they are not wanted (Decision). What is not
known leaves everything as it is. Each rule has one host, which is also the SNI. Where no CA signed the service's
certificate, gateways cannot verify it (CERT-2).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, epp_service_name, external_pool_name
from aioctl.api.kinds import DESTINATION_RULE, POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey, Served
from aioctl.api.objects import Object, name_of, sequence, text
from aioctl.golang.equality import equal
from aioctl.plan.children import build, ensure, remove, under
from aioctl.plan.gateways import any_istio, referenced_routes, route_key
from aioctl.plan.migration_facts import Decided
from aioctl.plan.model import Context, PlanError, Write
from aioctl.plan.observation import need, need_list
from aioctl.plan.routing import (
    Mode,
    gateways_of,
    has_scheduler,
    is_pool_ref,
    mode,
    parent_gateways,
    picker_of,
    pool_names,
    route_spec,
)
from aioctl.plan.workload.certificate import is_self_signed

MANAGED_LABELS: Final = {"llm-d.ai/managed": "true"}

_SCHEDULER: Final = "failed to reconcile Istio destination rule for scheduler: "
_WORKLOAD: Final = "failed to reconcile Istio destination rule for workload: "


def destination_rules(ctx: Context, decided: Decided) -> Iterator[Write]:
    """Makes the rules that are wanted and removes ours that are not: scheduler, workload, shadow Service."""
    if ctx.obs.served(DESTINATION_RULE) is Served.NO:
        return
    istio = _behind_istio(ctx)
    yield from under(_SCHEDULER, _scheduler(ctx, istio=istio))
    yield from under(_WORKLOAD, _workload(ctx, istio=istio))
    yield from under(_WORKLOAD, _shadow(ctx, decided, istio=istio))


def _behind_istio(ctx: Context) -> bool:
    try:
        return any_istio(ctx.obs, _parents(ctx))
    except PlanError as error:
        raise PlanError(f"failed to discover gateways : {error}") from error


def _parents(ctx: Context) -> Iterator[tuple[ObjectKey, ObjectKey]]:
    for route in referenced_routes(ctx):
        for key in gateways_of(route):
            yield key, route_key(route)
    if mode(ctx) is Mode.MANAGED:
        own = ObjectKey(ctx.namespace, names.route_name(ctx.name))
        for key in parent_gateways(route_spec(ctx), ctx.namespace):
            yield key, own


def _scheduler(ctx: Context, *, istio: bool) -> Iterator[Write]:
    name = names.child(ctx.name, "-kserve-scheduler")
    if not istio or not has_scheduler(ctx.spec):
        yield from remove(ctx, DESTINATION_RULE, name)
        return
    picker = _picker(ctx)
    if picker:
        yield from _rule(ctx, name, picker, names.SCHEDULER_COMPONENT)


def _workload(ctx: Context, *, istio: bool) -> Iterator[Write]:
    name = names.workload_service_name(ctx.name)
    if not istio:
        yield from remove(ctx, DESTINATION_RULE, name)
        return
    yield from _rule(ctx, name, name, names.WORKLOAD_COMPONENT)


def _shadow(ctx: Context, decided: Decided, *, istio: bool) -> Iterator[Write]:
    name = names.child(ctx.name, "-kserve-workload")
    service = _shadow_service(ctx, decided) if istio else ""
    if not service:
        yield from remove(ctx, DESTINATION_RULE, name)
        return
    yield from _rule(ctx, name, service, names.WORKLOAD_COMPONENT)


def _picker(ctx: Context) -> str:
    """Name of the endpoint picker's Service; of an external pool what that pool says, empty when no pool says it."""
    external = external_pool_name(ctx.spec)
    if not external:
        return epp_service_name(ctx.name, ctx.spec)
    v1 = need(ctx.obs.get(kinds.POOL_V1, ctx.namespace, external))
    if v1 is not None:
        return picker_of(v1)
    v1alpha2 = need(ctx.obs.get(kinds.POOL_V1ALPHA2, ctx.namespace, external))
    return picker_of(v1alpha2) if v1alpha2 is not None else ""


def _shadow_service(ctx: Context, decided: Decided) -> str:
    """Name of the Service Istio made for the pool that has the traffic, empty when there is none yet.

    Istio owns one such Service to each pool; the owner tells the generation. Where that says nothing, or it cannot be told
    which generation has the traffic, the lowest name.
    """
    pool = effective_pool_name(ctx.name, ctx.spec)
    found = need_list(ctx.obs.select(kinds.CORE_SERVICE, ctx.namespace, {names.SHADOW_POOL: pool}))
    active = _active_group(ctx, decided)
    ranked = sorted(found, key=lambda service: (not _belongs_to(service, active), name_of(service)))
    return name_of(ranked[0]) if ranked else ""


def _active_group(ctx: Context, decided: Decided) -> str:
    """The generation that has the traffic; of users' routes the one they name, empty when they name both or none."""
    if mode(ctx) is Mode.MANAGED:
        return POOL_GROUP_V1 if decided().locked else POOL_GROUP_V1ALPHA2
    pools = pool_names(ctx.name, ctx.spec)
    groups = {
        text(ref, "group")
        for route in referenced_routes(ctx)
        for rule in sequence(route, "spec", "rules")
        for ref in sequence(rule, "backendRefs")
        if is_pool_ref(ref, pools)
    }
    return groups.pop() if len(groups) == 1 else ""


def _belongs_to(service: Object, group: str) -> bool:
    owners = sequence(service, "metadata", "ownerReferences")
    return any(str(owner.get("apiVersion", "")).split("/", 1)[0] == group for owner in owners)


def _rule(ctx: Context, name: str, service: str, component: str) -> Iterator[Write]:
    host = f"{service}.{ctx.namespace}.svc.{ctx.policy.cluster_domain}"
    wanted = build(
        ctx,
        DESTINATION_RULE,
        name,
        labels=names.labels(ctx.name, component) | MANAGED_LABELS,
        spec={
            "host": host,
            "exportTo": ["*"],
            "trafficPolicy": {"tls": {"mode": "SIMPLE", "sni": host, **_trust(ctx)}},
        },
    )
    yield from ensure(ctx, DESTINATION_RULE, wanted, same=_same)


def _trust(ctx: Context) -> dict[str, Any]:
    if is_self_signed(ctx):
        return {"insecureSkipVerify": True}
    return {"insecureSkipVerify": False, "caCertificates": ctx.policy.istio_ca_path}


def _same(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    return equal(wanted["spec"], live.get("spec"))
