"""HTTPRoutesReady: are the routes of a service accepted, and protected where they must be? (spec 50 section 7)

ResolvedRefs is not asked for: with references to both pool generations a gateway that knows only one reports it False
although it serves. Reads only; routes are looked at in the order of the refs, the managed one last.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aioctl.api.objects import Object, generation_of, mapping, sequence, text
from aioctl.plan import auth
from aioctl.plan.gateways import READY, Verdict, managed_route, referenced_routes, route_key
from aioctl.plan.model import Context, Observation, Unanswered
from aioctl.plan.readiness import Condition, describe, find_condition, holds
from aioctl.plan.routing import Mode, mode

POLICY_CONTROLLER = "kuadrant.io/policy-controller"
POLICY_CONDITION = "kuadrant.io/AuthPolicyAffected"

_NOT_ENFORCED: Condition = {
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
    """Why a route is not ready; without a condition its whole status is shown."""

    condition: Condition | None = None


def evaluate(ctx: Context, obs: Observation) -> Verdict:
    """The verdict over all routes of the service; nothing to look at counts as ready."""
    if mode(ctx) is Mode.NONE:
        return READY
    try:
        routes = list(referenced_routes(ctx, obs))
    except Unanswered as error:
        return Verdict(
            ready=False,
            reason="HTTPRouteFetchError",
            message=f"Failed to fetch referenced HTTPRoutes: {error}",
        )
    try:
        managed = managed_route(ctx, obs)
    except Unanswered:
        managed = None  # the rule of section 7: an unreadable managed route is left out
    if managed is not None:
        routes.append(managed)
    entries = [_entry(route, finding) for route in routes if (finding := _finding(ctx, route)) is not None]
    if not entries:
        return READY
    return Verdict(
        ready=False,
        reason="HTTPRoutesNotReady",
        message=f"The following HTTPRoutes are not ready: [{' '.join(entries)}]",
    )


def _finding(ctx: Context, route: Object) -> _Finding | None:
    if not sequence(route, "spec", "parentRefs"):
        return _Finding()
    must_be_enforced = auth.is_enabled(ctx)
    enforced = accepted = False
    for parent in sequence(route, "status", "parents"):
        conditions = sequence(parent, "conditions")
        if must_be_enforced and text(parent, "controllerName") == POLICY_CONTROLLER:
            affected = find_condition(conditions, POLICY_CONDITION)
            if affected is not None and affected.get("status") != "True":
                return _Finding(affected)
            enforced = enforced or affected is not None
            continue
        condition = find_condition(conditions, "Accepted")
        if condition is not None and not holds(condition, generation_of(route)):
            return _Finding(condition)
        accepted = accepted or condition is not None
    if must_be_enforced and not enforced:
        return _Finding(_NOT_ENFORCED)
    return None if accepted else _Finding()


def _entry(route: Object, finding: _Finding) -> str:
    shown = (
        describe(finding.condition) if finding.condition is not None else _compact(mapping(route, "status"))
    )
    return f"{route_key(route)}: {shown}"


def _compact(status: Mapping[str, Any]) -> str:
    return json.dumps(status, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
