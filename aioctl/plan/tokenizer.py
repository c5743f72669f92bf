"""The tokenizer that the endpoint picker asks (TOK-1)."""

from aioctl.api import names
from aioctl.plan.model import Context


def name(service: str) -> str:
    """The name of its Deployment and its Service."""
    return names.tokenizer_name(service)


def address(ctx: Context) -> str:
    """The URL of its Service."""
    scheme = "https" if ctx.config.routing.enable_tls else "http"
    return f"{scheme}://{name(ctx.name)}.{ctx.namespace}.svc.{ctx.policy.cluster_domain}:8000"
