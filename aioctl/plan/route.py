"""The managed HTTPRoute: built from the combined spec, with the weights and the lock of the migration (ROUTE-2, MIG-1).

Weights and lock are always in the same write. The live route is changed only where it differs from what is wanted;
lists are compared in full after server defaults, because a surplus element is traffic that nobody asked for. A route
of somebody else is never touched; one of ours that lost its owner is adopted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, external_pool_name
from aioctl.api.encoding import to_json
from aioctl.api.kinds import HTTP_ROUTE, POOL_GROUP_V1, Kind, Served
from aioctl.api.objects import Object, annotations_of, labels_of, sequence, text
from aioctl.api.records import changed
from aioctl.caching import MIB, BoundedCache
from aioctl.golang.equality import derivative, equal
from aioctl.plan import probe
from aioctl.plan.children import build, create, has_left_over, is_ours, onto, remove, under
from aioctl.plan.finished import v1alpha2_served
from aioctl.plan.group_migration import generation
from aioctl.plan.groups import group_of, share
from aioctl.plan.lock import LOCK_KEYS, LOCKED_VALUE, is_adoptable, with_unrecorded_lock
from aioctl.plan.migration import Decision, Reason
from aioctl.plan.migration_facts import Decided, takes_both
from aioctl.plan.model import Context, PlanError, Verb, Write
from aioctl.plan.model_routing import managed_spec
from aioctl.plan.observation import Present, Unanswered, need
from aioctl.plan.policy import Strategy
from aioctl.plan.route_defaults import defaulted
from aioctl.plan.routing import (
    POOL_GROUPS,
    Mode,
    has_scheduler,
    is_pool_ref,
    mode,
    owns_pools,
    pool_names,
    route_spec,
)
from aioctl.plan.weights import weights

MIGRATED_EVENT: Final = "InferencePoolMigrated"

_IN_FULL: Final = ("parentRefs", "hostnames", "rules")
_GROUP: Final = (names.ROUTING_GROUP,)
"""Whoever leaves its group leaves the label."""


def route(ctx: Context, decided: Decided) -> Iterator[Write]:
    """The write that makes the managed HTTPRoute as wanted, or removes ours where none is wanted."""
    name = names.route_name(ctx.name)
    match mode(ctx):
        case Mode.NONE | Mode.REFERENCED:
            yield from _removed(ctx, name)
        case Mode.MANAGED:
            prefix = f"failed to reconcile HTTPRoute {ctx.namespace}/{name}: "
            yield from under(prefix, _managed(ctx, name, decided))


def waits_for_the_status(ctx: Context) -> bool:
    """True where a route of ours that is to go stays until the service remembers its lock."""
    return mode(ctx) is not Mode.MANAGED and with_unrecorded_lock(ctx) is not None


def _removed(ctx: Context, name: str) -> Iterator[Write]:
    if not waits_for_the_status(ctx):
        yield from remove(ctx, HTTP_ROUTE, name)


def expected_route(ctx: Context, decision: Decision, live: Object | None = None) -> dict[str, Any]:
    """The HTTPRoute as it should be. `live` is asked for its weights only where the decision says to keep them."""
    spec = managed_spec(ctx)
    pools = pool_names(ctx.name, ctx.spec)
    labels = names.labels(ctx.name, names.ROUTER_COMPONENT)
    group = group_of(ctx)
    if group is not None:
        labels[names.ROUTING_GROUP] = group.name
        decision = replace(decision, strategy=Strategy.SWAP)
    if sequence(spec, "rules"):
        external = external_pool_name(ctx.spec)
        old = bool(external) and _exists(ctx, kinds.POOL_V1ALPHA2, external)
        found = kinds.POOL_GROUP_V1ALPHA2 if old else ""
        rules = weights(sequence(spec, "rules"), decision, pools, own=not external, found=found)
        if decision.keep and live is not None:
            rules = _keep_weights(rules, sequence(live, "spec", "rules"), pools, decision)
        if group is not None:
            on = generation(ctx, decision, live)
            rules = share(ctx, group, rules, on, lambda: takes_both(ctx, live))
        spec = {**spec, "rules": rules}
    return build(
        ctx,
        HTTP_ROUTE,
        names.route_name(ctx.name),
        labels=labels,
        annotations={names.MIGRATED: LOCKED_VALUE} if decision.locked else None,
        spec=spec,
    )


def _exists(ctx: Context, kind: Kind, name: str) -> bool:
    return isinstance(ctx.obs.get(kind, ctx.namespace, name), Present)


def awaited_pools(ctx: Context) -> list[str]:
    """The pools whose creation the creation of the managed route waits for, as `namespace/name (group)`."""
    return _awaited(ctx, route_spec(ctx))


def _awaited(ctx: Context, spec: Mapping[str, Any]) -> list[str]:
    """Pools of ours that the spec names and that are not there yet; one of a kind that is not served never comes.

    A gateway that meets the route first says BackendNotFound, and some say so until the route changes again. The plan is
    repeated as soon as the pool is there, so nothing but this one write waits (ROUTE-8). The v1 pool is waited for in any case: where v1
    is known to be served, the route begins on it.
    """
    if not owns_pools(ctx):
        return []
    name = names.default_pool_name(ctx.name)
    groups = {
        ref["group"]
        for rule in sequence(spec, "rules")
        for ref in sequence(rule, "backendRefs")
        if is_pool_ref(ref, frozenset({name}))
    }
    if groups and ctx.obs.served(kinds.POOL_V1) is Served.YES:
        groups.add(kinds.POOL_V1.group)
    return [
        f"{ctx.namespace}/{name} ({kind.group})"
        for kind in (kinds.POOL_V1ALPHA2, kinds.POOL_V1)
        if kind.group in groups
        and _may_be(ctx, kind) is not Served.NO
        and need(ctx.obs.get(kind, ctx.namespace, name)) is None
    ]


def _may_be(ctx: Context, kind: Kind) -> Served:
    return v1alpha2_served(ctx) if kind == kinds.POOL_V1ALPHA2 else ctx.obs.served(kind)


def rewrite_default_refs(
    route_spec: Mapping[str, Any], service_name: str, spec: Mapping[str, Any]
) -> dict[str, Any]:
    """The HTTPRoute spec with its references to the default pool set right for this service (ROUTE-3).

    Default is every reference of that kind and name, whatever its group. Without a scheduler they become references to the
    workload Service, with an external pool they take its name. One of either without a group of InferencePools, which would lead
    nowhere, gets that of v1. `spec` is the merged spec; call this after variables were replaced.
    """
    external = external_pool_name(spec)
    default = names.default_pool_name(service_name)
    pools = pool_names(service_name, spec)

    def rewritten(ref: Any) -> Any:
        if (
            not isinstance(ref, Mapping)
            or ref.get("kind") != kinds.POOL_V1.kind
            or ref.get("name") not in pools
        ):
            return ref
        if not has_scheduler(spec):
            service = names.workload_service_name(service_name)
            return {**ref, "group": "", "kind": "Service", "name": service}
        group = ref.get("group")
        group = group if group in POOL_GROUPS else POOL_GROUP_V1
        return {**ref, "group": group, "name": external or default}

    rules = [
        {**rule, "backendRefs": [rewritten(ref) for ref in sequence(rule, "backendRefs")]}
        if sequence(rule, "backendRefs")
        else rule
        for rule in sequence(route_spec, "rules")
    ]
    return {**route_spec, "rules": rules} if rules else dict(route_spec)


def _managed(ctx: Context, name: str, decided: Decided) -> Iterator[Write]:
    if ctx.obs.served(HTTP_ROUTE) is Served.NO:
        raise PlanError(f"{HTTP_ROUTE.resource} is not served by this cluster; install the Gateway API CRDs")
    if not route_spec(ctx):
        raise PlanError(
            "spec.router.route.http.spec is empty; give one or restore the preset kserve-config-llm-router-route"
        )
    live = need(ctx.obs.get(HTTP_ROUTE, ctx.namespace, name))
    if live is not None and not is_ours(ctx, live) and not is_adoptable(ctx, live):
        raise PlanError(
            f"failed to update {HTTP_ROUTE.type_name} {ctx.namespace}/{name}: it is not controlled by "
            f"v1alpha2.LLMInferenceService {ctx.namespace}/{ctx.name}"
        )
    decision = decided()
    wanted = expected_route(ctx, decision, live)
    announce = _announcement(ctx) if decision.moves and has_scheduler(ctx.spec) else None
    if live is None:
        if not _awaited(ctx, wanted["spec"]) and (decision.locked or not probe.awaited(ctx)):
            yield changed(create(HTTP_ROUTE, wanted), announce=announce)
    elif not _same(ctx, wanted, live, decision):
        yield Write(
            Verb.UPDATE,
            HTTP_ROUTE,
            ctx.namespace,
            name,
            body=_onto(wanted, live, decision),
            live=live,
            event=f"Updated {HTTP_ROUTE.type_name} {ctx.namespace}/{name}",
            error=f"failed to update {HTTP_ROUTE.type_name} {ctx.namespace}/{name}: ",
            announce=announce,
        )


def _announcement(ctx: Context) -> tuple[str, str]:
    pool = effective_pool_name(ctx.name, ctx.spec)
    return MIGRATED_EVENT, f"Traffic moved to v1 {kinds.POOL_V1.kind} {ctx.namespace}/{pool}"


def _same(ctx: Context, wanted: Object, live: Object, decision: Decision) -> bool:
    if not is_ours(ctx, live):
        return False
    if not derivative(labels_of(wanted), labels_of(live)) or has_left_over(wanted, live, _GROUP):
        return False
    if not derivative(annotations_of(wanted), annotations_of(live)) or _stray_lock(live, decision):
        return False
    return _same_spec(wanted["spec"], live.get("spec") or {})


_SAME: Final[BoundedCache[bytes, bool]] = BoundedCache(MIB)
"""By digest of both specs: the status of a route changes many times while its spec, 9 kB of rules, does not."""
_KEY: Final = 128
"""Bytes of an entry, about."""


def _same_spec(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    def compare() -> bool:
        ours, theirs = defaulted(wanted), defaulted(live)
        in_full = all(equal(ours.get(field), theirs.get(field)) for field in _IN_FULL)
        return in_full and derivative(ours, theirs)

    both = blake2b(to_json([wanted, live]), digest_size=16).digest()
    return _SAME.get(both, compare, lambda _: _KEY)


def _stray_lock(live: Object, decision: Decision) -> bool:
    """A lock annotation where none is generated; left alone while it is not known what is right."""
    return not decision.locked and not decision.keep and any(key in annotations_of(live) for key in LOCK_KEYS)


def _onto(wanted: Object, live: Object, decision: Decision) -> dict[str, Any]:
    body = onto(wanted, live, exclusive=_GROUP)
    if _stray_lock(live, decision):
        metadata = body["metadata"]
        kept = {key: value for key, value in metadata["annotations"].items() if key not in LOCK_KEYS}
        metadata.pop("annotations")
        if kept:
            metadata["annotations"] = kept
    return body


def _keep_weights(
    rules: Sequence[Any], live_rules: Sequence[Any], pools: frozenset[str], decision: Decision
) -> list[Any]:
    """The rules with the live weights of their pool references; with the live references where they are of other groups.

    A reference without live counterpart stays as decided; where nothing could be decided, Unanswered is raised.
    """
    kept: list[Any] = []
    for index, rule in enumerate(rules):
        live = _counterpart(rule, index, live_rules)
        refs = _keep_in_rule(sequence(rule, "backendRefs"), live, pools, decision)
        kept.append({**rule, "backendRefs": refs} if refs else rule)
    return kept


def _counterpart(rule: Any, index: int, live_rules: Sequence[Any]) -> Sequence[Any]:
    """The references of the live rule of that name, else of the one in that place, else of any that has the same targets.

    Rules come and go with routing by model; what is new in the route goes where the rest of it goes.
    """
    name = text(rule, "name")
    named = [live for live in live_rules if name and text(live, "name") == name]
    candidates = [
        sequence(live, "backendRefs") for live in (*named, *live_rules[index : index + 1], *live_rules)
    ]
    targets = {_target(ref) for ref in sequence(rule, "backendRefs")}
    same = (refs for refs in candidates if {_target(ref) for ref in refs} == targets)
    return next(same, candidates[0] if candidates else ())


def _keep_in_rule(
    refs: Sequence[Any], live_refs: Sequence[Any], pools: frozenset[str], decision: Decision
) -> list[Any]:
    wanted = [ref for ref in refs if is_pool_ref(ref, pools)]
    live = [ref for ref in live_refs if is_pool_ref(ref, pools)]
    known = {_identity(ref): ref.get("weight", 1) for ref in live}
    if not wanted or {_identity(ref) for ref in wanted} == known.keys():
        return [{**ref, "weight": known[_identity(ref)]} if is_pool_ref(ref, pools) else ref for ref in refs]
    if {_target(ref) for ref in wanted} != {_target(ref) for ref in live}:
        if decision.reason is not Reason.NOT_KNOWN:
            return list(refs)
        raise Unanswered(f"whether v1 InferencePool {wanted[0]['name']} may take traffic is not known")
    # The same pool in other generations, as a strategy or somebody's hand left it: dropping one would move its traffic.
    first = next(index for index, ref in enumerate(refs) if is_pool_ref(ref, pools))
    others = [ref for ref in refs if not is_pool_ref(ref, pools)]
    return [*others[:first], *live, *others[first:]]


def _target(ref: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(ref.get(field) for field in ("kind", "name", "namespace", "port"))


def _identity(ref: Mapping[str, Any]) -> tuple[Any, ...]:
    return (ref.get("group"), *_target(ref))
