"""InferencePoolReady: is either generation of the service's pool ready? (spec 50 sections 6.2 and 7)

Unfiltered readiness on purpose: whether traffic may move is a stricter question that `plan/migration.py` answers.
"""

from aioctl.api import kinds
from aioctl.api.defaulting import effective_pool_name, is_stopped
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.plan.gateways import READY, Verdict
from aioctl.plan.model import Absent, Context, Observation, Part, Present, Read, Served, Step, Unknown
from aioctl.plan.readiness import NOT_READY, describe, v1_ready, v1alpha2_ready
from aioctl.plan.routing import has_scheduler

OUTER = "failed to reconcile networking: failed to evaluate Inference Pool conditions: "

_FETCH_ERROR = "InferencePoolFetchError"


def check(ctx: Context) -> Step | None:
    """The step that has the reconcile repeated while it cannot be told whether the pool is ready."""
    if is_stopped(ctx.service):
        return None
    verdict = evaluate(ctx, ctx.obs)
    if verdict.reason != _FETCH_ERROR:
        return None
    return Step(Part.EVALUATION, OUTER, unanswered=verdict.message)


def evaluate(ctx: Context, obs: Observation) -> Verdict:
    """The verdict; without a scheduler there is no pool to wait for."""
    if not has_scheduler(ctx.spec):
        return READY
    key = ObjectKey(ctx.namespace, effective_pool_name(ctx.name, ctx.spec))
    v1 = _read(obs, kinds.POOL_V1, key)
    verdict = v1_ready(v1.obj) if isinstance(v1, Present) else NOT_READY
    v1alpha2 = _read(obs, kinds.POOL_V1ALPHA2, key)
    if verdict.ready or (isinstance(v1alpha2, Present) and v1alpha2_ready(v1alpha2.obj).ready):
        return READY
    if isinstance(v1, Unknown):
        return Verdict(
            ready=False,
            reason=_FETCH_ERROR,
            message=f"failed to fetch v1 InferencePool {key}: {v1.reason}",
        )
    message = f"Neither v1 nor v1alpha2 InferencePool {key} is ready"
    if verdict.failing is not None:
        message = (
            f"Neither v1 nor v1alpha2 InferencePool is ready. v1 status: {key}: {describe(verdict.failing)}"
        )
    return Verdict(ready=False, reason="InferencePoolNotReady", message=message)


def _read(obs: Observation, kind: Kind, key: ObjectKey) -> Read:
    return Absent() if obs.served(kind) is Served.NO else obs.get(kind, key.namespace, key.name)
