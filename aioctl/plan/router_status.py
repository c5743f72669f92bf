"""The router's part of the status: conditions of gateways, routes, pools and the picker, addresses, the migration.

What an earlier reconcile said must not outlive its cause: references, authentication and what was only judged are looked at
anew whenever the router part was reached, also when a part before the judging fails (COND-5).
"""

from collections.abc import Callable, Mapping
from typing import Any

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.conditions import ConditionSet
from aioctl.api.defaulting import is_stopped
from aioctl.api.objects import present
from aioctl.plan import (
    auth,
    gateways,
    migration_facts,
    pool_status,
    references,
    route_readiness,
    urls,
)
from aioctl.plan.availability import mark_availability
from aioctl.plan.gateways import Verdict
from aioctl.plan.migration import Decision
from aioctl.plan.model import Absent, Context, Part, PlanError, Present, Unanswered
from aioctl.plan.reach import FAILURES, Progress
from aioctl.plan.routing import gateway_refs, owns_pools

STOPPED = ("Stopped", "Service is stopped")
CONDITIONS = (c.GATEWAYS_READY, c.HTTP_ROUTES_READY, c.INFERENCE_POOL_READY, c.SCHEDULER_WORKLOAD_READY)


def conclude_router(
    ctx: Context,
    made: ConditionSet,
    status: dict[str, Any],
    progress: Progress,
    decision: Decision | None,
) -> None:
    if is_stopped(ctx.service):
        if progress.router_left:
            _stopped(made, status)
        return
    if progress.router_left:
        _clear_stopped(made)
    if progress.router_left or Part.VALIDATION in progress.done:
        _clear_refuted(ctx, made, auth_passed=not progress.ended_in((Part.AUTH,)))
    if Part.SCHEDULER in progress.done or _only_unavailable(made, progress):
        _scheduler(ctx, made)
    if Part.ROUTES in progress.done or (progress.router_left and made.status_of(c.POOL_MIGRATION)):
        _migration(made, decision or migration_facts.migration_of(ctx))
    judged = set()
    if Part.ROUTES in progress.done:
        judged = {c.INFERENCE_POOL_READY, c.GATEWAYS_READY}
        found = _addresses(ctx, made, status)
        if found and not (progress.failed and progress.ended_in((Part.DESTINATION_RULES,))):
            judged.add(c.HTTP_ROUTES_READY)
    for type_, (reasons, evaluate) in _EVALUATIONS.items():
        # A part that fails now must not keep alive what an earlier evaluation said and is no longer so.
        outlived = progress.router_left and made.reason_of(type_)[0] in reasons
        if type_ in judged or outlived:
            _mark(made, type_, evaluate(ctx))


_EVALUATIONS: Mapping[str, tuple[tuple[str, ...], Callable[[Context], Verdict | None]]] = {
    c.INFERENCE_POOL_READY: (("InferencePoolNotReady", "InferencePoolFetchError"), pool_status.evaluate),
    c.GATEWAYS_READY: (("GatewaysNotReady", "GatewayFetchError"), gateways.evaluate),
    c.HTTP_ROUTES_READY: (("HTTPRoutesNotReady", "HTTPRouteFetchError"), route_readiness.evaluate),
}
"""What judges each condition, and the reasons that come from judging and not from a write that failed."""


def _stopped(made: ConditionSet, status: dict[str, Any]) -> None:
    for type_ in CONDITIONS:
        made.mark_false(type_, *STOPPED)
    made.unset(c.POOL_MIGRATION)
    for field in ("url", "address", "addresses"):
        status.pop(field, None)


def _clear_stopped(made: ConditionSet) -> None:
    """The service was resumed: what is not judged anew this time must not go on saying that it is stopped."""
    for type_ in CONDITIONS:
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


def _only_unavailable(made: ConditionSet, progress: Progress) -> bool:
    """The picker was not available when it was last looked at; a failed write of it stands until it is tried again."""
    _, failed_write, _ = FAILURES[Part.SCHEDULER]
    stored = made.status_of(c.SCHEDULER_WORKLOAD_READY), made.reason_of(c.SCHEDULER_WORKLOAD_READY)[0]
    return progress.router_left and stored[0] == c.FALSE and stored[1] != failed_write


def _scheduler(ctx: Context, made: ConditionSet) -> None:
    """Availability of the endpoint picker; the condition goes where there is none (EPP-4)."""
    wanted = owns_pools(ctx) and present({"spec": ctx.spec}, "spec", "router", "scheduler", "template")
    name = names.child(ctx.name, "-kserve-router-scheduler")
    read = ctx.obs.get(kinds.DEPLOYMENT, ctx.namespace, name) if wanted else Absent()
    if isinstance(read, Present):
        mark_availability(made, c.SCHEDULER_WORKLOAD_READY, read.obj)
    elif isinstance(read, Absent):
        made.unset(c.SCHEDULER_WORKLOAD_READY)


def _migration(made: ConditionSet, decision: Decision) -> None:
    """Our own condition, there only while somebody has to act."""
    if decision.problem:
        made.mark_false(c.POOL_MIGRATION, decision.reason, decision.problem)
    else:
        made.unset(c.POOL_MIGRATION)


def _addresses(ctx: Context, made: ConditionSet, status: dict[str, Any]) -> bool:
    """Replaces url and addresses; False (and the condition says why) when discovery failed."""
    try:
        found = urls.discover(ctx)
    except Unanswered:
        return True
    except PlanError as error:
        type_, reason, words = FAILURES[Part.ROUTES]
        made.mark_false(type_, reason, f"{words}{error}")
        return False
    fields = {"url": found.url, "addresses": [{"url": url} for url in found.all]}
    for field, value in fields.items():
        if value:
            status[field] = value
        else:
            status.pop(field, None)
    return True
