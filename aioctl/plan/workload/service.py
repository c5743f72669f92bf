"""The workload Service: one port in front of decode, prefill and leader pods (SVC-1).

The switch that says whether model servers speak TLS changes the port's name and protocol, never its number.
"""

from collections.abc import Iterator

from aioctl.api import kinds, names
from aioctl.plan.children import remove
from aioctl.plan.cluster_service import ensure_service
from aioctl.plan.model import Context, Write
from aioctl.plan.workload import pods


def service(ctx: Context) -> Iterator[Write]:
    """Exists for every service that is not stopped, with or without a router."""
    name = names.workload_service_name(ctx.name)
    if ctx.stopped:
        yield from remove(ctx, kinds.CORE_SERVICE, name)
        return
    side = pods.main_side(ctx)
    protocol = "https" if ctx.config.routing.enable_tls else "http"
    port = {"name": protocol, "port": 8000, "protocol": "TCP", "appProtocol": protocol, "targetPort": 8000}
    yield from ensure_service(
        ctx,
        name,
        labels={**side.labels, **names.labels(ctx.name, names.WORKLOAD_COMPONENT)},
        annotations=side.annotations,
        users={*side.labels, *side.annotations},
        selector=names.workload_selector(ctx.name),
        ports=[port],
    )
