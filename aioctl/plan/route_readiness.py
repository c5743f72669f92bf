"""HTTPRoutesReady: do the routes of a service have takers, and are they protected where they must be? (ROUTE-5)

Each parent of a route has to accept it and must not refuse a reference that carries traffic. ResolvedRefs False about a
reference of weight zero alone is not held against the route where the gateway serves the rest: with references to both pool
generations a gateway that knows only one of them says False for ever. Reads only; routes are looked at in the order of
the refs, the managed one last.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aioctl.api import names
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, generation_of, mapping, namespace_of, sequence, text
from aioctl.plan import auth, backends, gateway_requests, probe, refusals
from aioctl.plan.gateways import READY, Judgement, managed_route, referenced_routes, route_key
from aioctl.plan.lock import has_lock
from aioctl.plan.model import Context
from aioctl.plan.observation import Observation, Present, Unanswered
from aioctl.plan.parents import Entry, Parent, is_parent, parents_of
from aioctl.plan.readiness import (
    Condition,
    accepts,
    describe,
    explain,
    find_condition,
    holds,
    is_stale,
    quoted,
    source,
)
from aioctl.plan.refusals import BACKEND_NOT_FOUND, INVALID_KIND
from aioctl.plan.route import awaited_pools
from aioctl.plan.routing import Mode, mode, owns_pools

POLICY_CONTROLLER: Final = "kuadrant.io/policy-controller"
POLICY_CONDITION: Final = "kuadrant.io/AuthPolicyAffected"

_NOT_ENFORCED: Final[Condition] = {
    "type": POLICY_CONDITION,
    "status": "False",
    "reason": "Authentication is not enforced",
    "message": (
        "Either disable authentication with security.opendatahub.io/enable-auth=false annotation "
        "or install Red Hat Connectivity Link"
    ),
}


@dataclass(frozen=True, slots=True)
class _Finding:
    """What stands in the way of a route. `said`: the condition that does, None where nobody said anything."""

    words: str
    """By whom the condition is and what is awaited; without one all there is to say."""
    said: Condition | None = None

    @property
    def whole(self) -> str:
        return self.words if self.said is None else f"{describe(self.said)} {self.words}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A route that is not ready, and why."""

    route: ObjectKey
    findings: Sequence[_Finding]
    """What somebody said comes first: that is all KServe shows."""

    @classmethod
    def of(cls, route: ObjectKey, findings: Iterable[_Finding]) -> "_Entry | None":
        found = sorted(findings, key=lambda each: each.said is None)
        return cls(route, found) if found else None

    @property
    def short(self) -> str:
        """As KServe has it, the condition without its type; in our words where there is none to quote."""
        said = self.findings[0].said
        words = quoted(said) if said is not None else "; ".join(each.words for each in self.findings)
        return f"{self.route}: {words}"

    @property
    def more(self) -> str:
        """What `short` leaves out; empty where that is nothing."""
        first, *others = self.findings
        if first.said is None:
            return ""
        words = (f"{first.said.get('type')} {first.words}", *(each.whole for each in others))
        return f"{self.route}: {'; '.join(words)}"


_NOT_REPORTED: Final[Condition] = {
    "type": "ResolvedRefs",
    "status": "Unknown",
    "reason": "ConditionMissing",
    "message": "ResolvedRefs condition not yet reported by gateway controller",
}
"""In KServe's words: a gateway that has accepted a route has not yet said whether its references lead anywhere."""


def evaluate(ctx: Context) -> Judgement | None:
    """The verdict over the routes of the service; None where no route is wanted."""
    return None if mode(ctx) is Mode.NONE else judge(ctx)


def judge(ctx: Context) -> Judgement:
    """The verdict over all routes of a service that wants some."""
    try:
        routes = list(referenced_routes(ctx))
    except Unanswered as error:
        return Judgement(
            ready=False,
            reason="HTTPRouteFetchError",
            message=f"Failed to fetch referenced HTTPRoutes: {error}",
        )
    entries = [_Entry.of(route_key(route), _findings(ctx, route)) for route in routes]
    not_ready = [entry for entry in (*entries, _managed(ctx)) if entry is not None]
    if not not_ready:
        return READY
    shown = f"The following HTTPRoutes are not ready: [{' '.join(entry.short for entry in not_ready)}]"
    more = "; ".join(filter(None, (entry.more for entry in not_ready)))
    return Judgement(ready=False, reason="HTTPRoutesNotReady", message=f"{shown}. {more}" if more else shown)


def _managed(ctx: Context) -> _Entry | None:
    """The entry of the managed route, if it is not ready; one that cannot be read is left out, as KServe does."""
    if mode(ctx) is not Mode.MANAGED:
        return None
    try:
        route = managed_route(ctx)
    except Unanswered:
        return None
    key = ObjectKey(ctx.namespace, names.route_name(ctx.name))
    if route is None:
        awaited = "its creation"
        with suppress(Unanswered):
            pools = " and ".join(awaited_pools(ctx))
            awaited = f"InferencePool {pools}" if pools else awaited
            if not pools and (silent := probe.awaited(ctx)):
                awaited = _answers(ctx, silent)
        return _Entry.of(key, [_Finding(f"it does not exist yet; awaited: {awaited}")])
    return _Entry.of(key, (*map(_Finding, backends.problems(ctx, route)), *_findings(ctx, route)))


def _answers(ctx: Context, gateways: Sequence[ObjectKey]) -> str:
    """What a route waits for that is not made before these gateways have answered."""
    asked = ObjectKey(ctx.namespace, names.probe_name(ctx.name))
    what = (
        f"HTTPRoute {asked}, which asks" if owns_pools(ctx) else "an HTTPRoute of another service that asks"
    )
    unreached = gateway_requests.unanswered(ctx, gateways)
    awaited = (
        (
            f"ResolvedRefs on {what} whether v1 InferencePools are served, of Gateway ",
            [each for each in gateways if each not in unreached],
        ),
        (f"an answer below 500 to requests for {what.partition(',')[0]} through Gateway ", list(unreached)),
    )
    return " and ".join(f"{words}{', '.join(map(str, whose))}" for words, whose in awaited if whose)


def _findings(ctx: Context, route: Object) -> Iterator[_Finding]:
    """What stands in the way of one route."""
    if not sequence(route, "spec", "parentRefs"):
        yield _Finding("it names no parent; give it a Gateway in spec.parentRefs")
        return
    if auth.is_enabled(ctx):
        yield from _unprotected(route)
    for parent in parents_of(route, ctx.obs):
        yield from _of_parent(ctx.obs, route, parent)


def _of_parent(obs: Observation, route: Object, parent: Parent) -> Iterator[_Finding]:
    """Empty when one of the entries has nothing against the route, else what the first one says."""
    if not parent.entries:
        yield _Finding(
            f'{parent} has not reported on generation {generation_of(route)}; awaited: Accepted="True"'
        )
        return
    said = [list(_of_entry(obs, route, parent, entry)) for entry in parent.entries]
    if all(said):
        yield from said[0]


def _of_entry(obs: Observation, route: Object, parent: Parent, entry: Entry) -> Iterator[_Finding]:
    generation = generation_of(route)
    conditions = sequence(entry, "conditions")
    speaker = str(parent)
    if controller := text(entry, "controllerName"):
        speaker += f" ({controller})"
    accepted = find_condition(conditions, "Accepted")
    resolved = find_condition(conditions, "ResolvedRefs")
    if accepted is None or not holds(accepted, generation):
        yield _finding(accepted, "Accepted", speaker, generation)
        if resolved is None:
            return
    resolved = resolved or _NOT_REPORTED
    if not holds(resolved, generation) and (
        is_stale(resolved, generation) or not _of_weight_zero(obs, route, parent, resolved)
    ):
        yield _finding(resolved, "ResolvedRefs", speaker, generation)


def _of_weight_zero(obs: Observation, route: Object, parent: Parent, refusal: Condition) -> bool:
    """True when the refusal is of references of weight zero alone, and the gateway has accepted what carries traffic."""
    namespace, spec = namespace_of(route), mapping(route, "spec")
    carrying = list(backends.carriers(spec))
    idle = [
        ref
        for rule in sequence(spec, "rules")
        for ref in sequence(rule, "backendRefs")
        if ref not in carrying and backends.pool_kind(ref) is not None
    ]
    reasons, named = refusals.reasons(refusal), refusals.named(refusal, spec)
    if named:
        of_idle = reasons <= {INVALID_KIND, BACKEND_NOT_FOUND} and all(ref in idle for ref in named)
    elif reasons == {INVALID_KIND}:
        of_idle = bool(idle) and has_lock(route)
    else:
        of_idle = reasons == {BACKEND_NOT_FOUND} and any(_is_absent(obs, ref, namespace) for ref in idle)
    carries_pools = any(backends.pool_kind(ref) is not None for ref in carrying)
    return of_idle and carries_pools and all(_serves(obs, parent.key, ref, namespace) for ref in carrying)


def _is_absent(obs: Observation, ref: Entry, namespace: str) -> bool:
    """True for a pool that is known not to be there."""
    kind = backends.pool_kind(ref)
    return kind is not None and backends.is_absent(obs, kind, backends.pool_key(ref, namespace))


def _serves(obs: Observation, gateway: ObjectKey, ref: Entry, namespace: str) -> bool:
    """True for what is no pool, and for a pool that this gateway has accepted in its current generation."""
    kind = backends.pool_kind(ref)
    if kind is None:
        return True
    key = backends.pool_key(ref, namespace)
    read = obs.get(kind, key.namespace, key.name)
    return isinstance(read, Present) and accepts(read.obj, kind, gateway)


def _finding(condition: Condition | None, type_: str, speaker: str, generation: int) -> _Finding:
    if condition is None:
        return _Finding(explain(None, type_, speaker, generation))
    return _Finding(source(condition, type_, speaker, generation), condition)


def _unprotected(route: Object) -> Iterator[_Finding]:
    """What the policy controller says, or has not said, of the parents of the route."""
    generation = generation_of(route)
    enforced = False
    for entry in sequence(route, "status", "parents"):
        if text(entry, "controllerName") != POLICY_CONTROLLER or not is_parent(entry, route):
            continue
        affected = find_condition(sequence(entry, "conditions"), POLICY_CONDITION)
        if affected is None:
            continue
        if not holds(affected, generation):
            yield _finding(affected, POLICY_CONDITION, POLICY_CONTROLLER, generation)
            return
        enforced = True
    if not enforced:
        yield _Finding(
            f'has not been reported by {POLICY_CONTROLLER}; awaited: {POLICY_CONDITION}="True"', _NOT_ENFORCED
        )
