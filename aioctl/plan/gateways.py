"""The gateways a service depends on: found through its routes and refs, and whether they are programmed (ROUTE-5).

Reads only. `lookup` and `controller_of_gateway` give the texts that URL discovery and the Istio rules share.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, generation_of, mapping, name_of, namespace_of, sequence, text
from aioctl.plan.model import Context, PlanError
from aioctl.plan.observation import Observation, Present, Unanswered, need
from aioctl.plan.readiness import explain, find_condition
from aioctl.plan.routing import Mode, gateway_refs, gateways_of, mode, route_refs


@dataclass(frozen=True, slots=True)
class Judgement:
    """Outcome of an evaluation; reason and message say why not, and are empty when ready."""

    ready: bool
    reason: str = ""
    message: str = ""


READY: Final = Judgement(ready=True)


def referenced_routes(ctx: Context) -> Iterator[Object]:
    """The user's routes that exist, in the order of the refs. Raises Unanswered when one cannot be read."""
    for key in route_refs(ctx) if mode(ctx) is Mode.REFERENCED else ():
        found = need(ctx.obs.get(kinds.HTTP_ROUTE, key.namespace, key.name))
        if found is not None:
            yield found


def managed_route(ctx: Context) -> Object | None:
    """The live managed route, None when there is none or none is wanted. Raises Unanswered when it cannot be read."""
    if mode(ctx) is not Mode.MANAGED:
        return None
    return need(ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name)))


def routes(ctx: Context) -> list[Object]:
    """Referenced routes, then the managed one. Raises Unanswered when one cannot be read."""
    managed = managed_route(ctx)
    return [*referenced_routes(ctx), *([managed] if managed is not None else [])]


def evaluate(ctx: Context) -> Judgement | None:
    """GatewaysReady; None where no gateway refs are given. Sorted, so that equal facts give an equal message."""
    refs = gateway_refs(ctx)
    if not refs:
        return None
    try:
        keys = {key for route in routes(ctx) for key in gateways_of(route)}
        if mode(ctx) is Mode.MANAGED:
            keys |= set(refs)  # its parents, also before it is made
        not_ready = {key: why for key in sorted(keys) if (why := _not_programmed(_read(ctx.obs, key)))}
    except (Unanswered, PlanError) as error:
        return Judgement(
            ready=False, reason="GatewayFetchError", message=f"Failed to fetch referenced Gateways: {error}"
        )
    if not not_ready:
        return READY
    listed = " ".join(str(key) for key in not_ready)
    reasons = "; ".join(f"{key}: {why}" for key, why in not_ready.items())
    return Judgement(
        ready=False,
        reason="GatewaysNotReady",
        message=f"The following Gateways are not ready: [{listed}]. {reasons}",
    )


def lookup(obs: Observation, key: ObjectKey, route_key: ObjectKey) -> tuple[Object, Object]:
    """Gateway and GatewayClass of one parent. Raises PlanError when one is missing, Unanswered when it is unknown."""
    prefix = f"failed to get Gateway {key} for route {route_key}: "
    gateway = need(obs.get(kinds.GATEWAY, key.namespace, key.name))
    if gateway is None:
        raise PlanError(prefix + kinds.GATEWAY.not_found(key.name))
    class_name = text(gateway, "spec", "gatewayClassName")
    found = need(obs.get(kinds.GATEWAY_CLASS, "", class_name))
    if found is None:
        missing = kinds.GATEWAY_CLASS.not_found(class_name)
        raise PlanError(f'failed to get GatewayClass "{class_name}" for gateway {key}: {missing}')
    return gateway, found


def any_istio(obs: Observation, parents: Iterable[tuple[ObjectKey, ObjectKey]]) -> bool:
    """True as soon as one (gateway, route) pair is served by Istio's gateway controller. Raises as `lookup`."""
    return any(
        text(lookup(obs, gateway, route)[1], "spec", "controllerName") in names.ISTIO_GATEWAY_CONTROLLERS
        for gateway, route in parents
    )


def route_key(route: Object) -> ObjectKey:
    return ObjectKey(namespace_of(route), name_of(route))


def _read(obs: Observation, key: ObjectKey) -> Object:
    read = obs.get(kinds.GATEWAY, key.namespace, key.name)
    if isinstance(read, Present):
        return read.obj
    need(read)
    raise PlanError(f"failed to get Gateway {key}: {kinds.GATEWAY.not_found(key.name)}")


def _not_programmed(gateway: Object) -> str:
    """Why a gateway is not ready; empty when it is Programmed, in whatever generation.

    One that was changed a moment ago goes on serving as before; what has not been taken in yet shows in its routes.
    """
    condition = find_condition(sequence(mapping(gateway, "status"), "conditions"), "Programmed")
    if condition is not None and condition.get("status") == "True":
        return ""
    return explain(condition, "Programmed", "its controller", generation_of(gateway))
