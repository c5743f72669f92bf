"""The tokenizer that the endpoint picker asks: a server with the model's tokenizer and no weights (TOK-1).

It reads the model where the picker's plugins name it, with the picker's account, and has no adapters. It downloads as model servers do,
so what the administrator says of downloads does not restart it either (FORM-1).
"""

from collections.abc import Iterator
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.objects import FieldError, Object, mapping, text
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
from aioctl.plan.workload.forms import Forms

READER: Final = Reader(MAIN, MODEL_AT)
_COMPONENT: Final = "tokenizer"
_PORT: Final = "render-http"
_SCHEDULER: Final = ("spec", "router", "scheduler")
_AT: Final = (*_SCHEDULER, "tokenizer")


def tokenizer(ctx: Context, forms: Forms) -> Iterator[Write]:
    """Deployment and Service, or their removal."""
    name = names.tokenizer_name(ctx.name)
    if not tokenizer_is_wanted(ctx):
        yield from remove(ctx, kinds.DEPLOYMENT, name)
        yield from remove(ctx, kinds.CORE_SERVICE, name)
        return
    labels = names.labels(ctx.name, _COMPONENT)
    try:
        account = _account(ctx)
        pod = _pod(ctx, account)
    except (PlanError, FieldError) as error:
        raise PlanError(f"failed to build expected tokenizer deployment: {error}") from error
    form = forms.keeper_at(ctx, _AT, kinds.DEPLOYMENT, name, (pod,), account, role=_COMPONENT)
    yield from under(
        f"failed to reconcile tokenizer deployment {ctx.namespace}/{name}: ",
        ensure_deployment(ctx, name, selector=labels, labels=labels, pod_spec=pod, replicas=1, form=form),
    )
    port = {"name": _PORT, "port": TOKENIZER_PORT, "protocol": "TCP", "targetPort": _PORT}
    yield from ensure_service(ctx, name, labels=labels, selector=labels, ports=[port])


def _account(ctx: Context) -> Object | None:
    """Whose credentials count for the download; None: those of `default`."""
    named = text({"spec": ctx.spec}, *_SCHEDULER, "template", "serviceAccountName")
    return picker_account.credentials(ctx) if named else None


def _pod(ctx: Context, account: Object | None) -> dict[str, Any]:
    """The pod spec. Raises PlanError where there is none, or the model cannot be brought into it."""
    template = mapping({"spec": ctx.spec}, *_AT, "template")
    if not template:
        raise PlanError(
            "spec.router.scheduler.tokenizer.template is empty: no config gives the tokenizer a pod"
        )
    pod: dict[str, Any] = canonical(template)
    attach_model(ctx, pod, account, READER)
    return pod
