"""The tokenizer that the endpoint picker asks: a server with the model's tokenizer and no weights (TOK-1).

It reads the model where the picker's plugins name it, with the picker's account, and has no adapters.
"""

from collections.abc import Iterator
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.objects import FieldError, mapping, text
from aioctl.plan import picker_account
from aioctl.plan.children import remove, under
from aioctl.plan.cluster_service import ensure_service
from aioctl.plan.deployment import ensure_deployment
from aioctl.plan.epp_rules import MODEL_AT
from aioctl.plan.model import Context, PlanError, Write
from aioctl.plan.picker import TOKENIZER_PORT, tokenizer_is_wanted
from aioctl.plan.pod_defaults import canonical
from aioctl.plan.workload.artifacts import attach_model
from aioctl.plan.workload.containers import MAIN, Reader

READER: Final = Reader(MAIN, MODEL_AT)
_COMPONENT: Final = "tokenizer"
_PORT: Final = "render-http"
_SCHEDULER: Final = ("spec", "router", "scheduler")


def tokenizer(ctx: Context) -> Iterator[Write]:
    """Deployment and Service, or their removal."""
    name = names.tokenizer_name(ctx.name)
    if not tokenizer_is_wanted(ctx):
        yield from remove(ctx, kinds.DEPLOYMENT, name)
        yield from remove(ctx, kinds.CORE_SERVICE, name)
        return
    labels = names.labels(ctx.name, _COMPONENT)
    try:
        pod = _pod(ctx)
    except (PlanError, FieldError) as error:
        raise PlanError(f"failed to build expected tokenizer deployment: {error}") from error
    yield from under(
        f"failed to reconcile tokenizer deployment {ctx.namespace}/{name}: ",
        ensure_deployment(ctx, name, selector=labels, labels=labels, pod_spec=pod, replicas=1),
    )
    port = {"name": _PORT, "port": TOKENIZER_PORT, "protocol": "TCP", "targetPort": _PORT}
    yield from ensure_service(ctx, name, labels=labels, selector=labels, ports=[port])


def _pod(ctx: Context) -> dict[str, Any]:
    """The pod spec. Raises PlanError where there is none, or the model cannot be brought into it."""
    template = mapping({"spec": ctx.spec}, *_SCHEDULER, "tokenizer", "template")
    if not template:
        raise PlanError(
            "spec.router.scheduler.tokenizer.template is empty: no config gives the tokenizer a pod"
        )
    pod: dict[str, Any] = canonical(template)
    named = text({"spec": ctx.spec}, *_SCHEDULER, "template", "serviceAccountName")
    attach_model(ctx, pod, picker_account.credentials(ctx) if named else None, READER)
    return pod
