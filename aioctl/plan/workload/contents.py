"""What goes into the pods of both sides, whatever runs them: model, adapters, cache tiers, tracing (ART-6).

Changes the pod spec it is given, which must be the caller's own copy.
"""

from aioctl.api.objects import FieldError, Object, mapping
from aioctl.plan.model import Context, PlanError
from aioctl.plan.workload.artifacts import attach_model
from aioctl.plan.workload.containers import Item
from aioctl.plan.workload.kv_cache import attach_tiers
from aioctl.plan.workload.pods import Side
from aioctl.plan.workload.tracing import attach_tracing


def fill(ctx: Context, pod: Item, side: Side, account: Object | None, *, whose: str) -> None:
    """All of it, in KServe's order.

    `account` is whose credentials count; None means `default` of the namespace. `whose` completes the error's text, such
    as `main deployment`. Raises PlanError, FieldError for a field of the wrong type.
    """
    try:
        attach_model(ctx, pod, account)
    except (PlanError, FieldError) as error:
        raise PlanError(f"failed to attach model artifacts to {whose}: {error}") from error
    attach_tiers(pod, mapping(side.root, *side.path), at=".".join(side.path))
    attach_tracing(pod, ctx.spec, prefill=side.prefill, namespace=ctx.namespace, service=ctx.name)
