"""What the managed route sends traffic to: rules that send it nowhere, and references to what is known not to be there
(ROUTE-7).

A gateway answers such a rule with an error for every request, so a service with one is never Ready; the texts name the
rule, the reference and the cure. Only a reference that carries traffic counts: one with a weight above zero, or the only
one of its rule. Services of users are not watched, so whether they exist is left to the gateway's ResolvedRefs; only a
name that no Service can have is known here.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name
from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.objects import Object, integer, mapping, namespace_of, sequence, text
from aioctl.plan import groups
from aioctl.plan.model import Context
from aioctl.plan.observation import Absent, Observation
from aioctl.plan.routing import Spec

FIELD: Final = "spec.router.route.http.spec"

_POOL_KINDS: Final = {kinds.POOL_GROUP_V1: kinds.POOL_V1, kinds.POOL_GROUP_V1ALPHA2: kinds.POOL_V1ALPHA2}
_LONGEST_SERVICE_NAME: Final = 63
"""RFC 1035 labels; the API server refuses longer names of Services."""
_ANSWERING_FILTERS: Final = ("RequestRedirect", "ExtensionRef")
"""A rule with one of these needs no backend: a redirect, or what an implementation adds, such as a direct response."""
_MOST_SHOWN: Final = 5


def problems(ctx: Context, route: Object) -> list[str]:
    """What of the route can serve nobody, each with its cure; empty when nothing is known to be wrong."""
    found = list(_problems(ctx, route))
    more = len(found) - _MOST_SHOWN
    return found if more <= 0 else [*found[:_MOST_SHOWN], f"and {more} more"]


def carriers(spec: Spec) -> Iterator[Mapping[str, Any]]:
    """The backendRefs that carry traffic: weight above zero, or the only one of their rule."""
    for rule in sequence(spec, "rules"):
        refs = sequence(rule, "backendRefs")
        yield from (ref for ref in refs if len(refs) == 1 or carries(ref))


def carries(ref: Any) -> bool:
    """True for a weight above zero; the API's default is 1."""
    return integer(ref, "weight") != 0


def pool_kind(ref: Any) -> Kind | None:
    """The pool generation that a backendRef names; None for anything else."""
    return _POOL_KINDS.get(text(ref, "group")) if text(ref, "kind") == "InferencePool" else None


def is_absent(obs: Observation, kind: Kind, key: ObjectKey) -> bool:
    """True when it is known that there is no such pool; unknown is not absent."""
    return obs.served(kind) is Served.NO or isinstance(obs.get(kind, key.namespace, key.name), Absent)


def is_impossible_service(ref: Any) -> bool:
    """True for a reference to a Service by a name that the API server gives to none."""
    return text(ref, "kind") in ("", "Service") and len(text(ref, "name")) > _LONGEST_SERVICE_NAME


def pool_key(ref: Any, namespace: str) -> ObjectKey:
    return ObjectKey(text(ref, "namespace") or namespace, text(ref, "name"))


def _problems(ctx: Context, route: Object) -> Iterator[str]:
    spec = mapping(route, "spec")
    rules = sequence(spec, "rules")
    grouped = bool(
        groups.group_name(ctx)
    )  # its members' weights are for them to choose, and none may take requests yet
    if not rules:
        yield f"it has no rules and sends traffic nowhere; give it some in {FIELD}.rules"
    for index, rule in enumerate(rules):
        name = text(rule, "name")
        title = f"rule {index}" + (f' "{name}"' if name else "")
        refs = sequence(rule, "backendRefs")
        if not refs and not _answers_itself(rule):
            yield (
                f"{title} sends traffic nowhere: it has no backendRefs; give it some in "
                f"{FIELD}.rules[{index}].backendRefs, or leave rules out to get the default ones"
            )
        elif refs and not any(carries(ref) for ref in refs) and not (grouped and groups.is_shared(ctx, rule)):
            yield (
                f"{title} sends traffic nowhere: every backendRef has weight 0; give one a weight above 0 in "
                f"{FIELD}.rules[{index}].backendRefs"
            )
        for at, ref in enumerate(refs):
            if len(refs) == 1 or carries(ref):
                wrong = _wrong(ctx, ref, namespace_of(route))
                if wrong:
                    yield f"{title} backendRef {at} names {wrong}"


def _answers_itself(rule: Any) -> bool:
    return any(text(each, "type") in _ANSWERING_FILTERS for each in sequence(rule, "filters"))


def _wrong(ctx: Context, ref: Any, namespace: str) -> str:
    """What is known to be wrong with the object a backendRef names, and the cure; empty when nothing is."""
    key = pool_key(ref, namespace)
    kind = pool_kind(ref)
    if kind is not None:
        return _wrong_pool(ctx, kind, key)
    if is_impossible_service(ref):
        cure = "a Service has at most 63 characters in its name"
        if key.name == f"{ctx.name}-kserve-workload-svc":
            cure = f"the workload Service of this service is named {names.workload_service_name(ctx.name)}"
        return f"Service {key}, which cannot exist: {cure}"
    return ""


def _wrong_pool(ctx: Context, kind: Kind, key: ObjectKey) -> str:
    title = f"InferencePool {key} of group {kind.group}"
    if ctx.obs.served(kind) is Served.NO:
        others = [each for each in _POOL_KINDS.values() if ctx.obs.served(each) is Served.YES]
        other = f", or refer to group {others[0].group}" if others else ""
        return f"{title}, which this cluster does not serve; install its CRD{other}"
    if not is_absent(ctx.obs, kind, key):
        return ""
    pool = effective_pool_name(ctx.name, ctx.spec)
    if key.namespace == ctx.namespace and key.name == pool:
        return f"{title}, which does not exist; awaited: its creation"
    return f"{title}, which does not exist; create it, or name {pool}, the pool of this service"
