"""What has to hold before v1alpha2 InferencePools go, one condition after the other, each with its evidence. Pure (MIG-9).

Every condition is looked at for every service, so that one run tells everything that stands in the way.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, external_pool_name
from aioctl.api.kinds import POOL_GROUP_V1ALPHA2, ObjectKey
from aioctl.api.objects import (
    Object,
    annotations_of,
    dig,
    generation_of,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    sequence,
)
from aioctl.plan.finished import is_marked
from aioctl.plan.lock import LOCK_KEYS
from aioctl.plan.migration import PoolState, Refusal, State
from aioctl.plan.migration_facts import facts_of
from aioctl.plan.observation import Present
from aioctl.plan.readiness import find_condition, is_stale
from aioctl.plan.routing import Mode, mode, owns_pools, route_refs
from aioctl.plan.workload.pods import SIDECAR
from aioctl.plan.workload.sidecar import can_read_v1
from aioctl.tools.look import Look

_SIDECAR: Final = re.compile(r"(?:routing-sidecar|disagg-sidecar):v?0\.([5-9])\.")
"""Images of the P/D sidecar that read the v1 pool's selector wrongly (llm-d-router#1696 mended it in 0.10)."""
_GROUP_FLAGS: Final = ("--pool-group", "-pool-group")


@dataclass(frozen=True, slots=True)
class Check:
    """One condition. `against`: what stands in the way, each with its cure; empty when it holds."""

    name: str
    against: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.against


@dataclass(frozen=True, slots=True)
class Around:
    """What is read beside the services. `routes`: every HTTPRoute of the scope; `managers`: who else may make pools."""

    routes: Sequence[Object]
    pods: Sequence[Object]
    models: Sequence[Object]
    objectives: Sequence[Object]
    leader: str
    """Holder of the lease; empty when nobody holds it."""
    others: Sequence[str]
    """Workloads of KServe's own controller that run, as `namespace/name`."""
    unread: Sequence[str]
    """What could not be read, in sentences: nothing is concluded from its absence."""
    namespace: str = ""
    """The one whose v1alpha2 pools shall go; empty: those of all."""
    restarts: bool = False
    """Model servers may be restarted for their routing sidecars."""


def checks(seen: Sequence[Look], around: Around, soak: timedelta, now: datetime) -> list[Check]:
    """All conditions, in order."""
    ours = [one for one in seen if _concerned(one)]
    routed = [one for one in ours if _moves(one)]
    return [
        Check("everything that matters could be read", tuple(around.unread)),
        Check("every service is migrated and locked", tuple(_each(routed, _not_migrated))),
        Check(
            f"locked for at least {_span(soak)}", tuple(_each(routed, lambda one: _soaking(one, soak, now)))
        ),
        Check("the v1 pool is ready for every gateway", tuple(_each(routed, _not_ready))),
        Check("no other HTTPRoute names a v1alpha2 pool", tuple(_foreign_routes(routed, around))),
        Check("no pod reads v1alpha2 pools", tuple(_reading_pods(ours, around))),
        Check("no InferenceModel, objective or rewrite hangs on v1alpha2", tuple(_hanging(seen, around))),
        Check("no pool.ref names a pool that exists as v1alpha2 only", tuple(_each(seen, _old_external))),
        Check("nobody else holds the v1alpha2 pools", tuple(_each(ours, _held))),
        Check("this controller leads, and no other one runs", tuple(_leaders(around))),
    ]


def _each(seen: Iterable[Look], ask: Any) -> Iterator[str]:
    for one in seen:
        if said := ask(one):
            yield f"{one.key}: {said}"


def _concerned(one: Look) -> bool:
    """Services whose pools are the controller's, and those of which nobody knows."""
    ctx = one.plan.context
    return not one.stopped and (ctx is None or owns_pools(ctx))


def _moves(one: Look) -> bool:
    """Their traffic is the controller's to move, too."""
    ctx = one.plan.context
    return ctx is None or mode(ctx) is Mode.MANAGED


def is_open(one: Look, pools: Container[ObjectKey]) -> bool:
    """Something is left to do for it. `pools`: v1alpha2 InferencePools that are there."""
    own = ObjectKey(one.key.namespace, names.default_pool_name(one.key.name))
    return _concerned(one) and (own in pools or not is_marked(one.service))


def not_any_more(one: Look, service: Object) -> str:
    """What has changed in the service since the conditions were judged; empty when it may be marked."""
    if not _moves(one):
        return ""
    if annotations_of(service).get(names.MIGRATION):
        return "is paused"
    return "" if dig(service, "status", "annotations", names.MIGRATED) == "v1" else "is not locked any more"


def routes_of(one: Look) -> list[ObjectKey]:
    """Its HTTPRoutes: the managed one, or those that the user has named."""
    ctx = one.plan.context
    if ctx is None or mode(ctx) is Mode.MANAGED:
        return [ObjectKey(one.key.namespace, names.route_name(one.key.name))]
    return route_refs(ctx)


def _not_migrated(one: Look) -> str:
    if one.plan.context is None:
        return f"cannot be planned: {one.error}"
    annotations = annotations_of(one.service)
    if annotations.get(names.MIGRATION):
        return "is paused; `aioctl resume`"
    if one.decision is None or one.decision.state is not State.MIGRATED:
        return f"is {one.state}, {one.reason}; `aioctl status {one.key.name} -n {one.key.namespace}` says why"
    on_route, in_status = one.locks
    if not (on_route and in_status):
        return f"has the lock {'on the route' if on_route else 'in the status'} only"
    return ""


def _soaking(one: Look, soak: timedelta, now: datetime) -> str:
    on_route, _ = one.locks
    if not soak or not on_route or is_marked(one.service):
        return ""
    times = [since for route in one.routes if (since := locked_since(route)) is not None]
    if not times:
        return "it is not known since when it is locked; --soak 0 goes on all the same"
    age = now - max(times)
    return "" if age >= soak else f"is locked for {_span(age)} only"


def locked_since(route: Object) -> datetime | None:
    """When the lock was written, or later: the last write of the manager that owns the annotation."""
    for entry in dig(route, "metadata", "managedFields") or ():
        fields = dig(entry, "fieldsV1", "f:metadata", "f:annotations")
        if isinstance(fields, Mapping) and any(f"f:{key}" in fields for key in LOCK_KEYS):
            try:
                at = datetime.fromisoformat(str(entry.get("time")))
            except ValueError:
                return None
            return at if at.tzinfo else at.replace(tzinfo=UTC)
    return None


def _not_ready(one: Look) -> str:
    ctx = one.plan.context
    if ctx is None:
        return ""
    facts = facts_of(ctx)
    if facts.v1 is not PoolState.READY:
        return f"its v1 InferencePool is {facts.v1.value}"
    if facts.refusal is not Refusal.NONE:
        return "a parent of its HTTPRoute does not resolve all references"
    return ""


def _foreign_routes(ours: Sequence[Look], around: Around) -> Iterator[str]:
    managed = {ObjectKey(one.key.namespace, names.route_name(one.key.name)) for one in ours}
    for route in around.routes:
        if key_of(route) in managed:
            continue
        refs = [
            ref
            for rule in sequence(route, "spec", "rules")
            for ref in sequence(rule, "backendRefs")
            if ref.get("group") == POOL_GROUP_V1ALPHA2
            and ref.get("kind") == "InferencePool"
            and around.namespace in ("", ref.get("namespace") or namespace_of(route))
        ]
        said = (f"refers to {ref.get('name')}, weight {ref.get('weight', 1)}" for ref in refs)
        # Each rule of a route of ours has the same references.
        yield from (f"HTTPRoute {key_of(route)} {each}" for each in dict.fromkeys(said))


def _reading_pods(ours: Sequence[Look], around: Around) -> Iterator[str]:
    """Pickers are not in the way: they are told v1 before the pool goes. Sidecars neither where model servers may be restarted."""
    services = {one.key for one in ours}
    restarted: set[ObjectKey] = set()
    for pod in around.pods:
        service = service_of(pod)
        for container in _containers(pod):
            title = f"Pod {key_of(pod)}, container {container.get('name')}"
            if flag := _old_group(container):
                told_v1 = service in services and _can_be_told(pod, container)
                if told_v1 and _is_picker(pod):
                    continue
                if not told_v1:
                    yield f"{title}: {flag} is {POOL_GROUP_V1ALPHA2}; take it out of the template, and let the pods roll"
                elif not around.restarts and service not in restarted:
                    restarted.add(service)
                    yield (
                        f"{service}: {title} reads the v1alpha2 pool; `aioctl finish --restart-sidecars -n {service.namespace}` "
                        "restarts the model servers of one service after another and tells them v1"
                    )
            elif _is_guarded_by_v1alpha2(container):
                yield f"{title}: {container.get('image')} allows pods by the v1alpha2 pool; use 0.10 or newer"


def is_reading(pod: Object) -> bool:
    """Some process of it was told to read v1alpha2 pools."""
    return any(map(_old_group, _containers(pod)))


def service_of(pod: Object) -> ObjectKey:
    """The service that a pod of ours is of, by its labels."""
    return ObjectKey(namespace_of(pod), labels_of(pod).get(names.NAME, ""))


def _containers(pod: Object) -> Iterator[Mapping[str, Any]]:
    for field in ("initContainers", "containers"):
        yield from sequence(pod, "spec", field)


def _is_picker(pod: Object) -> bool:
    return labels_of(pod).get(names.COMPONENT) == names.SCHEDULER_COMPONENT


def _can_be_told(pod: Object, container: Mapping[str, Any]) -> bool:
    """The controller writes that flag, and the process can read what it is told then."""
    if container.get("name") == SIDECAR:
        return can_read_v1(container)
    return _is_picker(pod) and container.get("name") == "main"


def _old_group(container: Mapping[str, Any]) -> str:
    """The flag that names v1alpha2; empty without one. Given twice, the last one counts."""
    words = [str(word) for field in ("command", "args") for word in container.get(field) or ()]
    found = ""
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        following = words[place + 1] if place + 1 < len(words) else ""
        if flag in _GROUP_FLAGS:
            found = flag if (value if equals else following) == POOL_GROUP_V1ALPHA2 else ""
    return found


def _is_guarded_by_v1alpha2(container: Mapping[str, Any]) -> bool:
    words = (str(word) for field in ("command", "args") for word in container.get(field) or ())
    guarded = any(word.startswith("--enable-ssrf-protection") for word in words)
    return guarded and bool(_SIDECAR.search(str(container.get("image"))))


def _hanging(seen: Sequence[Look], around: Around) -> Iterator[str]:
    own = {ObjectKey(one.key.namespace, names.model_name(one.key.name)) for one in seen}
    for model in around.models:
        if key_of(model) not in own:
            yield f"InferenceModel {key_of(model)} is nobody's here"
    for one in around.objectives:
        if dig(one, "spec", "poolRef", "group") == POOL_GROUP_V1ALPHA2:
            yield f"{one.get('kind')} {key_of(one)} has spec.poolRef.group {POOL_GROUP_V1ALPHA2}; set {kinds.POOL_GROUP_V1}"


def _old_external(one: Look) -> str:
    ctx = one.plan.context
    if ctx is None or not (name := external_pool_name(ctx.spec)):
        return ""
    v1 = ctx.obs.get(kinds.POOL_V1, one.key.namespace, name)
    return "" if isinstance(v1, Present) else f"pool.ref {name} has no v1 InferencePool; make one"


def _held(one: Look) -> str:
    read = one.pools.get(kinds.POOL_V1ALPHA2)
    if not isinstance(read, Present):
        return ""
    metadata = read.obj["metadata"]
    if metadata.get("finalizers"):
        return f"its v1alpha2 pool has finalizers: {', '.join(metadata['finalizers'])}"
    strangers = [
        ref.get("name")
        for ref in metadata.get("ownerReferences") or ()
        if ref.get("uid") != dig(one.service, "metadata", "uid")
    ]
    return f"its v1alpha2 pool is also owned by {', '.join(map(str, strangers))}" if strangers else ""


def _leaders(around: Around) -> Iterator[str]:
    if not around.leader:
        yield "nobody holds the lease: start the controller, which does the work"
    for other in around.others:
        yield f"KServe's own controller runs, and would make the pools again: {other}; scale it to 0"


def strangers(seen: Sequence[Look], pools: Sequence[Object]) -> list[str]:
    """v1alpha2 pools that belong to no service of ours; they are told and left alone."""
    own = {
        ObjectKey(one.key.namespace, effective_pool_name(one.key.name, one.plan.context.spec))
        for one in seen
        if one.plan.context is not None and not external_pool_name(one.plan.context.spec)
    }
    return [f"{namespace_of(pool)}/{name_of(pool)}" for pool in pools if key_of(pool) not in own]


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes // 60} h" if minutes >= 120 else f"{minutes} min"


def unresolved(route: Object) -> str:
    """The first parent that says of the current generation that references do not resolve."""
    for parent in sequence(route, "status", "parents"):
        condition = find_condition(sequence(parent, "conditions"), "ResolvedRefs")
        if condition is None or is_stale(condition, generation_of(route)):
            continue
        if condition.get("status") == "False":
            name = dig(parent, "parentRef", "name")
            return f"gateway {name}: {condition.get('reason')}: {condition.get('message')}"
    return ""
