"""Do the gateways and routes that a service names exist? Asked before anything of the router is written (REF-1).

All problems of one check are collected; the first check with problems ends it. The effective parentRefs are validated,
with gateway refs already put in (Decision). Only absence is a problem: what cannot be read makes the step wait.

A condition that an earlier validation set must not outlive its cause because another check fails now: `standing` asks
the checks of one condition by themselves.
"""

from collections.abc import Callable, Iterator
from typing import Final

from aioctl.api import conditions, kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import FieldError, Object, mapping
from aioctl.plan.gateways import referenced_routes, route_key
from aioctl.plan.model import NETWORKING, Context, Part, Step
from aioctl.plan.observation import Unanswered, need
from aioctl.plan.routing import (
    Mode,
    gateway_refs,
    gateways_of,
    mode,
    parent_gateways,
    pool_names,
    route_refs,
    route_spec,
)

OUTER: Final = NETWORKING

_Check = Callable[[Context], Iterator[str]]


REFS_INVALID: Final = "RefsInvalid"


def validate(ctx: Context) -> Step:
    """The step that fails the reconcile when a reference leads nowhere; it writes nothing."""
    if ctx.stopped:
        return Step(Part.VALIDATION, OUTER)
    for check, condition, prefix, reading in _CHECKS:
        try:
            problems = list(check(ctx))
        except Unanswered as unanswered:
            return Step(Part.VALIDATION, OUTER, unanswered=f"{reading} validation failed: {unanswered}")
        except FieldError as error:
            problems = [str(error)]
        if problems:
            text = prefix + "; ".join(problems)
            return Step(Part.VALIDATION, OUTER, error=text, condition=(condition, REFS_INVALID, text))
    return Step(Part.VALIDATION, OUTER)


def standing(ctx: Context, condition: str) -> str | None:
    """What the checks that set this condition find now: a text, empty when all is well, None when that is not known."""
    known = True
    for check, type_, prefix, _ in _CHECKS:
        if type_ != condition:
            continue
        try:
            problems = list(check(ctx))
        except Unanswered:
            known = False
            continue
        except FieldError as error:
            problems = [str(error)]
        if problems:
            return prefix + "; ".join(problems)
    return "" if known else None


def _exists(ctx: Context, kind: kinds.Kind, key: ObjectKey) -> bool:
    return need(ctx.obs.get(kind, key.namespace, key.name)) is not None


def _gateways(ctx: Context) -> Iterator[str]:
    for key in gateway_refs(ctx):
        if not _exists(ctx, kinds.GATEWAY, key):
            yield f"Gateway {key} does not exist"


def _routes(ctx: Context) -> Iterator[str]:
    for key in route_refs(ctx):
        if not _exists(ctx, kinds.HTTP_ROUTE, key):
            yield f"HTTPRoute {key} does not exist"


def _managed_parents(ctx: Context) -> Iterator[str]:
    if mode(ctx) is not Mode.MANAGED:
        return
    pool_names(ctx.name, ctx.spec)  # reads `pool.ref`, so that a value of the wrong type is named here
    for key in parent_gateways(route_spec(ctx), ctx.namespace):
        if not _exists(ctx, kinds.GATEWAY, key):
            yield f"Managed HTTPRoute references non-existent Gateway {key}"


def _referenced_parents(ctx: Context) -> Iterator[str]:
    for route in referenced_routes(ctx):
        yield from _route_parents(ctx, route)


def _route_parents(ctx: Context, route: Object) -> Iterator[str]:
    at = route_key(route)
    if not mapping(route, "spec").get("parentRefs"):
        yield f"HTTPRoute {at} has no parent gateway references"
    for key in gateways_of(route):
        if not _exists(ctx, kinds.GATEWAY, key):
            yield f"HTTPRoute {at} references non-existent Gateway {key}"


_CHECKS: Final[tuple[tuple[_Check, str, str, str], ...]] = (
    (_gateways, conditions.GATEWAYS_READY, "", "gateway reference"),
    (_routes, conditions.HTTP_ROUTES_READY, "", "HTTPRoute reference"),
    (_managed_parents, conditions.HTTP_ROUTES_READY, "", "managed HTTPRoute spec"),
    (
        _referenced_parents,
        conditions.HTTP_ROUTES_READY,
        "HTTPRoute target validation failed: ",
        "HTTPRoute reference",
    ),
)
