"""InferencePoolReady: is either generation of the service's pool ready for the gateways of the service? (COND-4, ROUTE-5, POOL-6, POOL-7)

Gateways are those of its routes and of `router.gateway.refs`; what others said of the pool, or said before they were
retired, counts neither for nor against it. Without any gateway every entry counts. Whether traffic may move is a stricter
question that `plan/migration.py` answers.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, external_pool_name
from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.objects import Object, text
from aioctl.plan import backends, gateways, picker, pool_readiness, silent_gateways
from aioctl.plan.gateways import Judgement
from aioctl.plan.model import NETWORKING, Context, Part, Step
from aioctl.plan.observation import Absent, Observation, Present, Read, Unanswered, Unknown
from aioctl.plan.parents import controller_of_class
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

OUTER: Final = f"{NETWORKING}failed to evaluate Inference Pool conditions: "

_PICKER: Final = ("spec", "router", "scheduler", "pool", "spec", "endpointPickerRef")
_FETCH_ERROR: Final = "InferencePoolFetchError"
REASONS: Final = (pool_readiness.NOT_READY, pool_readiness.WAITING, _FETCH_ERROR)
"""Those of InferencePoolReady that come from judging."""


def check(ctx: Context) -> Step | None:
    """The step that has the reconcile repeated while it cannot be told whether the pool is ready.

    It fails the reconcile where an external pool is not there.
    """
    verdict = None if ctx.stopped else evaluate(ctx)
    if verdict is None or verdict.ready or _picker_nowhere(ctx):
        return None
    found = _look(ctx)
    if found.unread:
        return Step(Part.EVALUATION, OUTER, unanswered=verdict.message)
    if verdict.reason == _FETCH_ERROR and external_pool_name(ctx.spec):
        said = (c.INFERENCE_POOL_READY, verdict.reason, verdict.message)
        return Step(Part.EVALUATION, OUTER, error=verdict.message, condition=said)
    return None


def evaluate(ctx: Context) -> Judgement | None:
    """The verdict; None without a scheduler, as there is no pool to wait for."""
    if not has_scheduler(ctx.spec):
        return None
    nowhere = _picker_nowhere(ctx)
    if nowhere:
        return Judgement(ready=False, reason=pool_readiness.NOT_READY, message=nowhere)
    found = _look(ctx)
    if not found.present:
        return Judgement(ready=False, reason=_FETCH_ERROR, message=_not_there(ctx, found))
    spoken_for = _gateways(ctx)
    verdicts = [_judge(ctx, kind, pool, spoken_for) for kind, pool in found.present.items()]
    return next((verdict for verdict in verdicts if verdict.ready), verdicts[0])


def _judge(ctx: Context, kind: Kind, pool: Object, spoken_for: list[ObjectKey]) -> Judgement:
    """Of one generation; gateways that write no status are not waited for."""

    def judge(by: list[ObjectKey]) -> Judgement:
        return pool_readiness.judge(pool, kind, by, lambda key: controller_of_class(ctx.obs, key))

    verdict = judge(spoken_for)
    if verdict.reason != pool_readiness.WAITING:
        return verdict
    speaking = [key for key in spoken_for if not silent_gateways.accept(ctx, kind, pool, key)]
    if len(speaking) == len(spoken_for):
        return verdict
    return judge(speaking) if speaking else gateways.READY


@dataclass(frozen=True, slots=True)
class _Found:
    """What is there of the pool's two generations, v1 first, and why the others could not be seen."""

    key: ObjectKey
    present: dict[Kind, Object]
    problems: dict[Kind, str]
    unread: bool
    """At least one could not be read, so it may be there."""


def _look(ctx: Context) -> _Found:
    key = ObjectKey(ctx.namespace, effective_pool_name(ctx.name, ctx.spec))
    found = _Found(key, {}, {}, unread=False)
    reads = {kind: _read(ctx.obs, kind, key) for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)}
    for kind, read in reads.items():
        if isinstance(read, Present):
            found.present[kind] = read.obj
        else:
            found.problems[kind] = read.reason if isinstance(read, Unknown) else kind.not_found(key.name)
    return replace(found, unread=any(isinstance(read, Unknown) for read in reads.values()))


def _not_there(ctx: Context, found: _Found) -> str:
    v1, v1alpha2 = found.problems[kinds.POOL_V1], found.problems[kinds.POOL_V1ALPHA2]
    if external_pool_name(ctx.spec) and (not found.unread or v1 == v1alpha2):
        return f"failed to fetch referenced Inference Pool {found.key}: {v1}"
    if found.unread:
        return f"failed to fetch Inference Pool {found.key}: v1: {v1}, v1alpha2: {v1alpha2}"
    return f"Inference Pool {found.key} not found (checked v1 and v1alpha2)"


def _picker_nowhere(ctx: Context) -> str:
    """Says so when the pools of ours name an endpoint picker that cannot exist; Services of users are not watched."""
    name = text({"spec": ctx.spec}, *_PICKER, "name")
    reference = {"kind": text({"spec": ctx.spec}, *_PICKER, "kind"), "name": name}
    if (
        not name
        or not owns_pools(ctx)
        or picker.is_wanted(ctx)
        or not backends.is_impossible_service(reference)
    ):
        return ""
    cure = f"the picker's Service of this service is named {names.picker_service_name(ctx.name)}"
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


def _read(obs: Observation, kind: Kind, key: ObjectKey) -> Read:
    return Absent() if obs.served(kind) is Served.NO else obs.get(kind, key.namespace, key.name)
