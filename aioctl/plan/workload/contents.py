"""What goes into the pods of both sides, whatever runs them: model, adapters, cache tiers, tracing (ART-6).

`fill` changes the pod spec it is given, which must be the caller's own copy.
"""

from typing import Final

from aioctl.api.objects import FieldError, Object, mapping
from aioctl.plan.model import Context, PlanError
from aioctl.plan.workload import initializer
from aioctl.plan.workload.artifacts import attach_model
from aioctl.plan.workload.containers import Item, named
from aioctl.plan.workload.kv_cache import attach_tiers
from aioctl.plan.workload.pods import Side
from aioctl.plan.workload.tracing import attach_tracing

_OVERRIDDEN: Final = (
    "StorageInitializerOverride",
    "User-specified Args/Command on storage-initializer were overridden by controller",
)


def notices(ctx: Context, side: Side, *made: Item | None) -> tuple[tuple[str, str], ...]:
    """(reason, message) of the Warning events about what the user gave and the pod specs `made` of it do not have (ART-4)."""
    given = any(initializer.overrides_command(side.template(field)) for field in ("template", "worker"))
    generated = initializer.enabled(ctx.spec) and any(
        named(pod, "initContainers", initializer.NAME) is not None for pod in made if pod is not None
    )
    return (*side.reserved, _OVERRIDDEN) if given and generated else side.reserved


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
