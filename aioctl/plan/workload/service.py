"""The workload Service: one port in front of decode, prefill and leader pods (SVC-1).

The switch that says whether model servers speak TLS changes the port's name and protocol, never its number. Where nobody has set it,
whoever had TLS until now loses it, and is told (SVC-2).
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.objects import Object, dig, sequence
from aioctl.api.records import changed
from aioctl.plan.children import remove
from aioctl.plan.cluster_service import ensure_service
from aioctl.plan.global_config import TLS_SWITCH
from aioctl.plan.model import Context, Write
from aioctl.plan.workload import pods

_PORT: Final = 8000


def service(ctx: Context) -> Iterator[Write]:
    """Exists for every service that is not stopped, with or without a router."""
    name = names.workload_service_name(ctx.name)
    if ctx.stopped:
        yield from remove(ctx, kinds.CORE_SERVICE, name)
        return
    side = pods.main_side(ctx)
    protocol = "https" if ctx.config.routing.enable_tls else "http"
    port = {"name": protocol, "port": _PORT, "protocol": "TCP", "appProtocol": protocol, "targetPort": _PORT}
    for write in ensure_service(
        ctx,
        name,
        labels={**side.labels, **names.labels(ctx.name, names.WORKLOAD_COMPONENT)},
        annotations=side.annotations,
        users={*side.labels, *side.annotations},
        selector=names.workload_selector(ctx.name),
        ports=[port],
    ):
        yield changed(write, warnings=_losses(ctx, write))


def speaks_tls(found: Object) -> bool:
    """Whether a workload Service says so of its pods."""
    return any(
        "https" in (dig(port, "name"), dig(port, "appProtocol"))
        for port in sequence(found, "spec", "ports")
        if dig(port, "port") == _PORT
    )


def _losses(ctx: Context, write: Write) -> tuple[tuple[str, str], ...]:
    """(reason, message) of the Warning where a write takes TLS away that nobody has switched off."""
    if ctx.config.routing.enable_tls is not None or write.live is None or not speaks_tls(write.live):
        return ()
    settings = f"{ctx.policy.system_namespace}/{names.CONFIG_MAP_NAME}"
    text = (
        f"Service {ctx.namespace}/{write.name} was https and is http now, because {TLS_SWITCH} is absent from key ingress of "
        f"ConfigMap {settings}. Pods whose preset goes by it are replaced by ones without TLS; those that keep their form still "
        "speak TLS, which nobody expects of them. Set it to true to keep TLS, or to false if plain HTTP is meant"
    )
    return (("PlainHTTPByDefault", text),)
