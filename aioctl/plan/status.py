"""The status of a service after one reconcile: conditions, addresses, the copy of the lock (COND-4, URL-1).

Everything is concluded from the cluster as it is after our own writes; stored conditions are consulted only where a
part was not reached, and a condition that no part speaks of any more goes (COND-5). So equal facts give an equal status,
in whatever order they came. Parts that ended in an error say so in the condition that belongs to them; parts whose reads
were unknown leave their conditions alone.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.conditions import ConditionSet
from aioctl.api.defaulting import external_pool_name, is_stopped
from aioctl.api.kinds import Kind
from aioctl.api.objects import FieldError, Object, generation_of, integer, mapping, present, sequence
from aioctl.golang.equality import equal
from aioctl.plan import (
    migration_facts,
)
from aioctl.plan.availability import mark_availability
from aioctl.plan.children import is_ours
from aioctl.plan.migration import Decision
from aioctl.plan.migration_facts import LOCKED_VALUE, has_lock
from aioctl.plan.model import (
    Absent,
    Context,
    Observation,
    Outcome,
    Overlay,
    Part,
    Plan,
    Policy,
    Present,
)
from aioctl.plan.reach import FAILURES, WORKLOAD_PARTS, Progress, progress_of
from aioctl.plan.router_status import CONDITIONS as ROUTER_CONDITIONS
from aioctl.plan.router_status import STOPPED, conclude_router
from aioctl.plan.routing import Mode, mode

TOO_EXPENSIVE = "PlanTooExpensive"
"""Reason of PresetsCombined, and of the event: planning the service was ended at a limit of the process that did it."""

_BEFORE_THE_STATUS = (Part.FINALIZER, Part.CA_BUNDLE)
"""Parts whose failure leaves no trace in the status (LIFE-1)."""
_WORKLOADS = (
    c.MAIN_WORKLOAD_READY,
    c.WORKER_WORKLOAD_READY,
    c.PREFILL_WORKLOAD_READY,
    c.PREFILL_WORKER_WORKLOAD_READY,
)


def conclude(
    plan: Plan,
    outcome: Outcome,
    obs: Observation,
    policy: Policy,
    now: datetime,
    decision: Decision | None = None,
) -> dict[str, Any]:
    """The new status as a whole; what it does not know of stays as stored. Does not raise for anything in the cluster.

    `obs` may or may not show our own writes already: the answers in `outcome` are laid over it. `decision` is what
    `migration_of` says of the same; without it that is found here.
    """
    stored = stored_status(plan.service)
    progress = progress_of(plan, outcome)
    if progress.ended_in(_BEFORE_THE_STATUS) or (plan.context is None and not _says_something(progress)):
        return dict(stored)
    conditions, observed = stored.get("conditions"), stored.get("observedGeneration")
    made = ConditionSet(
        conditions if isinstance(conditions, list) else (),
        generation_of(plan.service),
        observed if isinstance(observed, int) else 0,
    )
    status = dict(stored)
    if plan.context is None:
        _mark_failure(made, progress, outcome)
    else:
        ctx = replace(plan.context, obs=Overlay(obs, outcome.answers), policy=policy)
        _conclude_parts(plan, ctx, made, status, progress, outcome, decision)
    status["conditions"] = made.finish(now)
    status["observedGeneration"] = generation_of(plan.service)
    return status


def too_expensive(service: Object, message: str, now: datetime) -> dict[str, Any]:
    """The status of a service whose plan was ended because it took too much: as stored, and what is the matter."""
    stored = stored_status(service)
    conditions = stored.get("conditions")
    made = ConditionSet(conditions if isinstance(conditions, list) else (), generation_of(service), 0)
    made.mark_false(c.PRESETS_COMBINED, TOO_EXPENSIVE, message)
    return {**stored, "conditions": made.finish(now), "observedGeneration": generation_of(service)}


def says_too_expensive(service: Object) -> bool:
    """True when the stored status is of that kind, whoever wrote it."""
    conditions = stored_status(service).get("conditions")
    return isinstance(conditions, list) and any(
        isinstance(entry, Mapping)
        and entry.get("type") == c.PRESETS_COMBINED
        and entry.get("reason") == TOO_EXPENSIVE
        for entry in conditions
    )


def stored_status(service: Object) -> Object:
    """The status as it is stored, empty where that is no object."""
    found = service.get("status")
    return found if isinstance(found, Mapping) else {}


def unreadable(service: Object) -> tuple[str, ...]:
    """What of the stored status has the wrong type, field and all; `conclude` puts ours in its place."""
    found: list[str] = []
    for getter, field in ((sequence, "conditions"), (integer, "observedGeneration")):
        try:
            getter(service, "status", field)
        except FieldError as error:
            found.append(str(error))
    return tuple(dict.fromkeys(found))


def status_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Semantic equality but for the transition times."""
    return equal(_without_times(one), _without_times(other))


def migration_of(plan: Plan, obs: Observation) -> Decision | None:
    """Where the migration of the service stands; None when its spec could not be combined or read."""
    if plan.context is None:
        return None
    try:
        return migration_facts.migration_of(replace(plan.context, obs=obs))
    except FieldError:
        return None


def _without_times(status: Mapping[str, Any]) -> Mapping[str, Any]:
    conditions = status.get("conditions")
    if not isinstance(conditions, list):
        return status
    entries = [
        {key: value for key, value in entry.items() if key != "lastTransitionTime"}
        for entry in conditions
        if isinstance(entry, Mapping)
    ]
    return {**status, "conditions": entries}


def _says_something(progress: Progress) -> bool:
    """Without a combined spec only a failed configuration or combination shows in the status (12.2)."""
    return progress.failed and progress.ended_in((Part.CONFIG, Part.COMBINE))


def _mark_failure(made: ConditionSet, progress: Progress, outcome: Outcome) -> None:
    """The condition of the step that failed, if it is one that has a condition."""
    step = progress.stopped_at
    if step is None or not progress.failed:
        return
    if step.condition is not None and step.error:
        made.mark_false(*step.condition)
    elif step.part in FAILURES:
        type_, reason, words = FAILURES[step.part]
        made.mark_false(type_, reason, f"{words}{step.inner}{outcome.error}")


def _conclude_parts(
    plan: Plan,
    ctx: Context,
    made: ConditionSet,
    status: dict[str, Any],
    progress: Progress,
    outcome: Outcome,
    decision: Decision | None,
) -> None:
    if plan.combined:
        made.mark_false(c.PRESETS_COMBINED, STOPPED[0], f"{STOPPED[1]} with warning: {plan.combined}")
    elif plan.combined is not None:
        made.mark_true(c.PRESETS_COMBINED)
    # A field of the wrong type is named by the step that failed on it; here it only means that there is nothing to see.
    with suppress(FieldError):
        _workloads(ctx, made, progress)
    with suppress(FieldError):
        conclude_router(ctx, made, status, progress, decision)
    with suppress(FieldError):
        _copy_lock(ctx, status)
    _mark_failure(made, progress, outcome)
    if progress.left(WORKLOAD_PARTS):
        made.roll_up(c.WORKLOADS_READY, _WORKLOADS)
    if progress.router_left:
        made.roll_up(c.ROUTER_READY, ROUTER_CONDITIONS)


def _workloads(ctx: Context, made: ConditionSet, progress: Progress) -> None:
    """Availability of what the finished parts made; a part that fails later overwrites it."""
    if not progress.left(WORKLOAD_PARTS):
        return
    made.unset(c.WORKER_WORKLOAD_READY)
    made.unset(c.PREFILL_WORKER_WORKLOAD_READY)
    root = {"spec": ctx.spec}
    if is_stopped(ctx.service):
        made.mark_false(c.MAIN_WORKLOAD_READY, *STOPPED)
        if present(root, "spec", "prefill"):
            made.mark_false(c.PREFILL_WORKLOAD_READY, *STOPPED)
        else:
            made.unset(c.PREFILL_WORKLOAD_READY)
        return
    if present(root, "spec", "worker"):
        where = (Part.MULTI_NODE, kinds.LEADER_WORKER_SET, "-kserve-mn")
    else:
        where = (Part.SINGLE_NODE, kinds.DEPLOYMENT, "-kserve")
    _copy_availability(ctx, made, progress, c.MAIN_WORKLOAD_READY, *where)
    if not present(root, "spec", "prefill"):
        made.unset(c.PREFILL_WORKLOAD_READY)
        return
    if present(root, "spec", "prefill", "worker"):
        where = (Part.MULTI_NODE, kinds.LEADER_WORKER_SET, "-kserve-mn-prefill")
    else:
        where = (Part.SINGLE_NODE, kinds.DEPLOYMENT, "-kserve-prefill")
    _copy_availability(ctx, made, progress, c.PREFILL_WORKLOAD_READY, *where)


def _copy_availability(
    ctx: Context,
    made: ConditionSet,
    progress: Progress,
    type_: str,
    part: Part,
    kind: Kind,
    suffix: str,
) -> None:
    # What is not reached, as another workload fails, must not go on being called unavailable when it no longer is.
    if part not in progress.done and made.status_of(type_) != c.FALSE:
        return
    read = ctx.obs.get(kind, ctx.namespace, names.safe(ctx.name, suffix))
    if isinstance(read, Present):
        mark_availability(made, type_, read.obj)
    elif isinstance(read, Absent):
        mark_availability(made, type_, None)


def _copy_lock(ctx: Context, status: dict[str, Any]) -> None:
    """Keeps a second copy of the lock, so that a route made anew does not start over (4.5)."""
    kept = dict(mapping(status, "annotations"))
    if external_pool_name(ctx.spec):
        kept.pop(names.MIGRATED, None)
    elif mode(ctx) is Mode.MANAGED:
        read = ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
        if isinstance(read, Present) and is_ours(ctx, read.obj) and has_lock(read.obj):
            kept[names.MIGRATED] = LOCKED_VALUE
    if kept:
        status["annotations"] = kept
    else:
        status.pop("annotations", None)
