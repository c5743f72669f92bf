"""Requests through the gateways of a probe: with `AIOCTL_PROBE=traffic` a gateway serves v1 once it answers one (MIG-13).

Some gateways resolve what they do not serve (kgateway#11667), and some write no status of pools; a request shows both. It is sent to
each address of the gateway with the Host of the probe, which nobody else asks for. What was answered counts for a day, and no longer
than the gateway's class is the same, in the same generation: another one may be of another controller.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, dig, generation_of, sequence, text
from aioctl.plan.evidence import class_of
from aioctl.plan.model import Context
from aioctl.plan.observation import GatewayRequest, Present

PATH: Final = "/v1/models"
_SCHEMES: Final = {"HTTP": "http", "HTTPS": "https"}


def answers(ctx: Context, probe: Object, gateway: ObjectKey) -> bool:
    """Every address of the gateway is known to answer. False as well while that is not known, or where it has none."""
    wanted = list(requests(ctx, probe, gateway))
    said = [ctx.obs.reaches(each) for each in wanted]  # each of them is asked, whatever the first one says
    return bool(said) and all(each is True for each in said)


def requests(ctx: Context, probe: Object, gateway: ObjectKey) -> Iterator[GatewayRequest]:
    """One for each address of the gateway, through its first listener that speaks HTTP."""
    read = ctx.obs.get(kinds.GATEWAY, gateway.namespace, gateway.name)
    hosts = [host for host in sequence(probe, "spec", "hostnames") if isinstance(host, str)]
    if not isinstance(read, Present) or not hosts:
        return
    listener = next(
        (each for each in sequence(read.obj, "spec", "listeners") if text(each, "protocol") in _SCHEMES), None
    )
    if listener is None:
        return
    made_by = _made_by(class_of(ctx.obs, gateway))
    scheme, port = _SCHEMES[text(listener, "protocol")], dig(listener, "port")
    for address in sequence(read.obj, "status", "addresses"):
        value = text(address, "value")
        if value and isinstance(port, int):
            place = f"[{value}]" if ":" in value else value
            yield GatewayRequest(f"{scheme}://{place}:{port}{PATH}", hosts[0], made_by)


def _made_by(cls: Mapping[str, Any]) -> str:
    """Tells a class from another of its name, and from itself with other parameters."""
    return (
        f"{text(cls, 'metadata', 'name')}/{text(cls, 'metadata', 'uid')}/{generation_of(cls)}" if cls else ""
    )
