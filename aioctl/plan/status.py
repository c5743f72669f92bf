"""The status of a service after one reconcile: conditions, addresses, the copy of the lock (COND-4, URL-1).

Everything is concluded from the cluster as it is after our own writes; stored conditions are consulted only where a
part was not reached, and a condition that no part speaks of any more goes (COND-5). So equal facts give an equal status, in whatever order they came. Parts that ended in an error say
so in the condition that belongs to them; parts whose reads were unknown leave their conditions alone.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.conditions import ConditionSet
from aioctl.api.defaulting import external_pool_name, is_stopped
from aioctl.api.equality import equal
from aioctl.api.kinds import Kind
from aioctl.api.objects import FieldError, Object, generation_of, integer, mapping, present, sequence
from aioctl.plan import (
    auth,
    gateways,
    migration_facts,
    pool_status,
    references,
    route_readiness,
    urls,
)
from aioctl.plan.availability import availability
from aioctl.plan.children import is_ours
from aioctl.plan.gateways import Verdict
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
    PlanError,
    Policy,
    Present,
    Step,
    Unanswered,
)
from aioctl.plan.routing import Mode, gateway_refs, mode, owns_pools

TOO_EXPENSIVE = "PlanTooExpensive"
"""Reason of PresetsCombined, and of the event: planning the service was ended at a limit of the process that did it."""
STOPPED = ("Stopped", "Service is stopped")

_BEFORE_THE_STATUS = (Part.FINALIZER, Part.CA_BUNDLE)
"""Parts whose failure leaves no trace in the status (LIFE-1)."""
_WORKLOAD_PARTS = (Part.CERTIFICATE, Part.MULTI_NODE, Part.SINGLE_NODE, Part.WORKLOAD_SERVICE)
_ROUTER_PARTS = (
    Part.AUTH,
    Part.VALIDATION,
    Part.SCHEDULER,
    Part.ROUTES,
    Part.DESTINATION_RULES,
    Part.EVALUATION,
)
_WORKLOADS = (
    c.MAIN_WORKLOAD_READY,
    c.WORKER_WORKLOAD_READY,
    c.PREFILL_WORKLOAD_READY,
    c.PREFILL_WORKER_WORKLOAD_READY,
)
_ROUTER = (c.GATEWAYS_READY, c.HTTP_ROUTES_READY, c.INFERENCE_POOL_READY, c.SCHEDULER_WORKLOAD_READY)

_FAILURES: Mapping[Part, tuple[str, str, str]] = {
    Part.COMBINE: (c.PRESETS_COMBINED, "CombineBaseError", ""),
    Part.CERTIFICATE: (c.MAIN_WORKLOAD_READY, "ReconcileCertsError", ""),
    Part.MULTI_NODE: (c.MAIN_WORKLOAD_READY, "ReconcileMultiNodeWorkloadError", ""),
    Part.SINGLE_NODE: (c.MAIN_WORKLOAD_READY, "ReconcileSingleNodeWorkloadError", ""),
    Part.WORKLOAD_SERVICE: (c.MAIN_WORKLOAD_READY, "ReconcileWorkloadServiceError", ""),
    Part.AUTH: (c.HTTP_ROUTES_READY, "HTTPRouteReconcileError", ""),
    Part.SCHEDULER: (
        c.SCHEDULER_WORKLOAD_READY,
        "SchedulerReconcileError",
        "Failed to reconcile scheduler: ",
    ),
    Part.ROUTES: (c.HTTP_ROUTES_READY, "HTTPRouteReconcileError", "Failed to reconcile HTTPRoute: "),
    Part.DESTINATION_RULES: (
        c.HTTP_ROUTES_READY,
        "IstioDestinationRuleReconcileError",
        "Failed to reconcile DestinationRule: ",
    ),
}
"""Condition, reason and the words before the error, by the part that failed (COND-4, COND-3)."""


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far the plan came. `stopped_at` is the step that failed, was left for want of an answer, or met a conflict."""

    done: frozenset[Part]
    stopped_at: Step | None
    failed: bool

    def ended_in(self, parts: tuple[Part, ...]) -> bool:
        return self.stopped_at is not None and self.stopped_at.part in parts

    def left(self, parts: tuple[Part, ...]) -> bool:
        """True when these parts were begun and came to an end, well or not."""
        if self.ended_in(parts):
            return self.failed
        return any(part in self.done for part in parts)

    @property
    def router_left(self) -> bool:
        """Once the routes are written there is enough to judge, also if a later part waits for an answer."""
        return self.left(_ROUTER_PARTS) or Part.ROUTES in self.done


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
    progress = _progress(plan, outcome)
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
        ctx = replace(plan.context, policy=policy)
        _conclude_parts(ctx, Overlay(obs, outcome.answers), made, status, progress, outcome, decision)
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
        return migration_facts.migration_of(plan.context, obs)
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


def _progress(plan: Plan, outcome: Outcome) -> _Progress:
    done: list[Part] = []
    for step in plan.steps:
        if step is outcome.failed or step == outcome.failed:
            return _Progress(frozenset(done) - {step.part}, step, failed=True)
        if step.unanswered or step is outcome.blocked:
            return _Progress(frozenset(done) - {step.part}, step, failed=False)
        done.append(step.part)
    return _Progress(frozenset(done), outcome.failed, failed=outcome.failed is not None)


def _says_something(progress: _Progress) -> bool:
    """Without a combined spec only a failed configuration or combination shows in the status (12.2)."""
    return progress.failed and progress.ended_in((Part.CONFIG, Part.COMBINE))


def _mark_failure(made: ConditionSet, progress: _Progress, outcome: Outcome) -> None:
    """The condition of the step that failed, if it is one that has a condition."""
    step = progress.stopped_at
    if step is None or not progress.failed:
        return
    if step.condition is not None and step.error:
        made.mark_false(*step.condition)
    elif step.part in _FAILURES:
        type_, reason, words = _FAILURES[step.part]
        made.mark_false(type_, reason, f"{words}{step.inner}{outcome.error}")


def _conclude_parts(
    ctx: Context,
    obs: Observation,
    made: ConditionSet,
    status: dict[str, Any],
    progress: _Progress,
    outcome: Outcome,
    decision: Decision | None,
) -> None:
    made.mark_true(c.PRESETS_COMBINED)
    # A field of the wrong type is named by the step that failed on it; here it only means that there is nothing to see.
    with suppress(FieldError):
        _workloads(ctx, obs, made, progress)
    with suppress(FieldError):
        _router(ctx, obs, made, status, progress, decision)
    with suppress(FieldError):
        _copy_lock(ctx, obs, status)
    _mark_failure(made, progress, outcome)
    if progress.left(_WORKLOAD_PARTS):
        made.roll_up(c.WORKLOADS_READY, _WORKLOADS)
    if progress.router_left:
        made.roll_up(c.ROUTER_READY, _ROUTER)


def _workloads(ctx: Context, obs: Observation, made: ConditionSet, progress: _Progress) -> None:
    """Availability of what the finished parts made; a part that fails later overwrites it."""
    if not progress.left(_WORKLOAD_PARTS):
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
    _copy_availability(ctx, obs, made, progress, c.MAIN_WORKLOAD_READY, *where)
    if not present(root, "spec", "prefill"):
        made.unset(c.PREFILL_WORKLOAD_READY)
        return
    if present(root, "spec", "prefill", "worker"):
        where = (Part.MULTI_NODE, kinds.LEADER_WORKER_SET, "-kserve-mn-prefill")
    else:
        where = (Part.SINGLE_NODE, kinds.DEPLOYMENT, "-kserve-prefill")
    _copy_availability(ctx, obs, made, progress, c.PREFILL_WORKLOAD_READY, *where)


def _copy_availability(
    ctx: Context,
    obs: Observation,
    made: ConditionSet,
    progress: _Progress,
    type_: str,
    part: Part,
    kind: Kind,
    suffix: str,
) -> None:
    if part not in progress.done:
        return
    read = obs.get(kind, ctx.namespace, names.safe(ctx.name, suffix))
    if isinstance(read, Present):
        _mark_availability(made, type_, *availability(read.obj))
    elif isinstance(read, Absent):
        _mark_availability(made, type_, *availability(None))


def _mark_availability(made: ConditionSet, type_: str, status: str, reason: str, message: str) -> None:
    if status == c.TRUE:
        made.mark_true(type_)
    else:
        made.mark_false(type_, reason, message)


def _router(
    ctx: Context,
    obs: Observation,
    made: ConditionSet,
    status: dict[str, Any],
    progress: _Progress,
    decision: Decision | None,
) -> None:
    if is_stopped(ctx.service):
        if progress.router_left:
            _stopped(made, status)
        return
    if progress.router_left:
        _clear_stopped(made)
    if progress.router_left or Part.VALIDATION in progress.done:
        _clear_refuted(replace(ctx, obs=obs), made, auth_passed=not progress.ended_in((Part.AUTH,)))
    if Part.SCHEDULER in progress.done:
        _scheduler(ctx, obs, made)
    judged = set()
    if Part.ROUTES in progress.done:
        _migration(made, decision or migration_facts.migration_of(ctx, obs))
        judged = {c.INFERENCE_POOL_READY, c.GATEWAYS_READY}
        found = _addresses(ctx, obs, made, status)
        if found and not (progress.failed and progress.ended_in((Part.DESTINATION_RULES,))):
            judged.add(c.HTTP_ROUTES_READY)
    for type_, (reasons, evaluate) in _EVALUATIONS.items():
        # A part that fails now must not keep alive what an earlier evaluation said and is no longer so.
        outlived = progress.router_left and made.reason_of(type_)[0] in reasons
        if type_ in judged or outlived:
            _mark(made, type_, evaluate(ctx, obs))


_EVALUATIONS: Mapping[str, tuple[tuple[str, ...], Callable[[Context, Observation], Verdict | None]]] = {
    c.INFERENCE_POOL_READY: (("InferencePoolNotReady", "InferencePoolFetchError"), pool_status.evaluate),
    c.GATEWAYS_READY: (("GatewaysNotReady", "GatewayFetchError"), gateways.evaluate),
    c.HTTP_ROUTES_READY: (("HTTPRoutesNotReady", "HTTPRouteFetchError"), route_readiness.evaluate),
}
"""What judges each condition, and the reasons that come from judging and not from a write that failed."""


def _stopped(made: ConditionSet, status: dict[str, Any]) -> None:
    for type_ in _ROUTER:
        made.mark_false(type_, *STOPPED)
    made.unset(c.POOL_MIGRATION)
    for field in ("url", "address", "addresses"):
        status.pop(field, None)


def _clear_stopped(made: ConditionSet) -> None:
    """The service was resumed: what is not judged anew this time must not go on saying that it is stopped."""
    for type_ in _ROUTER:
        if made.reason_of(type_) == STOPPED:
            made.unset(type_)


def _clear_refuted(ctx: Context, made: ConditionSet, *, auth_passed: bool) -> None:
    """What was said of the references or of authentication and is no longer so goes, whatever fails now."""
    for type_ in (c.GATEWAYS_READY, c.HTTP_ROUTES_READY):
        reason, message = made.reason_of(type_)
        if reason == references.REFS_INVALID:
            problems = references.standing(ctx, type_)
            if problems:
                made.mark_false(type_, reason, problems)
            elif problems is not None:
                made.unset(type_)
        elif auth_passed and message == f"{auth.INNER}{auth.MISSING}":
            made.unset(type_)
    if not gateway_refs(ctx):
        made.unset(c.GATEWAYS_READY)


def _mark(made: ConditionSet, type_: str, verdict: Verdict | None) -> None:
    if verdict is None:
        made.unset(type_)
    elif verdict.ready:
        made.mark_true(type_)
    else:
        made.mark_false(type_, verdict.reason, verdict.message)


def _scheduler(ctx: Context, obs: Observation, made: ConditionSet) -> None:
    """Availability of the endpoint picker; the condition goes where there is none (EPP-4)."""
    wanted = owns_pools(ctx) and present({"spec": ctx.spec}, "spec", "router", "scheduler", "template")
    name = names.child(ctx.name, "-kserve-router-scheduler")
    read = obs.get(kinds.DEPLOYMENT, ctx.namespace, name) if wanted else Absent()
    if isinstance(read, Present):
        _mark_availability(made, c.SCHEDULER_WORKLOAD_READY, *availability(read.obj))
    elif isinstance(read, Absent):
        made.unset(c.SCHEDULER_WORKLOAD_READY)


def _migration(made: ConditionSet, decision: Decision) -> None:
    """Our own condition, there only while somebody has to act."""
    if decision.problem:
        made.mark_false(c.POOL_MIGRATION, decision.reason, decision.problem)
    else:
        made.unset(c.POOL_MIGRATION)


def _addresses(ctx: Context, obs: Observation, made: ConditionSet, status: dict[str, Any]) -> bool:
    """Replaces url and addresses; False (and the condition says why) when discovery failed."""
    try:
        found = urls.discover(ctx, obs)
    except Unanswered:
        return True
    except PlanError as error:
        type_, reason, words = _FAILURES[Part.ROUTES]
        made.mark_false(type_, reason, f"{words}{error}")
        return False
    fields = {"url": found.url, "addresses": [{"url": url} for url in found.all]}
    for field, value in fields.items():
        if value:
            status[field] = value
        else:
            status.pop(field, None)
    return True


def _copy_lock(ctx: Context, obs: Observation, status: dict[str, Any]) -> None:
    """Keeps a second copy of the lock, so that a route made anew does not start over (4.5)."""
    kept = dict(mapping(status, "annotations"))
    if external_pool_name(ctx.spec):
        kept.pop(names.MIGRATED, None)
    elif mode(ctx) is Mode.MANAGED:
        read = obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
        if isinstance(read, Present) and is_ours(ctx, read.obj) and has_lock(read.obj):
            kept[names.MIGRATED] = LOCKED_VALUE
    if kept:
        status["annotations"] = kept
    else:
        status.pop("annotations", None)
