"""The status of a service after one reconcile: conditions, addresses, the copy of the lock (COND-4, URL-1).

Everything is concluded from the cluster as it is after our own writes; stored conditions are consulted only where a
part was not reached, and a condition that no part speaks of any more goes (COND-5). So equal facts give an equal status,
in whatever order they came. Parts that ended in an error say so in the condition that belongs to them; parts whose reads
were unknown leave their conditions alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api.conditions import ConditionSet
from aioctl.api.objects import FieldError, Object, generation_of, integer, sequence
from aioctl.golang.equality import equal
from aioctl.plan import migration_facts, presets
from aioctl.plan.memo import laid_over
from aioctl.plan.migration import Decision
from aioctl.plan.model import Held, Outcome, Part, Plan
from aioctl.plan.observation import Observation
from aioctl.plan.policy import Policy
from aioctl.plan.reach import WORKLOAD_PARTS, Progress, mark_failure, progress_of
from aioctl.plan.status_builder import StatusBuilder, advise
from aioctl.plan.workload.pod_form import WORKLOADS_BEHIND, settled_by_another

TOO_EXPENSIVE: Final = "PlanTooExpensive"
"""Reason of PresetsCombined, and of the event: planning the service was ended at a limit of the process that did it."""

_BEFORE_THE_STATUS: Final = (Part.FINALIZER, Part.CA_BUNDLE)
"""Parts whose failure leaves no trace in the status (LIFE-1)."""


def conclude(
    plan: Plan,
    outcome: Outcome,
    obs: Observation,
    policy: Policy,
    now: datetime,
    decision: Decision | None = None,
) -> dict[str, Any]:
    """The new status as a whole; what it does not know of stays as stored. Does not raise for anything in the cluster.

    `obs` may or may not show our own writes already: what the API returned, in `outcome`, is laid over it. `decision` is what
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
        if plan.image_volume is not None:
            advise(made, obs, image_volume=plan.image_volume)
        mark_failure(made, progress, outcome)
    else:
        ctx = replace(plan.context, obs=laid_over(obs, outcome.answers), policy=policy)
        StatusBuilder(ctx, outcome, progress, made, status, decision, held(plan, progress)).build(
            plan.combined
        )
    _name_configs(status, plan, policy)
    _remember_workloads_behind(status, plan, progress)
    status["conditions"] = made.finish(now)
    status["observedGeneration"] = generation_of(plan.service)
    return status


def _name_configs(status: dict[str, Any], plan: Plan, policy: Policy) -> None:
    """The configs that the spec was made of, and the names that the service keeps from now on (PRESET-6)."""
    if plan.applied:
        status["appliedConfigs"] = [dict(config) for config in plan.applied]
    elif plan.applied is not None:
        status.pop("appliedConfigs", None)
    if not isinstance(status.get("annotations"), Mapping | None):
        return
    pins = presets.pins({"status": status}, policy)
    if pins:
        status["annotations"] = {**(status.get("annotations") or {}), **pins}


def held(plan: Plan, progress: Progress) -> tuple[Held, ...] | None:
    """The workloads whose pods keep another form than today's; None when not all were looked at."""
    if plan.context is None or not progress.left(WORKLOAD_PARTS) or progress.ended_in(WORKLOAD_PARTS):
        return None
    return tuple(workload for step in plan.steps for workload in step.held)


def _remember_workloads_behind(status: dict[str, Any], plan: Plan, progress: Progress) -> None:
    """Says that the workloads have not got the generation that is called observed from now on (FORM-1)."""
    kept = status.get("annotations")
    if plan.context is None or not isinstance(kept, Mapping | None):
        return
    done = progress.left(WORKLOAD_PARTS) and not progress.ended_in(WORKLOAD_PARTS)
    behind = not done and bool(stored_status(plan.service)) and not settled_by_another(plan.service)
    others = {key: value for key, value in (kept or {}).items() if key != WORKLOADS_BEHIND}
    annotations = {**others, WORKLOADS_BEHIND: "true"} if behind else others
    if annotations:
        status["annotations"] = annotations
    else:
        status.pop("annotations", None)


def too_expensive(service: Object, message: str, now: datetime) -> dict[str, Any]:
    """The status of a service whose plan was ended because it took too much: as stored, and what is the matter."""
    stored = stored_status(service)
    conditions = stored.get("conditions")
    made = ConditionSet(conditions if isinstance(conditions, list) else (), generation_of(service), 0)
    made.mark_false(c.PRESETS_COMBINED, TOO_EXPENSIVE, message)
    return {**stored, "conditions": made.finish(now), "observedGeneration": generation_of(service)}


def leaving(service: Object, plan: Plan, now: datetime) -> dict[str, Any] | None:
    """The status of a service that is being deleted and waits for others; None of one that does not wait.

    Nothing of it is reconciled any more, so whether it is ready stays as it was last said, though its deletion counts as a new
    generation. What was wrong with the group is no longer its business.
    """
    waiting = plan.steps[-1] if plan.steps else None
    if waiting is None or waiting.condition is None or waiting.error:
        return None
    stored = stored_status(service)
    conditions, generation = stored.get("conditions"), generation_of(service)
    made = ConditionSet(conditions if isinstance(conditions, list) else (), generation, generation)
    made.mark_false(*waiting.condition)
    made.unset(c.GROUP_DEGRADED)
    return {**stored, "conditions": made.finish(now)}


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


def readiness(status: Object) -> str:
    """The status of condition Ready: `True`, `False`, `Unknown`, or empty where there is none."""
    return next(
        (str(entry.get("status", "")) for entry in _entries(status) if entry.get("type") == c.READY), ""
    )


def false_conditions(status: Object) -> list[str]:
    """The types of all conditions that are False but Ready, in the order of the list."""
    return [
        str(entry.get("type", ""))
        for entry in _entries(status)
        if entry.get("status") == c.FALSE and entry.get("type") != c.READY
    ]


def _entries(status: Object) -> list[Object]:
    found = status.get("conditions")
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


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
