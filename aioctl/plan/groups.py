"""Traffic groups: services of one namespace that share the requests for a model by weight (GROUP-1).

Each member has its own managed route, and all of them say the same: a rule for requests that are not for one service by its
path gets one reference for each member. What a service is to the others is a `Member`, read off its stored object alone, so
that members never have to agree on anything; they are woken when it changes. Reads only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.defaulting import external_pool_name, is_stopped
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, SERVICE, Kind, Served
from aioctl.api.objects import (
    FieldError,
    Object,
    integer,
    is_deleting,
    name_of,
    present,
    sequence,
    text,
)
from aioctl.plan.addresses import planned_addresses
from aioctl.plan.gateways import managed_route
from aioctl.plan.memo import once
from aioctl.plan.model import Context, PlanError
from aioctl.plan.observation import Observation, Unanswered, need, need_list
from aioctl.plan.routing import POOL_GROUPS, Mode, has_scheduler, is_pool_ref, mode, pool_names

PORT: Final = 8000
"""Of every backend: the port of the model server, through a pool or not."""
POOL_KINDS: Final[Mapping[str, Kind]] = {
    POOL_GROUP_V1: kinds.POOL_V1,
    POOL_GROUP_V1ALPHA2: kinds.POOL_V1ALPHA2,
}
_ROUTE: Final = ("spec", "router", "route")


class Pool(Enum):
    """What is known of a member's own pools."""

    NONE = "none"
    ASKED = "asked"
    """The spec has a scheduler, and the status does not name the pool yet."""
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class Member:
    """What the others of its group see of a service. Equal as long as nothing changes for them."""

    name: str
    group: str
    weight: int
    deleting: bool
    stopped: bool
    serving: bool
    """Every workload that its status names has a ready replica."""
    routed: bool
    """Its router is ready."""
    models: tuple[str, ...]
    """The names its model and adapters are asked for by, sorted."""
    external: str
    """The pool of the user that takes the place of its own."""
    pool: Pool

    @property
    def pool_name(self) -> str:
        """The pool that leads to it; empty where its workload Service does."""
        if self.external:
            return self.external
        return "" if self.pool is Pool.NONE else names.default_pool_name(self.name)


@dataclass(frozen=True, slots=True)
class Group:
    """A group as one member sees it. Both are sorted by name."""

    name: str
    members: tuple[Member, ...]
    """Those with the same models, itself among them; stopped ones too, which get no traffic."""
    divergent: tuple[Member, ...]
    """Those with other models."""

    @property
    def sharing(self) -> tuple[Member, ...]:
        """The members that requests are shared among."""
        return tuple(member for member in self.members if not member.stopped)


def stored_group(service: Object) -> str:
    """The group that the service itself names; what it gets from a config others do not see. Raises FieldError."""
    return text(service, *_ROUTE, "group")


def group_name(ctx: Context) -> str:
    """The group whose members the managed route of the service refers to; empty without one, or without such a route."""
    return text({"spec": ctx.spec}, *_ROUTE, "group") if mode(ctx) is Mode.MANAGED else ""


def member_of(service: Object) -> Member | None:
    """What others see of a stored service (GROUP-1); None of one without group, or with fields that cannot be read."""
    try:
        group = stored_group(service)
        return _member(service, group) if group else None
    except FieldError:
        return None


def candidates(obs: Observation, namespace: str, group: str) -> Iterator[Member]:
    """The services that name the group, by name. Raises Unanswered."""
    for service in need_list(obs.select(SERVICE, namespace, {names.ROUTING_GROUP: group})):
        member = member_of(service)
        if member is not None and member.group == group:
            yield member


def group_of(ctx: Context) -> Group | None:
    """The group as this service sees it; None where its route refers to none. Raises Unanswered."""
    return once(ctx, ("group",), lambda: _group_of(ctx))


def _group_of(ctx: Context) -> Group | None:
    name = group_name(ctx)
    if not name:
        return None
    own = _itself(ctx, name)
    known = _backends(ctx)
    found = [
        member
        for member in candidates(ctx.obs, ctx.namespace, name)
        if member.name != ctx.name and not member.deleting and (member.stopped or _takes_part(member, known))
    ]
    if stored_group(ctx.service) == name:
        found.append(own)
    model = text({"spec": ctx.spec}, "spec", "model", "name") or ctx.name
    alike = {member for member in found if _is_alike(member, own, model)}
    found.sort(key=lambda member: member.name)
    return Group(
        name,
        tuple(member for member in found if member in alike),
        tuple(member for member in found if member not in alike),
    )


def is_shared(ctx: Context, rule: Any) -> bool:
    """True for a rule with a backend of ours that is not for this service alone, by its path."""
    own = f"/{ctx.namespace}/{ctx.name}"
    for match in sequence(rule, "matches"):
        path = text(match, "path", "value")
        if path == own or path.startswith(f"{own}/"):
            return False
    pools, service = pool_names(ctx.name, ctx.spec), names.workload_service_name(ctx.name)
    return any(
        is_pool_ref(ref, pools) or (text(ref, "kind") in ("", "Service") and text(ref, "name") == service)
        for ref in sequence(rule, "backendRefs")
    )


def share(
    ctx: Context, group: Group, rules: Sequence[Any], generation: str, takes_both: Callable[[], bool]
) -> list[Any]:
    """The rules, each shared one with one reference for each member, its pool in that API group (GROUP-2, GROUP-5).

    `takes_both`: whether a rule may lead to pools of the other generation as well; asked only where a user's pool is not of
    this one. A group without any member leaves its rules as they are: a rule without backends would answer nothing but errors.
    """
    refs = [
        {**ref, "weight": member.weight}
        for member in group.sharing
        if (ref := _reference(ctx, member, generation, takes_both))
    ]
    return [{**rule, "backendRefs": refs} if refs and is_shared(ctx, rule) else rule for rule in rules]


def shared_generation(ctx: Context, rules: Iterable[Any]) -> str:
    """The API group of the pools that shared rules lead to: v1 where any of it takes traffic, empty without any.

    That of the service's own pool where it is among them: those of others may be of either.
    """
    refs = [
        ref
        for rule in rules
        if is_shared(ctx, rule)
        for ref in sequence(rule, "backendRefs")
        if text(ref, "kind") == "InferencePool" and integer(ref, "weight") != 0
    ]
    own = [ref for ref in refs if is_pool_ref(ref, pool_names(ctx.name, ctx.spec))]
    found = {text(ref, "group") for ref in own or refs} & set(POOL_GROUPS)
    return POOL_GROUP_V1 if POOL_GROUP_V1 in found else next(iter(found), "")


def pools_of(group: Group | None) -> frozenset[str]:
    """The pools of the members that the rules of the group lead to."""
    return (
        frozenset(member.pool_name for member in group.sharing if member.pool_name) if group else frozenset()
    )


def shown(ctx: Context, group: Group | None) -> dict[str, Any]:
    """`status.router.group`, in the same words in every state of a migration; empty without a group that has members.

    A service that has its group from a config is no member of it, but what its route shares is told all the same.
    """
    if group is None or not group.members:
        return {}
    members = []
    for member in group.members:
        entry: dict[str, Any] = {"name": member.name, "weight": member.weight}
        if member.stopped:
            entry["stopped"] = True
        members.append({**entry, "backendRef": _shown_reference(ctx, member)})
    return {"name": group.name, "members": members}


def lacks_generation(ctx: Context, group: Group, generation: str) -> bool:
    """Whether a member is left out for want of a pool in that API group while it has one in the other. Raises Unanswered."""
    return any(
        not _reference(ctx, member, generation, lambda: False)
        and bool(_reference(ctx, member, generation, lambda: True))
        for member in group.sharing
    )


def degraded(
    ctx: Context, group: Group, generation: str, takes_both: Callable[[], bool]
) -> tuple[str, str] | None:
    """Reason and message of GroupDegraded; None when every member takes its part (GROUP-4). `takes_both`: as of `share`."""
    if group.divergent:
        sets = sorted({"+".join(member.models) for member in group.divergent})
        return "MemberDivergence", f"group has members with different model sets: {', '.join(sets)}"
    left_out = [
        member.name for member in group.sharing if not _reference(ctx, member, generation, takes_both)
    ]
    if left_out:
        said = "; ".join(f"member {name} has no InferencePool of group {generation}" for name in left_out)
        return "MemberPoolGeneration", said
    return None


def notices(group: Group | None) -> Iterator[tuple[str, str]]:
    """(reason, message) of Warning events: what of the group its owner should look at."""
    if group is None or not group.members:
        return
    if group.divergent:
        yield (
            "MemberDivergence",
            f'Group "{group.name}" has members with divergent model.name or LoRA adapter sets',
        )
    if group.sharing and not any(member.weight for member in group.sharing):
        yield (
            "GroupWithoutTraffic",
            (
                f'Group "{group.name}" gets no traffic: the weights of its members add up to 0, and gateways answer '
                "500; give one a spec.router.route.weight above 0"
            ),
        )


def holding(obs: Observation, service: Object) -> str:
    """The member whose route still leads to a service that is being deleted; empty when it may go. Raises Unanswered."""
    namespace, name, group = text(service, "metadata", "namespace"), name_of(service), stored_group(service)
    if not group or obs.served(kinds.HTTP_ROUTE) is Served.NO:
        return ""
    backends = {names.default_pool_name(name), names.workload_service_name(name)}
    for member in candidates(obs, namespace, group):
        if member.name == name or member.deleting:
            continue
        name_of_route = names.route_name(member.name)
        try:
            route = need(obs.get(kinds.HTTP_ROUTE, namespace, name_of_route))
        except Unanswered as unanswered:
            raise Unanswered(
                f"checking member route {name_of_route} for stale backendRefs: {unanswered}"
            ) from unanswered
        refs = [ref for rule in sequence(route, "spec", "rules") for ref in sequence(rule, "backendRefs")]
        if any(text(ref, "name") in backends and text(ref, "namespace") in ("", namespace) for ref in refs):
            return member.name
    return ""


def _takes_part(member: Member, known: frozenset[str]) -> bool:
    """Whether requests may go to a member (GROUP-3). Its router has to be ready before it joins, and not to stay.

    Whoever joins has its route rewritten, which makes its router not ready until the gateway has seen that. Two members that
    left each other out for it would do so for ever.
    """
    backend = member.pool_name or names.workload_service_name(member.name)
    return member.serving and (member.routed or backend in known)


def _backends(ctx: Context) -> frozenset[str]:
    """What the shared rules of the live route lead to, by name. Raises Unanswered."""
    rules = sequence(managed_route(ctx), "spec", "rules")
    return frozenset(
        text(ref, "name") for rule in rules if is_shared(ctx, rule) for ref in sequence(rule, "backendRefs")
    )


def _itself(ctx: Context, group: str) -> Member:
    """This service, by its combined spec and by what its status will say; only the weight is what others see of it."""
    service = {**ctx.service, "spec": ctx.spec}
    return Member(
        name=ctx.name,
        group=group,
        weight=integer(ctx.service, *_ROUTE, "weight") or 0,
        deleting=False,
        stopped=False,
        serving=True,
        routed=True,
        models=_planned_models(ctx) or _models(service),
        external=external_pool_name(ctx.spec),
        pool=Pool.NAMED if has_scheduler(ctx.spec) else Pool.NONE,
    )


def _planned_models(ctx: Context) -> tuple[str, ...]:
    """The names at the addresses that the status is about to list: those of others are compared with them."""
    try:
        return _at_addresses(planned_addresses(ctx).all)
    except (PlanError, FieldError):
        return ()


def _member(service: Object, group: str) -> Member:
    if text(service, "status", "router", "scheduler", "inferencePool", "name"):
        pool = Pool.NAMED
    else:
        pool = Pool.ASKED if present(service, "spec", "router", "scheduler") else Pool.NONE
    return Member(
        name=name_of(service),
        group=group,
        weight=integer(service, *_ROUTE, "weight") or 0,
        deleting=is_deleting(service),
        stopped=is_stopped(service),
        serving=_is_serving(service),
        routed=_is_routed(service),
        models=_models(service),
        external=text(service, "spec", "router", "scheduler", "pool", "ref", "name"),
        pool=pool,
    )


def _is_routed(service: Object) -> bool:
    return any(
        text(condition, "type") == c.ROUTER_READY and text(condition, "status") == c.TRUE
        for condition in sequence(service, "status", "conditions")
    )


def _is_serving(service: Object) -> bool:
    workloads = ("status", "workloads")
    return present(service, *workloads, "primary") and all(
        (integer(service, *workloads, part, "readyReplicas") or 0) > 0
        for part in ("primary", "prefill", "scheduler")
        if present(service, *workloads, part)
    )


def _models(service: Object) -> tuple[str, ...]:
    at_addresses = _at_addresses(sequence(service, "status", "addresses"))
    if at_addresses:
        return at_addresses
    model = text(service, "spec", "model", "name") or name_of(service)
    adapters = (text(each, "name") for each in sequence(service, "spec", "model", "lora", "adapters"))
    return tuple(sorted({model, *adapters} - {""}))


def _at_addresses(addresses: Iterable[Any]) -> tuple[str, ...]:
    found = {text(model, "name") for address in addresses for model in sequence(address, "models")}
    return tuple(sorted(found - {""}))


def _is_alike(member: Member, own: Member, model: str) -> bool:
    """A stopped member has no addresses, so all that can be asked of it is the model."""
    if member.stopped:
        return model in member.models
    return member.models == own.models


def _reference(
    ctx: Context, member: Member, generation: str, takes_both: Callable[[], bool]
) -> dict[str, Any]:
    """The backend of a member in a route whose pools are of that API group; empty for one without a pool that fits.

    The service itself is never left out: its pools are made before its route.
    """
    pool = member.pool_name
    if not pool:
        return _service_reference(member)
    if member.name == ctx.name or _exists(ctx, POOL_KINDS[generation], pool):
        return _pool_reference(generation, pool)
    if not member.external:
        return _service_reference(member) if member.pool is Pool.ASKED else {}
    # One of ours comes back by itself; of a user's there may be one for good.
    (other,) = POOL_KINDS.keys() - {generation}
    return _pool_reference(other, pool) if _exists(ctx, POOL_KINDS[other], pool) and takes_both() else {}


def _exists(ctx: Context, kind: Kind, pool: str) -> bool:
    if ctx.obs.served(kind) is Served.NO:
        return False
    return need(ctx.obs.get(kind, ctx.namespace, pool)) is not None


def _shown_reference(ctx: Context, member: Member) -> dict[str, Any]:
    """As KServe has it: a user's pool in v1alpha2, others in v1, unless the cluster serves one of them alone."""
    if not (member.external or member.pool is Pool.NAMED):
        return _service_reference(member)
    usual, other = POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
    if member.external:
        usual, other = other, usual
    alone = ctx.obs.served(POOL_KINDS[usual]) is Served.NO and (
        ctx.obs.served(POOL_KINDS[other]) is not Served.NO
    )
    return _pool_reference(other if alone else usual, member.pool_name)


def _pool_reference(group: str, name: str) -> dict[str, Any]:
    return {"group": group, "kind": "InferencePool", "name": name, "port": PORT}


def _service_reference(member: Member) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": names.workload_service_name(member.name), "port": PORT}
