"""`aioctl explain NAME`: one chain from the symptom to the cause, each link an object with the condition or field and its age.

A chain goes down the conditions as they are rolled up, then to the object that the last of them speaks of, and ends in an
entry of `codes.py`: what to do. Pure, over what `look.py` gathered.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.kinds import SERVICE as SERVICE_KIND
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import FieldError, Object, dig, generation_of, key_of, sequence, text
from aioctl.plan import refusals
from aioctl.plan.migration import Reason, State
from aioctl.plan.observation import Observation, Present
from aioctl.plan.parents import Parent, parents_of
from aioctl.plan.readiness import Condition, find_condition, is_stale
from aioctl.tools import codes
from aioctl.tools.codes import Code
from aioctl.tools.look import Look, age, gateways, present
from aioctl.tools.tree import pod_ready, pod_trouble, pods_of

_WORKLOADS: Final = {
    c.MAIN_WORKLOAD_READY: "workload",
    c.WORKER_WORKLOAD_READY: "workload",
    c.PREFILL_WORKLOAD_READY: "workload-prefill",
    c.PREFILL_WORKER_WORKLOAD_READY: "workload-prefill",
    c.SCHEDULER_WORKLOAD_READY: "router-scheduler",
    c.TOKENIZER_READY: "tokenizer",
}
"""Condition -> what the role of the workloads that it speaks of begins with; longer ones are more exact."""
_BELOW: Final = {
    c.WORKLOADS_READY: (
        c.MAIN_WORKLOAD_READY,
        c.WORKER_WORKLOAD_READY,
        c.PREFILL_WORKLOAD_READY,
        c.PREFILL_WORKER_WORKLOAD_READY,
        c.SCALING_READY,
        c.PREFILL_SCALING_READY,
    ),
    c.ROUTER_READY: (
        c.GATEWAYS_READY,
        c.HTTP_ROUTES_READY,
        c.INFERENCE_POOL_READY,
        c.SCHEDULER_WORKLOAD_READY,
        c.TOKENIZER_READY,
    ),
    c.READY: (c.PRESETS_COMBINED, c.WORKLOADS_READY, c.ROUTER_READY),
}
_FINE: Final = frozenset({Reason.LOCKED, Reason.NO_SCHEDULER, Reason.NO_MANAGED_ROUTE})


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain. `object`: kind and namespace/name; `what`: condition or field; `age`: since when, may be empty."""

    object: str
    what: str
    status: str = ""
    reason: str = ""
    message: str = ""
    age: str = ""

    def __str__(self) -> str:
        head = " ".join(filter(None, (self.object, self.what, self.status, self.reason)))
        return f"{head}{f' ({self.age})' if self.age else ''}{': ' + self.message if self.message else ''}"


@dataclass(frozen=True, slots=True)
class Chain:
    """From the symptom down to the cause, and what to do. `act`: somebody has to."""

    links: tuple[Link, ...]
    code: Code
    act: bool = True
    cure: str = ""
    """Better than the code's own, where the cause says more; empty otherwise."""

    def lines(self) -> list[str]:
        """For people: each link below the one it causes, the last line what to do."""
        shown = [f"{'   ' * depth}{'<- ' if depth else ''}{link}" for depth, link in enumerate(self.links)]
        return [*shown, f"what to do [{self.code.code}]: {self.cure or self.code.cure}"]

    def as_data(self) -> dict[str, Any]:
        """For json and yaml."""
        fields = ("object", "what", "status", "reason", "message", "age")
        return {
            "links": [{name: getattr(link, name) for name in fields} for link in self.links],
            "code": self.code.code,
            "act": self.act,
            "cure": self.cure or self.code.cure,
            "page": self.code.page,
        }


def chains(seen: Look, obs: Observation) -> list[Chain]:
    """What keeps the service from being ready, what its migration waits for, and its traffic group; empty when nothing does."""
    found = [_readiness(seen, obs), _migration(seen, obs)]
    beside = (
        (c.GROUP_READY, "False"),
        (c.GROUP_DEGRADED, "True"),
        (c.OCI_IMAGE_VOLUME_COMPATIBLE, "False"),
        (c.POD_FORM_CURRENT, "False"),
    )
    for type_, bad in beside:
        said = seen.condition(type_)
        if said is not None and said.get("status") == bad:
            found.append(Chain((_link(seen, type_, said),), _code(said), act=type_ == c.GROUP_DEGRADED))
    return [chain for chain in found if chain is not None]


def _readiness(seen: Look, obs: Observation) -> Chain | None:
    ready = seen.condition(c.READY)
    service = f"{SERVICE_KIND.kind} {seen.key}"
    if ready is None:
        old = age(dig(seen.service, "metadata", "creationTimestamp"), seen.now)
        return Chain(
            (Link(service, "status", reason="NotReconciled", age=old),), codes.SERVICE["NotReconciled"]
        )
    if ready.get("status") == "True":
        return None
    links = [_link(seen, c.READY, ready)]
    at, said = c.READY, ready
    while (below := _next(seen, at, said)) is not None:
        at, said = below
        links.append(_link(seen, at, said))
    code = _code(said)
    objects = list(_objects(at, seen, obs)) if said.get("reason") != "Stopped" else []
    for link, better in objects:
        links.append(link)
        code = better or code
    return Chain(tuple(links), code, act=not seen.stopped)


def _next(seen: Look, at: str, said: Condition) -> tuple[str, Condition] | None:
    """The condition below that is the reason: the one whose reason was copied, else the first that is not True."""
    spoken = [(type_, found) for type_ in _BELOW.get(at, ()) if (found := seen.condition(type_)) is not None]
    bad = [(type_, found) for type_, found in spoken if found.get("status") != "True"]
    copied = [each for each in bad if each[1].get("reason") == said.get("reason")]
    return next(iter(copied or bad), None)


def _link(seen: Look, type_: str, said: Condition) -> Link:
    below = type_ in _BELOW
    return Link(
        f"{SERVICE_KIND.kind} {seen.key}",
        type_,
        str(said.get("status") or ""),
        str(said.get("reason") or ""),
        "" if below else str(said.get("message") or ""),
        age(said.get("lastTransitionTime"), seen.now),
    )


def _code(said: Condition) -> Code:
    return codes.SERVICE.get(str(said.get("reason") or ""), codes.OTHER)


Found = tuple[Link, Code | None]


def _objects(type_: str, seen: Look, obs: Observation) -> Iterator[Found]:
    """The objects that a condition speaks of, from the nearest to the cause."""
    if type_ in _WORKLOADS:
        yield from _workload(type_, seen)
    elif type_ == c.HTTP_ROUTES_READY:
        yield from _routes(seen, obs)
    elif type_ == c.INFERENCE_POOL_READY:
        for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
            found = list(_pool(kind, seen, obs))
            if found:
                yield from found
                return
    elif type_ == c.GATEWAYS_READY:
        yield from _gateways(seen, obs)


def _workload(type_: str, seen: Look) -> Iterator[Found]:
    role = _WORKLOADS[type_]
    for each in seen.workloads:
        if not each.role.startswith(role) or each.ready >= each.wanted:
            continue
        said = find_condition(sequence(each.obj, "status", "conditions"), "Available")
        counts = f"{each.ready} of {each.wanted} replicas ready"
        where = f"{each.kind.kind} {key_of(each.obj)}"
        if said is None:
            yield Link(where, "status.readyReplicas", message=counts), None
        else:
            yield (
                _of(where, said, generation_of(each.obj), seen, counts),
                codes.SERVICE.get(text(said, "reason")),
            )
        pod = next((pod for pod in pods_of(each, seen) if not pod_ready(pod)), None)
        if pod is not None:
            yield _pod(pod, seen)
        return


def _pod(pod: Object, seen: Look) -> Found:
    trouble = pod_trouble(pod)
    old = age(dig(pod, "metadata", "creationTimestamp"), seen.now)
    code = next((code for reason, code in codes.BELOW.items() if reason in trouble), None)
    return Link(f"Pod {key_of(pod)}", "status", message=trouble, age=old), code


def _routes(seen: Look, obs: Observation) -> Iterator[Found]:
    for route in seen.routes:
        try:
            parents = parents_of(route, obs)
        except FieldError as error:
            yield Link(f"HTTPRoute {key_of(route)}", "status", message=str(error)), None
            return
        for parent in parents:
            found = list(_parent(route, parent, seen, obs))
            if found:
                yield from found
                return


def _parent(route: Object, parent: Parent, seen: Look, obs: Observation) -> Iterator[Found]:
    where = f"HTTPRoute {key_of(route)} parent {parent.key}"
    if not parent.entries:
        yield (
            Link(where, "status.parents", reason="HasSaidNothing", message="the gateway has said nothing"),
            codes.BELOW["HasSaidNothing"],
        )
        yield from _behind(parent.key, obs)
        return
    for entry in parent.entries:
        for type_ in ("Accepted", "ResolvedRefs"):
            said = find_condition(sequence(entry, "conditions"), type_)
            if said is None or (said.get("status") == "True" and not is_stale(said, generation_of(route))):
                continue
            yield _of(where, said, generation_of(route), seen), _below(said, generation_of(route))
            if text(entry, "controllerName"):
                yield _controller(parent.key, text(entry, "controllerName")), None
            return


def _pool(kind: Kind, seen: Look, obs: Observation) -> Iterator[Found]:
    pool = present(seen.pools.get(kind))
    if pool is None:
        return
    where = f"InferencePool {kind.version} {key_of(pool)}"
    entries = sequence(pool, "status", "parents" if kind == kinds.POOL_V1 else "parent")
    spoken: set[str] = set()
    for entry in entries:
        if dig(entry, "parentRef", "kind") not in (None, "", "Gateway"):
            continue
        name = f"{dig(entry, 'parentRef', 'namespace') or key_of(pool).namespace}/{dig(entry, 'parentRef', 'name')}"
        spoken.add(name)
        for type_ in ("Accepted", "ResolvedRefs"):
            said = find_condition(sequence(entry, "conditions"), type_)
            if said is not None and (said.get("status") != "True" or is_stale(said, generation_of(pool))):
                yield (
                    _of(f"{where} gateway {name}", said, generation_of(pool), seen),
                    _below(said, generation_of(pool)),
                )
                return
    silent = next((name for name in gateways(seen) if name not in spoken), None)
    if silent is not None:
        yield (
            Link(f"{where} gateway {silent}", "status.parents", reason="HasSaidNothing"),
            codes.BELOW["HasSaidNothing"],
        )
        namespace, _, name = silent.partition("/")
        yield from _behind(ObjectKey(namespace, name), obs)


def _gateways(seen: Look, obs: Observation) -> Iterator[Found]:
    for full in gateways(seen):
        namespace, _, name = full.partition("/")
        read = obs.get(kinds.GATEWAY, namespace, name)
        if not isinstance(read, Present):
            yield from _behind(ObjectKey(namespace, name), obs)
            return
        said = find_condition(sequence(read.obj, "status", "conditions"), "Programmed")
        generation = generation_of(read.obj)
        if said is None or said.get("status") != "True":
            missing: Condition = said or {
                "type": "Programmed",
                "status": "Unknown",
                "reason": "HasSaidNothing",
            }
            yield _of(f"Gateway {full}", missing, generation, seen), codes.BELOW.get(text(missing, "reason"))
            yield from _behind(ObjectKey(namespace, name), obs)
            return


def _behind(gateway: ObjectKey, obs: Observation) -> Iterator[Found]:
    """Why a gateway may be silent: it or its class is not there; else who its controller is."""
    read = obs.get(kinds.GATEWAY, gateway.namespace, gateway.name)
    if not isinstance(read, Present):
        yield Link(f"Gateway {gateway}", "absent", reason="GatewayNotFound"), codes.BELOW["GatewayNotFound"]
        return
    name = text(read.obj, "spec", "gatewayClassName")
    cls = obs.get(kinds.GATEWAY_CLASS, "", name)
    if not isinstance(cls, Present):
        yield (
            Link(f"GatewayClass {name}", "absent", reason="GatewayClassNotFound"),
            codes.BELOW["GatewayClassNotFound"],
        )
        return
    yield (
        Link(f"GatewayClass {name}", "spec.controllerName", message=text(cls.obj, "spec", "controllerName")),
        None,
    )


def _controller(gateway: ObjectKey, name: str) -> Link:
    return Link(f"Gateway {gateway}", "controllerName", message=name)


def _of(where: str, said: Condition, generation: int, seen: Look, more: str = "") -> Link:
    message = str(said.get("message") or "")
    if is_stale(said, generation):
        message = f"of generation {said.get('observedGeneration')}, now {generation}{': ' + message if message else ''}"
    return Link(
        where,
        str(said.get("type") or ""),
        str(said.get("status") or ""),
        str(said.get("reason") or ""),
        ": ".join(filter(None, (more, message))),
        age(said.get("lastTransitionTime"), seen.now),
    )


def _below(said: Condition, generation: int) -> Code | None:
    if is_stale(said, generation):
        return codes.BELOW["IsStale"]
    # Envoy Gateway joins several with commas.
    return next((codes.BELOW[each] for each in sorted(refusals.reasons(said)) if each in codes.BELOW), None)


def _migration(seen: Look, obs: Observation) -> Chain | None:
    """What the migration waits for; None when it is done, or there is nothing to migrate."""
    if seen.stopped:
        return None
    service = f"{SERVICE_KIND.kind} {seen.key}"
    if seen.decision is None:
        if seen.condition(c.READY) is None:
            return None  # the first chain says it
        link = Link(service, "migration", "Unknown", "NotPlanned", seen.error)
        return Chain((link,), codes.SERVICE["NotPlanned"])
    decision = seen.decision
    reason = decision.reason
    if reason in _FINE and not decision.problem:
        return None
    said = seen.condition(c.POOL_MIGRATION)
    old = age((said or {}).get("lastTransitionTime"), seen.now)
    links = [Link(service, "migration", decision.state.value, reason.value, decision.problem, old)]
    links += [link for link, _ in _evidence(reason, seen, obs)]
    code = codes.MIGRATION[reason]
    act = bool(decision.problem) or decision.state is State.HELD or reason in _ACT
    return Chain(tuple(links), code, act=act)


_ACT: Final = frozenset({Reason.V1_NOT_SERVED})


def _evidence(reason: Reason, seen: Look, obs: Observation) -> Sequence[Found]:
    """The objects that say so."""
    service = f"{SERVICE_KIND.kind} {seen.key}"
    match reason:
        case Reason.V1_POOL_NOT_READY:
            return list(_pool(kinds.POOL_V1, seen, obs))
        case Reason.GATEWAY_ASKED:
            asked = names.mixed_probe_name(seen.key.name)
            link = Link(f"{kinds.HTTP_ROUTE.kind} {seen.key.namespace}/{asked}", "asks the gateways")
            return [(link, None)]
        case Reason.GATEWAY_REFUSES_V1 | Reason.MIXED_REFERENCES_REFUSED | Reason.GATEWAY_SERVES_NO_POOL:
            return list(_routes(seen, obs))
        case Reason.V1_NOT_SERVED | Reason.V1ALPHA2_NOT_SERVED:
            kind = kinds.POOL_V1 if reason is Reason.V1_NOT_SERVED else kinds.POOL_V1ALPHA2
            return [(Link(f"CustomResourceDefinition {kind.resource}", "absent"), None)]
        case Reason.V1_POOL_MISSING:
            return [(Link(f"InferencePool v1 of {seen.key}", "absent"), None)]
        case Reason.PAUSED:
            return [(Link(service, "metadata.annotations[aioctl.dev/migration]", message="paused"), None)]
        case Reason.STRATEGY_HOLD:
            return [
                (Link(service, "strategy", message="hold, by annotation or AIOCTL_MIGRATION_STRATEGY"), None)
            ]
        case Reason.WAITS_FOR_BUDGET:
            return [(Link(service, "its turn", message=seen.turn), None)]
        case Reason.NOT_KNOWN:
            return [(Link(service, "not known", message=said), None) for said in seen.unread]
        case _:
            return []
