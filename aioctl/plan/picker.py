"""Which of the endpoint picker and its tokenizer a service runs itself, and under which names (EPP-1, TOK-1)."""

from typing import Final

from aioctl.api import names
from aioctl.api.defaulting import external_pool_name
from aioctl.api.objects import present
from aioctl.plan.model import Context, of_context
from aioctl.plan.scheduler_config import brings_tokenizer, needs_tokenizer

_TEMPLATE: Final = ("spec", "router", "scheduler", "template")


@of_context
def is_wanted(ctx: Context) -> bool:
    """Whether this service runs a picker of its own."""
    return present({"spec": ctx.spec}, *_TEMPLATE) and _may_run(ctx)


def deployment_name(service: str) -> str:
    """The name of the picker's Deployment."""
    return names.child(service, "-kserve-router-scheduler")


@of_context
def tokenizer_is_wanted(ctx: Context) -> bool:
    """Whether this service runs a tokenizer; it needs no template of a picker."""
    return _may_run(ctx) and needs_tokenizer(ctx.spec) and not brings_tokenizer(ctx.spec)


def tokenizer_address(ctx: Context) -> str:
    """The URL of the tokenizer's Service."""
    scheme = "https" if ctx.config.routing.enable_tls else "http"
    host = f"{names.tokenizer_name(ctx.name)}.{ctx.namespace}.svc.{ctx.policy.cluster_domain}"
    return f"{scheme}://{host}:{TOKENIZER_PORT}"


TOKENIZER_PORT: Final = 8000


def _may_run(ctx: Context) -> bool:
    return not external_pool_name(ctx.spec) and not ctx.stopped
