"""The workload Service: one HTTPS port in front of decode, prefill and leader pods (SVC-1)."""

from collections.abc import Iterator

from aioctl.api import kinds, names
from aioctl.api.defaulting import is_stopped
from aioctl.plan.children import remove
from aioctl.plan.cluster_service import ensure_service
from aioctl.plan.model import Context, Write

_PORT = {"name": "https", "port": 8000, "protocol": "TCP", "appProtocol": "https", "targetPort": 8000}


def service(ctx: Context) -> Iterator[Write]:
    """Exists for every service that is not stopped, with or without a router."""
    name = names.workload_service_name(ctx.name)
    if is_stopped(ctx.service):
        yield from remove(ctx, kinds.CORE_SERVICE, name)
        return
    yield from ensure_service(
        ctx,
        name,
        labels=names.labels(ctx.name, names.WORKLOAD_COMPONENT),
        selector=names.workload_selector(ctx.name),
        ports=[_PORT],
    )
