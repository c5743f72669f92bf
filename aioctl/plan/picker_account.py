"""The account of the endpoint picker and its tokenizer: generated with the model server's credentials, or named by the user.

A named account is only read (CHILD-1, EPP-9). The pods wait for one that is not there, so everything else is made all the same.
"""

from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.objects import Object, annotations_of, text
from aioctl.plan import given
from aioctl.plan.children import build
from aioctl.plan.model import Context
from aioctl.plan.observation import need
from aioctl.plan.rbac import without_tracking

_NAME: Final = "serviceAccountName"
_COPIED: Final = ("secrets", "imagePullSecrets")


def name(ctx: Context) -> str:
    """The account's name."""
    given = text({"spec": ctx.spec}, "spec", "router", "scheduler", "template", _NAME)
    return given or names.epp_service_account_name(ctx.name)


def is_generated(ctx: Context) -> bool:
    return name(ctx) == names.epp_service_account_name(ctx.name)


def generated(ctx: Context) -> dict[str, Any]:
    """The account as wanted: with the credentials of the model server's account, or of `default` where it names none.

    Raises Unanswered when it is not known what that one has.
    """
    of_server = text({"spec": ctx.spec}, "spec", "template", _NAME)
    source = need(
        ctx.obs.get(
            kinds.SERVICE_ACCOUNT, ctx.namespace, of_server or "default", named_by_user=bool(of_server)
        )
    )
    copied = {field: source[field] for field in _COPIED if source and source.get(field)}
    annotations = without_tracking(annotations_of(source)) if source and of_server else {}
    return build(
        ctx,
        kinds.SERVICE_ACCOUNT,
        names.epp_service_account_name(ctx.name),
        labels=names.labels(ctx.name, names.SCHEDULER_COMPONENT),
        annotations={**annotations, **given.record(annotations)},
        **copied,
    )


def credentials(ctx: Context) -> Object | None:
    """The account whose credentials count for downloads; None for a named one that is not there. Raises Unanswered."""
    return generated(ctx) if is_generated(ctx) else _named(ctx)


def problem(ctx: Context) -> str:
    """Why the picker's pods cannot start: its named account is not there. Empty where it is; raises Unanswered."""
    if is_generated(ctx) or _named(ctx) is not None:
        return ""
    missing = kinds.SERVICE_ACCOUNT.not_found(name(ctx))
    return (
        "failed to create expected scheduler service account: failed to fetch existing scheduler service account "
        f"{ctx.namespace}/{name(ctx)}: {missing}"
    )


def _named(ctx: Context) -> Object | None:
    return need(ctx.obs.get(kinds.SERVICE_ACCOUNT, ctx.namespace, name(ctx), named_by_user=True))
