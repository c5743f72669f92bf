"""InferencePoolReady: is either generation of the service's pool ready for the gateways of the service? (COND-4, ROUTE-5)

Gateways are those of its routes and of `router.gateway.refs`; what others said of the pool, or said before they were
retired, counts neither for nor against it. Without any gateway every entry counts. Whether traffic may move is a stricter
question that `plan/migration.py` answers.
"""

from contextlib import suppress

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, is_stopped
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, text
from aioctl.plan import backends, gateways, scheduler
from aioctl.plan.gateways import READY, Verdict
from aioctl.plan.model import (
    NETWORKING,
    Absent,
    Context,
    Observation,
    Part,
    Present,
    Read,
    Served,
    Step,
    Unanswered,
    Unknown,
)
from aioctl.plan.readiness import v1_ready, v1alpha2_ready
from aioctl.plan.routing import (
    Mode,
    gateway_refs,
    gateways_of,
    has_scheduler,
    mode,
    owns_pools,
    parent_gateways,
    route_spec,
)

OUTER = f"{NETWORKING}failed to evaluate Inference Pool conditions: "

_PICKER = ("spec", "router", "scheduler", "pool", "spec", "endpointPickerRef")
_FETCH_ERROR = "InferencePoolFetchError"


def check(ctx: Context) -> Step | None:
    """The step that has the reconcile repeated while it cannot be told whether the pool is ready."""
    if is_stopped(ctx.service):
        return None
    verdict = evaluate(ctx)
    if verdict.reason != _FETCH_ERROR:
        return None
    return Step(Part.EVALUATION, OUTER, unanswered=verdict.message)


def evaluate(ctx: Context) -> Verdict:
    """The verdict; without a scheduler there is no pool to wait for."""
    if not has_scheduler(ctx.spec):
        return READY
    nowhere = _picker_nowhere(ctx)
    if nowhere:
        return Verdict(ready=False, reason="InferencePoolNotReady", message=nowhere)
    key = ObjectKey(ctx.namespace, effective_pool_name(ctx.name, ctx.spec))
    spoken_for = _gateways(ctx)
    v1 = _read(ctx.obs, kinds.POOL_V1, key)
    verdict = v1_ready(_object(v1), spoken_for)
    v1alpha2 = _read(ctx.obs, kinds.POOL_V1ALPHA2, key)
    other = v1alpha2_ready(_object(v1alpha2), spoken_for)
    if verdict.ready or other.ready:
        return READY
    if isinstance(v1, Unknown):
        return Verdict(
            ready=False,
            reason=_FETCH_ERROR,
            message=f"failed to fetch v1 InferencePool {key}: {v1.reason}",
        )
    v1alpha2_said = v1alpha2.reason if isinstance(v1alpha2, Unknown) else other.why
    if verdict.failing is not None:
        message = (
            f"Neither v1 nor v1alpha2 InferencePool is ready. v1 status: {key}: {verdict.why}. "
            f"v1alpha2 status: {v1alpha2_said}"
        )
    else:
        message = (
            f"Neither v1 nor v1alpha2 InferencePool {key} is ready. v1 status: {verdict.why}. "
            f"v1alpha2 status: {v1alpha2_said}"
        )
    return Verdict(ready=False, reason="InferencePoolNotReady", message=message)


def _picker_nowhere(ctx: Context) -> str:
    """Says so when the pools of ours name an endpoint picker that cannot exist; Services of users are not watched."""
    name = text({"spec": ctx.spec}, *_PICKER, "name")
    picker = {"kind": text({"spec": ctx.spec}, *_PICKER, "kind"), "name": name}
    if (
        not name
        or not owns_pools(ctx)
        or scheduler.is_wanted(ctx)
        or not backends.is_impossible_service(picker)
    ):
        return ""
    cure = f"the picker's Service of this service is named {names.child(ctx.name, '-epp-service')}"
    return (
        f"{'.'.join(_PICKER)}.name is {name}, which no Service can be named (at most 63 characters); {cure}"
    )


def _gateways(ctx: Context) -> list[ObjectKey]:
    """Those of the routes, then those of `router.gateway.refs`; a route that cannot be read names none."""
    found: list[ObjectKey] = []
    with suppress(Unanswered):
        found = [key for route in gateways.routes(ctx) for key in gateways_of(route)]
    if not found and mode(ctx) is Mode.MANAGED:
        found = parent_gateways(route_spec(ctx), ctx.namespace)
    return list(dict.fromkeys([*found, *gateway_refs(ctx)]))


def _object(read: Read) -> Object | None:
    return read.obj if isinstance(read, Present) else None


def _read(obs: Observation, kind: Kind, key: ObjectKey) -> Read:
    return Absent() if obs.served(kind) is Served.NO else obs.get(kind, key.namespace, key.name)
