"""Requests through the gateways of a probe: with `AIOCTL_PROBE=traffic` a gateway serves v1 once it answers one (MIG-13).

Some gateways resolve what they do not serve (kgateway#11667), and some write no status of pools; a request shows both. It is sent to
each address of the gateway with the Host of the probe, which nobody else asks for. What was answered counts for a day, and no longer
than the gateway's class is the same, in the same generation: another one may be of another controller. A service whose gateways
resolve the question and answer no request waits for that, and says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, dig, generation_of, sequence, text
from aioctl.plan.evidence import Support, class_of, said_by_probe
from aioctl.plan.model import Context
from aioctl.plan.observation import GatewayRequest, Present
from aioctl.plan.policy import Probe
from aioctl.plan.routing import Mode, mode, parent_gateways, route_spec

PATH: Final = "/v1/models"
NOT_ANSWERED: Final = "GatewayAnswersNoRequest"
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


def unanswered(ctx: Context, gateways: Iterable[ObjectKey]) -> dict[ObjectKey, list[GatewayRequest]]:
    """The gateways that resolve a question of this service, and the requests through each that nobody answered."""
    if ctx.policy.probe is not Probe.TRAFFIC:
        return {}
    asking = (names.probe_name(ctx.name), names.mixed_probe_name(ctx.name))
    reads = [ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, name) for name in asking]
    found = {
        gateway: [
            request
            for read in reads
            if isinstance(read, Present)
            and Support.YES in said_by_probe(read.obj, gateway, ctx.obs, None).values()
            for request in requests(ctx, read.obj, gateway)
            if ctx.obs.reaches(request) is False
        ]
        for gateway in gateways
    }
    return {gateway: failed for gateway, failed in found.items() if failed}


def notices(ctx: Context) -> Iterator[tuple[str, str]]:
    """(reason, message) of a Warning event for each gateway that resolves what requests through it do not reach."""
    if mode(ctx) is not Mode.MANAGED:
        return
    for gateway, failed in unanswered(ctx, parent_gateways(route_spec(ctx), ctx.namespace)).items():
        sent = ", ".join(sorted(f"GET {each.url} (Host {each.host})" for each in failed))
        yield (
            NOT_ANSWERED,
            (
                f"Gateway {gateway} resolves references to InferencePools, and nobody answered {sent} with less than 500; what it "
                "says does not count before that. It is asked again every few minutes; AIOCTL_PROBE=status takes its word for it"
            ),
        )


def _made_by(cls: Mapping[str, Any]) -> str:
    """Tells a class from another of its name, and from itself with other parameters."""
    return (
        f"{text(cls, 'metadata', 'name')}/{text(cls, 'metadata', 'uid')}/{generation_of(cls)}" if cls else ""
    )
