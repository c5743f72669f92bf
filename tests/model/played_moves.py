"""Who can do what in the second model. Every move is one atomic change; between any two the controller may be killed.

A gateway looks at one route, one probe or one pool at a time, so one that is slow is among them; an upgrade touches nothing that
was said. Where gateways fight, each takes the other's entry out of a pool's status as it writes its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from aioctl.api import names
from aioctl.plan.policy import Strategy
from aioctl.sim.players.gateway import BEHAVIOURS
from aioctl.sim.players.gateway import pools_of as pools_named
from tests.model.played_cluster import PlayedCluster
from tests.model.played_state import (
    GROUPS,
    NS,
    Made,
    Op,
    Service,
    State,
    answer,
    outdated,
    parsed,
    pools_of,
    service_name,
)

Move = tuple[str, State]
T = TypeVar("T")


@dataclass(frozen=True)
class PlayedRules:
    """How much takes part. `begins`: behaviours of the gateways at the start, each its own root."""

    begins: tuple[tuple[str, ...], ...]
    upgrades: tuple[str, ...] = ()
    """What a gateway may be upgraded to at any time."""
    services: int = 1
    grouped: bool = False
    strategy: Strategy = Strategy.AUTO
    probes: bool = True
    fighting: bool = False
    crd_goes: bool = False
    """The v1alpha2 CRD may be taken away."""
    old_crd: bool = True
    v1_crd: bool = True
    meddling: bool = True
    """Users pause, and delete routes and pools."""


def environment(state: State, rules: PlayedRules) -> Iterator[Move]:
    """Everything that may happen around the controller."""
    for gateway in range(len(state.behaviours)):
        yield from looks(state, gateway, fighting=rules.fighting)
        for behaviour in rules.upgrades:
            if behaviour != state.behaviours[gateway]:
                changed = _with(state.behaviours, gateway, behaviour)
                yield f"gateway {gateway} becomes {behaviour}", state._replace(behaviours=changed)
    if not state.old or state.just_asked:
        yield "time passes", state._replace(old=True, just_asked=False)
    if rules.crd_goes and state.old_crd:
        services = tuple(each._replace(pools=(each.pools[0], None)) for each in state.services)
        yield "the v1alpha2 CRD goes", state._replace(old_crd=False, services=services)
    for index, service in enumerate(state.services):
        yield from _kill(state, index, service)
        if rules.meddling:
            yield from _user(state, index, service)


def _kill(state: State, index: int, service: Service) -> Iterator[Move]:
    if service.pending:
        yield "the controller is killed", put(state, index, service._replace(pending=()))


def _user(state: State, index: int, service: Service) -> Iterator[Move]:
    name = service_name(index)
    yield (
        f"user {'resumes' if service.paused else 'pauses'} {name}",
        put(state, index, service._replace(paused=not service.paused)),
    )
    if service.route is not None:
        yield f"user deletes the route of {name}", put(state, index, _touched(service)._replace(route=None))
    for place, group in enumerate(GROUPS):
        if service.pools[place] is not None:
            pools = (None, service.pools[1]) if place == 0 else (service.pools[0], None)
            yield (
                f"user deletes the pool of {name} of {group}",
                put(state, index, service._replace(pools=pools)),
            )


def looks(state: State, gateway: int, *, fighting: bool) -> Iterator[Move]:
    """The gateway looks at something of which it has something else to say."""
    behaviour = state.behaviours[gateway]
    pools = pools_of(state)
    for index, service in enumerate(state.services):
        name = service_name(index)
        for field, made in (("route", service.route), ("probe", service.probe), ("mixed", service.mixed)):
            if made is None:
                continue
            said = answer(made.spec, behaviour, pools)
            if said != made.answers[gateway]:
                changed = made._replace(answers=_with(made.answers, gateway, said))
                yield (
                    f"gateway {gateway} ({behaviour}) answers {said.reason} on the {field} of {name}",
                    put(state, index, _with_route(service, field, changed)),
                )
        for place, group in enumerate(GROUPS):
            entries = service.pools[place]
            if entries is None:
                continue
            after = _entries(state, index, group, entries, gateway, fighting=fighting)
            if after != entries:
                yield (
                    f"gateway {gateway} ({behaviour}) writes the pool of {name} of {group}",
                    put(state, index, service._replace(pools=_with(service.pools, place, after))),
                )


def _with_route(service: Service, field: str, made: Made) -> Service:
    match field:
        case "probe":
            return service._replace(probe=made)
        case "mixed":
            return service._replace(mixed=made)
        case _:
            return _touched(service)._replace(route=made)


def _entries(
    state: State, index: int, group: str, entries: frozenset[int], gateway: int, *, fighting: bool
) -> frozenset[int]:
    behaviour = BEHAVIOURS[state.behaviours[gateway]]
    if group in behaviour.pools and _is_named(state, index, group):
        return frozenset({gateway}) if fighting else entries | {gateway}
    return entries - {gateway} if behaviour.takes_back else entries


def _is_named(state: State, index: int, group: str) -> bool:
    """Some route or probe names the pool: gateways say nothing of one that none names."""
    pool = names.default_pool_name(service_name(index))
    routes = (made for service in state.services for made in service.routes)
    return any(
        kind.group == group and key.name == pool and key.namespace == NS
        for made in routes
        for kind, key in pools_named(parsed(made.spec))
    )


def controller(state: State, cluster: PlayedCluster) -> Iterator[Move]:
    """What the controller may do next: decide on a service, or send the next of its writes."""
    for index, service in enumerate(state.services):
        if service.pending:
            yield f"land {service.pending[0].target} of {service_name(index)}", land(state, index)
            continue
        ops = cluster.plan(state, index).ops
        if ops:
            yield f"plan {service_name(index)}", put(state, index, service._replace(pending=ops))


def land(state: State, index: int) -> State:
    """The next pending write of the service takes effect."""
    service = state.services[index]
    op, rest = service.pending[0], service.pending[1:]
    reached = put(state, index, _landed(service._replace(pending=rest), op, state))
    if op.target not in ("probe", "mixed"):
        return reached
    asks = any(each.probe or each.mixed for each in reached.services)
    return reached._replace(just_asked=asks and (state.just_asked or not op.gone))


def _landed(service: Service, op: Op, state: State) -> Service:
    silent = (None,) * len(state.behaviours)
    if op.target == "status":
        return service._replace(copy=op.lock)
    if op.target == "probe":
        return service._replace(probe=None if op.gone else Made(op.spec, False, silent))
    if op.target == "mixed":
        return service._replace(mixed=None if op.gone else Made(op.spec, False, silent))
    if op.target == "route":
        before = service.route
        answers = silent if before is None else before.answers if before.spec == op.spec else outdated(before)
        return service._replace(route=Made(op.spec, op.lock, answers))
    place = GROUPS.index(op.target)
    if place == 1 and not state.old_crd:
        return service._replace(pending=())
    if service.pools[place] is not None:
        return service
    return service._replace(pools=_with(service.pools, place, frozenset()))


def put(state: State, index: int, service: Service) -> State:
    return state._replace(services=_with(state.services, index, service))


def _touched(service: Service) -> Service:
    """The route has another version now: an update of it that is in flight ends in a conflict, and the run with it."""
    kept: list[Op] = []
    for op in service.pending:
        if op.target == "route":
            break
        kept.append(op)
    return service._replace(pending=tuple(kept))


def _with(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])
