"""The authentication precondition: no managed route is exposed that nobody can protect (AUTH-1).

A route whose lock no status remembers yet is taken from its gateways first, and deleted once the status has the lock (MIG-2).
AuthPolicy objects are another controller's; here it is only asked whether their kind exists. Where it does not, nothing has failed:
the router part ends there, and goes on when the kind is installed. A discovery that failed is not an answer: then nothing is
deleted, and the reconcile stops before a new route could be made.
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api import conditions, kinds, names
from aioctl.api.defaulting import auth_enabled
from aioctl.api.kinds import Served
from aioctl.api.objects import FieldError, Object, name_of, namespace_of, sequence
from aioctl.api.records import changed
from aioctl.plan.children import onto, remove
from aioctl.plan.lock import with_unrecorded_lock
from aioctl.plan.model import NETWORKING, Context, Part, Step, Verb, Write, step
from aioctl.plan.routing import Mode, mode

OUTER: Final = f"{NETWORKING}failed to ensure gateway preconditions: "
NOT_MET: Final = "GatewayPreconditionNotMet"
INNER: Final = "failed to validate Gateway on OpenShift: "
MISSING: Final = "AuthPolicy CRD is not available, please install Red Hat Connectivity Link"


def is_enabled(ctx: Context) -> bool:
    """True when requests to this service must be authenticated."""
    return auth_enabled(ctx.service) and not ctx.policy.auth_disabled


def precondition(ctx: Context) -> Step | None:
    """None when the way is free; else the step that ends the router part, taking a managed route down where it must."""
    if not is_enabled(ctx) or not _is_managed(ctx):
        return None
    match ctx.obs.served(kinds.AUTH_POLICY):
        case Served.YES:
            return None
        case Served.UNKNOWN:
            return Step(Part.AUTH, OUTER, INNER, unanswered="it is not known whether AuthPolicy is available")
        case Served.NO:
            down = step(Part.AUTH, lambda: _take_down(ctx), outer=OUTER, inner=INNER)
            said = (conditions.HTTP_ROUTES_READY, NOT_MET, f"{INNER}{MISSING}")
            return down if down.unanswered or down.error else changed(down, condition=said)


def _is_managed(ctx: Context) -> bool:
    try:
        return mode(ctx) is Mode.MANAGED
    except FieldError:
        return False  # the validation that follows reads the same fields and names the bad one


def _take_down(ctx: Context) -> Iterator[Write]:
    route = with_unrecorded_lock(ctx)
    writes = remove(ctx, kinds.HTTP_ROUTE, names.route_name(ctx.name)) if route is None else _detached(route)
    for write in writes:
        yield changed(write, error=f"{MISSING}: {write.error}")


def _detached(route: Object) -> Iterator[Write]:
    """The route without a Gateway, as which nothing reaches it; nothing where it has none already."""
    if not sequence(route, "spec", "parentRefs"):
        return
    kind, namespace, name = kinds.HTTP_ROUTE, namespace_of(route), name_of(route)
    spec = {field: value for field, value in route["spec"].items() if field != "parentRefs"}
    yield Write(
        Verb.UPDATE,
        kind,
        namespace,
        name,
        body=onto({"spec": spec}, route),
        live=route,
        event=f"Updated {kind.type_name} {namespace}/{name}",
        error=f"failed to update {kind.type_name} {namespace}/{name}: ",
    )
