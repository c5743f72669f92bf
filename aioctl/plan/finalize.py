"""What a service leaves to be done before it may go, and the finalizer that holds it until then (LIFE-1).

Owned objects go by garbage collection. Explicitly removed are the managed route (first, so that no traffic meets
vanishing pods), the picker's cluster-scoped bindings, and with the last service of a namespace what all of them shared.
The finalizer's removal is planned only when everything before it could be decided.
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.finalizers import finalizers_of, has_finalizer
from aioctl.api.kinds import Kind, Served
from aioctl.api.objects import (
    FieldError,
    Object,
    is_controlled_by,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from aioctl.api.records import changed
from aioctl.plan import groups, monitoring
from aioctl.plan.children import delete
from aioctl.plan.model import Part, Step, Verb, Write, step
from aioctl.plan.observation import Observation, Unanswered, Unknown, need
from aioctl.plan.policy import Policy
from aioctl.plan.scheduler import remove_delegators

_ERROR: Final = "failed to update finalizers: "
_MEMBERS_REVISIT: Final = 5.0
"""Seconds, as KServe has it."""


def add_finalizer(service: Object) -> Write | None:
    """The write that adds our finalizer; None when it is there or the service is being deleted."""
    if has_finalizer(service, names.FINALIZER) or is_deleting(service):
        return None
    present = finalizers_of(service)
    return None if present is None else _finalizers(service, [*present, names.FINALIZER])


def finalize(obs: Observation, service: Object, policy: Policy) -> tuple[Step, ...]:
    """The steps for a service that is being deleted, the finalizer's removal last; none without our finalizer."""
    if not has_finalizer(service, names.FINALIZER):
        return ()
    held = _held_by_others(obs, service)
    if held is not None:
        return (held,)
    namespace, name = namespace_of(service), name_of(service)
    cleanup = (
        step(Part.FINALIZE, lambda: _managed_route(obs, service)),
        step(
            Part.FINALIZE,
            lambda: remove_delegators(obs, namespace, name),
            outer="failed to finalize scheduler service account: ",
        ),
        step(
            Part.FINALIZE,
            lambda: _shared(obs, service, policy),
            outer="failed to cleanup monitoring resources: ",
        ),
    )
    steps = tuple(part for part in cleanup if part.writes or part.error or part.unanswered)
    if any(part.error or part.unanswered for part in steps):
        return steps
    present = finalizers_of(service)
    if present is None:
        return steps  # the others hold it; when there are fewer of them, ours goes
    release = _finalizers(service, [entry for entry in present if entry != names.FINALIZER])
    return (*steps, Step(Part.FINALIZE, writes=(changed(release, releases=True),)))


def _finalizers(service: Object, wanted: list[str]) -> Write:
    metadata = {"finalizers": wanted, "resourceVersion": resource_version_of(service)}
    return Write(
        Verb.PATCH,
        kinds.SERVICE,
        namespace_of(service),
        name_of(service),
        body={"metadata": metadata},
        live=service,
        error=_ERROR,
    )


def _held_by_others(obs: Observation, service: Object) -> Step | None:
    """The step that waits for the other members of a traffic group to take the service out of their routes (GROUP-6).

    They are woken by its deletion and it by their routes; the time is for what nobody tells.
    """
    try:
        member = groups.holding(obs, service)
    except Unanswered as unanswered:
        return Step(Part.FINALIZE, unanswered=str(unanswered))
    except FieldError:
        return None  # a field that cannot be read holds nobody
    if not member:
        return None
    message = f"waiting for member {member} to remove backendRef before deletion"
    return Step(
        Part.FINALIZE, condition=(c.GROUP_READY, "FinalizationPending", message), revisit=_MEMBERS_REVISIT
    )


def _managed_route(obs: Observation, service: Object) -> Iterator[Write]:
    """Best effort: a route that cannot be read or deleted does not hold the service, garbage collection gets it."""
    if obs.served(kinds.HTTP_ROUTE) is Served.NO:
        return
    for name in names.own_routes(name_of(service)):
        read = obs.get(kinds.HTTP_ROUTE, namespace_of(service), name)
        if isinstance(read, Unknown):
            continue
        route = need(read)
        if route is not None and is_controlled_by(route, uid_of(service)) and not is_deleting(route):
            yield changed(delete(kinds.HTTP_ROUTE, route), best_effort=True)


def _shared(obs: Observation, service: Object, policy: Policy) -> Iterator[Write]:
    """The shared monitoring objects, when no other service of the namespace uses them. Stopped ones do not."""
    namespace = namespace_of(service)
    if policy.monitoring_disabled:
        return
    others = obs.others_run(namespace, name_of(service))
    if isinstance(others, Unknown):
        raise Unanswered(others.reason)
    if others:
        return
    yield from _remove_shared(obs, kinds.POD_MONITOR, namespace, monitoring.POD_MONITOR)
    yield from _remove_shared(obs, kinds.SERVICE_MONITOR, namespace, monitoring.SERVICE_MONITOR)
    yield from _remove_shared(obs, kinds.SERVICE_ACCOUNT, namespace, monitoring.ACCOUNT)
    yield from _remove_shared(obs, kinds.SECRET, namespace, monitoring.TOKEN)
    yield from _remove_shared(obs, kinds.CLUSTER_ROLE_BINDING, "", monitoring.binding_name(namespace))


def _remove_shared(obs: Observation, kind: Kind, namespace: str, name: str) -> Iterator[Write]:
    if kind.optional and obs.served(kind) is Served.NO:
        return
    live = need(obs.get(kind, namespace, name))
    if live is None or is_deleting(live):
        return
    if names.has_our_labels(labels_of(live), monitoring.LABELS):
        yield delete(kind, live, quiet=True)
