"""The second model: services on gateways that behave like real ones, under strategy `auto` (MIG-7, MIG-8, MIG-12).

In the first model (`state.py`) gateways answer anything; here each has a behaviour of the embedded gateway player, looks at an
object whenever it likes, and may be upgraded to another, which leaves standing what the old one said. Values only.
"""

import json
from functools import cache
from typing import Any, Final, NamedTuple

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey
from aioctl.sim.players.gateway import BEHAVIOURS, resolution

NS: Final = "ns"
GROUPS: Final = (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)
RESOLVED: Final = "ResolvedRefs"


class Answer(NamedTuple):
    """ResolvedRefs of one gateway: its reason (the type's own: True), its message, whether it is of the present generation."""

    reason: str
    message: str
    current: bool
    refused: frozenset[str]
    """The groups that it means to refuse, however its message names them."""


class Made(NamedTuple):
    """An HTTPRoute: its spec as JSON text, the lock, and the answers by gateway, None where there is none."""

    spec: str
    lock: bool
    answers: tuple[Answer | None, ...]


class Op(NamedTuple):
    """A write of ours, decided and not yet sent. `target`: route, probe, mixed (the probe that asks about both), a pool's group, or
    status."""

    target: str
    spec: str = ""
    lock: bool = False
    """On the route, or as a copy in the status."""
    gone: bool = False


class Service(NamedTuple):
    """One service. `pools`: by generation, v1 first, the gateways that have an entry in the status; None: there is no pool."""

    route: Made | None = None
    probe: Made | None = None
    mixed: Made | None = None
    pools: tuple[frozenset[int] | None, ...] = (None, None)
    copy: bool = False
    paused: bool = False
    pending: tuple[Op, ...] = ()

    @property
    def routes(self) -> tuple[Made, ...]:
        """All that gateways look at."""
        return tuple(made for made in (self.route, self.probe, self.mixed) if made is not None)

    @property
    def locked(self) -> bool:
        return self.copy or (self.route is not None and self.route.lock)


class State(NamedTuple):
    """`old`: every object is old enough for whatever waits for a while, but for the questions where one was `just_asked`;
    `old_crd`: v1alpha2 InferencePools are served."""

    services: tuple[Service, ...]
    behaviours: tuple[str, ...]
    old: bool = False
    just_asked: bool = False
    old_crd: bool = True


def service_name(index: int) -> str:
    return "ab"[index]


@cache
def parsed(spec: str) -> dict[str, Any]:
    """The HTTPRoute of a spec, as the gateway player takes it. Shared: change nothing."""
    return {"metadata": {"namespace": NS, "name": "r"}, "spec": json.loads(spec)}


@cache
def carried(spec: str) -> frozenset[str]:
    """The groups whose references carry traffic."""
    return frozenset(
        ref["group"]
        for rule in parsed(spec)["spec"]["rules"]
        for ref in rule["backendRefs"]
        if ref["kind"] == "InferencePool" and (ref.get("weight") != 0 or len(rule["backendRefs"]) == 1)
    )


@cache
def named(spec: str) -> frozenset[str]:
    """The groups of all references."""
    refs = (ref for rule in parsed(spec)["spec"]["rules"] for ref in rule["backendRefs"])
    return frozenset(ref["group"] for ref in refs if ref["kind"] == "InferencePool")


Pools = frozenset[tuple[str, str]]
"""(group, name) of every pool there is."""


def pools_of(state: State) -> Pools:
    return frozenset(
        (group, names.default_pool_name(service_name(index)))
        for index, service in enumerate(state.services)
        for group, pool in zip(GROUPS, service.pools, strict=True)
        if pool is not None
    )


@cache
def answer(spec: str, behaviour: str, pools: Pools) -> Answer:
    """What a gateway of that behaviour says of a route."""

    def exists(kind: kinds.Kind, key: ObjectKey) -> bool:
        return (kind.group, key.name) in pools

    can = BEHAVIOURS[behaviour]
    reason, message = resolution(parsed(spec), can, exists)
    refused = named(spec) - can.routes if "InvalidKind" in reason else frozenset[str]()
    if not can.names_places:
        refused = frozenset(group for group in refused if f'"{group}"' in message)
    return Answer(reason, message, current=True, refused=refused)


def outdated(made: Made) -> tuple[Answer | None, ...]:
    """The same answers after the route has changed."""
    return tuple(said and said._replace(current=False) for said in made.answers)
