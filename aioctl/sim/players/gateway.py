"""The gateway player: accepts or refuses pools and routes as its script says, a while after they were written.

A `Behaviour` is what a gateway implementation can do: which pool generations it answers for, and which it can resolve in a
route. `GatewayScript` adds delay and address, for each gateway its own. Statuses carry observedGeneration, keep the entries
of gateways that are not played, and drop the synthetic `Status/default` parent of v1alpha2 pools (POOL-2).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import anyio

from aioctl.api.kinds import (
    GATEWAY,
    GATEWAY_CLASS,
    HTTP_ROUTE,
    POOL_GROUP_V1,
    POOL_GROUP_V1ALPHA2,
    POOL_V1,
    POOL_V1ALPHA2,
    Kind,
    ObjectKey,
)
from aioctl.api.objects import dig, generation_of, key_of, mapping, namespace_of, sequence, text
from aioctl.kube.client import Client
from aioctl.sim.players.following import Agenda, Event, Object, Plays, follow, patch_status

_Job = tuple[Kind, ObjectKey]
_KINDS: Final = (GATEWAY, GATEWAY_CLASS, HTTP_ROUTE, POOL_V1, POOL_V1ALPHA2)
_POOL_OF_GROUP: Final = {POOL_GROUP_V1: POOL_V1, POOL_GROUP_V1ALPHA2: POOL_V1ALPHA2}
_BOTH: Final = frozenset(_POOL_OF_GROUP)
_ONLY: Final = (
    "Group is invalid, only the core API group (specified by omitting the group field or setting it to an empty string),"
    " multicluster.x-k8s.io and gateway.envoyproxy.io are supported."
)
"""What Envoy Gateway 1.9 says of a kind that it does not know."""
GLOBAL_GATEWAY: Final = ObjectKey("kserve", "kserve-ingress-gateway")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a gateway can do; groups are those of the two pool generations."""

    pools: frozenset[str] = _BOTH
    """Generations whose pools it accepts."""
    routes: frozenset[str] = _BOTH
    """Generations it resolves in a route; any other reference makes the route InvalidKind."""
    minds_idle: bool = True
    """False: a reference of weight zero may be of any generation, and its pool need not exist."""
    takes_back: bool = True
    """False: what an earlier version of it said of pools that it does not accept stays in their status."""
    names_places: bool = False
    """It names every reference that it refuses, by its place in the route, and never its group; False: the first one, by its group."""


BEHAVIOURS: Final[Mapping[str, Behaviour]] = {
    "both": Behaviour(),
    "v1-only": Behaviour(frozenset({POOL_GROUP_V1}), frozenset({POOL_GROUP_V1})),
    "v1alpha2-only": Behaviour(frozenset({POOL_GROUP_V1ALPHA2}), frozenset({POOL_GROUP_V1ALPHA2})),
    "accepts-both-routes-v1alpha2": Behaviour(_BOTH, frozenset({POOL_GROUP_V1ALPHA2})),
    "silent": Behaviour(frozenset(), _BOTH),
    "istio-1.27": Behaviour(takes_back=False),
    "istio": Behaviour(
        frozenset({POOL_GROUP_V1}), frozenset({POOL_GROUP_V1}), minds_idle=False, takes_back=False
    ),
    "istio-disabled": Behaviour(frozenset(), frozenset(), minds_idle=False, takes_back=False),
    "istio-agentgateway": Behaviour(frozenset({POOL_GROUP_V1}), _BOTH, minds_idle=False, takes_back=False),
    "envoy-gateway-plain": Behaviour(frozenset(), frozenset(), takes_back=False, names_places=True),
    "envoy-gateway-ai-v1": Behaviour(
        frozenset({POOL_GROUP_V1}), frozenset({POOL_GROUP_V1}), takes_back=False, names_places=True
    ),
}
"""By name. Those from `istio-1.27` on are of real gateway controllers, as measured (they say nothing of a pool that no route names:
`accepts_unreferenced` False). `accepts-both-routes-v1alpha2` is the liar of MIG-3: v1 pools accepted, routes InvalidKind."""


@dataclass(frozen=True, slots=True)
class GatewayScript:
    """How one gateway plays. `delay`: seconds from a change to the answer."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    delay: float = 1.0
    address: str = "10.9.9.9"
    is_programmed: bool = True
    answers_for_itself: bool = True
    """False: routes and pools are answered, the status of the gateway is left to others."""
    controller: str = "istio.io/gateway-controller"


class GatewayPlayer:
    """Plays all gateways of the cluster; run it in a task."""

    def __init__(
        self,
        client: Client,
        *,
        stamp: Callable[[], str],
        default: GatewayScript | None = None,
        scripts: Mapping[ObjectKey, GatewayScript] | None = None,
        accepts_unreferenced: bool = True,
        global_gateway: ObjectKey = GLOBAL_GATEWAY,
        plays: Plays = lambda _: True,
    ) -> None:
        """`scripts` override the default for single gateways. With `accepts_unreferenced` the global gateway and the
        gateways of a pool's namespace answer for it before any route names it, as in the recordings; otherwise only
        gateways whose routes name the pool do. `stamp` gives the time for conditions. Only what it `plays` is answered, the rest is left to
        others."""
        self._client = client
        self._plays = plays
        self._stamp = stamp
        self._default = default or GatewayScript()
        self._scripts = dict(scripts or {})
        self._accepts_unreferenced = accepts_unreferenced
        self._global = global_gateway
        self._known: dict[Kind, dict[ObjectKey, Object]] = {kind: {} for kind in _KINDS}
        self._seen: dict[_Job, object] = {}
        self._naming: dict[_Job, dict[ObjectKey, None]] = {}
        """Which routes name a pool."""
        self._named: dict[ObjectKey, list[_Job]] = {}
        """Which pools a route named when it was last seen."""
        self._agenda: Agenda[_Job] = Agenda(self._play)

    async def run(self) -> None:
        """Endless."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._agenda.run)
            for kind in _KINDS:
                group.start_soon(self._follow, kind)

    def script_of(self, gateway: ObjectKey) -> GatewayScript:
        return self._scripts.get(gateway, self._default)

    def set_script(self, script: GatewayScript, gateway: ObjectKey | None = None) -> None:
        """From now on a gateway (None: all without a script of their own) plays differently; everything is judged anew."""
        if gateway is None:
            self._default = script
        else:
            self._scripts[gateway] = script
        for kind, objects in self._known.items():
            for key in objects:
                self._agenda.add((kind, key), script.delay)

    # -- what a change means

    async def _follow(self, kind: Kind) -> None:
        async for event in follow(self._client, kind, self._known[kind], plays=self._plays):
            if kind is HTTP_ROUTE:
                self._index(event)
            if self._matters(kind, event):
                for job in self._affected(kind, event):
                    self._agenda.add(job, self._delay_of(job))

    def _index(self, event: Event) -> None:
        key = key_of(event.object)
        for pool in self._named.pop(key, ()):
            self._naming.get(pool, {}).pop(key, None)
        if event.type != "DELETED":
            self._named[key] = list(pools_of(event.object))
            for pool in self._named[key]:
                self._naming.setdefault(pool, {})[key] = None

    def _matters(self, kind: Kind, event: Event) -> bool:
        """Our own status writes come back as changes; only new generations and deletions count."""
        job = kind, key_of(event.object)
        if event.type == "DELETED":
            self._seen.pop(job, None)
            return True
        state = text(event.object, "metadata", "uid"), generation_of(event.object)
        is_new = self._seen.get(job) != state
        self._seen[job] = state
        return is_new

    def _affected(self, kind: Kind, event: Event) -> Iterable[_Job]:
        key = key_of(event.object)
        yield kind, key
        if kind is HTTP_ROUTE:
            yield from pools_of(event.object)
        elif kind in {POOL_V1, POOL_V1ALPHA2}:
            for route in self._naming.get((kind, key), ()):
                yield HTTP_ROUTE, route
        elif kind is GATEWAY:
            for other in (HTTP_ROUTE, POOL_V1, POOL_V1ALPHA2):
                for other_key in self._known[other]:
                    yield other, other_key

    def _delay_of(self, job: _Job) -> float:
        kind, key = job
        gateways = [key] if kind is GATEWAY else self._gateways_of(kind, key)
        return min((self.script_of(gateway).delay for gateway in gateways), default=self._default.delay)

    def _gateways_of(self, kind: Kind, key: ObjectKey) -> list[ObjectKey]:
        """Gateways that answer for an object, those that exist only."""
        if kind is HTTP_ROUTE:
            route = self._known[HTTP_ROUTE].get(key)
            found = _parents_of(route) if route is not None else []
        elif kind is GATEWAY_CLASS:
            found = []
        else:
            found = [
                gateway
                for route in self._naming.get((kind, key), ())
                for gateway in _parents_of(self._known[HTTP_ROUTE].get(route, {}))
            ]
            if self._accepts_unreferenced:
                found.append(self._global)
                found += [gateway for gateway in self._known[GATEWAY] if gateway.namespace == key.namespace]
        return [gateway for gateway in dict.fromkeys(found) if gateway in self._known[GATEWAY]]

    # -- answers

    async def _play(self, job: _Job) -> None:
        kind, key = job
        obj = self._known[kind].get(key)
        if obj is None:
            return
        status = self._status_of(kind, key, obj)
        if status is not None and _without_times(status) != _without_times(_same_part(obj, status)):
            written = await patch_status(self._client, kind, key, status)
            # A watch may have shown a newer one while the answer was on its way; that one is judged next.
            current = self._known[kind].get(key)
            if written is None or current is None or generation_of(written) < generation_of(current):
                return
            self._known[kind][key] = written
            if generation_of(written) > generation_of(obj):
                # Answered for what it was. A list that shows it like this is no change to us: nothing else would tell.
                self._agenda.add(job, self._delay_of(job))

    def _status_of(self, kind: Kind, key: ObjectKey, obj: Object) -> Object | None:
        if kind is GATEWAY:
            return self._gateway_status(key, obj)
        if kind is GATEWAY_CLASS:
            accepted = _condition("Accepted", "True", "Accepted", obj, self._stamp())
            return {"conditions": [accepted]}
        gateways = self._gateways_of(kind, key)
        if kind is HTTP_ROUTE:
            entries = [entry for gateway in gateways for entry in self._route_entries(obj, gateway)]
            return {"parents": _merged(sequence(obj, "status", "parents"), entries, gateways, key.namespace)}
        field_name, group = ("parents", POOL_GROUP_V1) if kind is POOL_V1 else ("parent", POOL_GROUP_V1ALPHA2)
        able = [gateway for gateway in gateways if group in self.script_of(gateway).behaviour.pools]
        entries = [self._pool_entry(obj, gateway) for gateway in able]
        replaced = [
            gateway for gateway in gateways if gateway in able or self.script_of(gateway).behaviour.takes_back
        ]
        merged = _merged(sequence(obj, "status", field_name), entries, replaced, key.namespace)
        if not able and merged == list(sequence(obj, "status", field_name)):
            return None
        return {field_name: merged}

    def _gateway_status(self, key: ObjectKey, obj: Object) -> Object | None:
        script, stamp = self.script_of(key), self._stamp()
        if not script.answers_for_itself:
            return None
        programmed = "True" if script.is_programmed else "False"
        listeners = [
            {
                "name": listener.get("name"),
                "attachedRoutes": 0,
                "supportedKinds": [{"group": HTTP_ROUTE.group, "kind": HTTP_ROUTE.kind}],
                "conditions": [_condition("Programmed", programmed, "Programmed", obj, stamp)],
            }
            for listener in sequence(obj, "spec", "listeners")
        ]
        return {
            "addresses": [{"type": "IPAddress", "value": script.address}] if script.is_programmed else [],
            "conditions": [
                _condition("Accepted", "True", "Accepted", obj, stamp),
                _condition(
                    "Programmed", programmed, "Programmed" if script.is_programmed else "Pending", obj, stamp
                ),
            ],
            "listeners": listeners,
        }

    def _pool_entry(self, pool: Object, gateway: ObjectKey) -> Object:
        stamp = self._stamp()
        conditions = [
            _condition("Accepted", "True", "Accepted", pool, stamp),
            _condition("ResolvedRefs", "True", "ResolvedRefs", pool, stamp),
        ]
        return {"parentRef": _reference(gateway), "conditions": conditions}

    def _route_entries(self, route: Object, gateway: ObjectKey) -> Iterator[Object]:
        """One for each parentRef to the gateway, such as to two of its listeners."""
        script, stamp = self.script_of(gateway), self._stamp()
        accepted = _condition("Accepted", "True", "Accepted", route, stamp)
        resolved = self._resolved(route, script.behaviour, stamp)
        for ref in sequence(route, "spec", "parentRefs"):
            if _key_of_ref(ref, route) == gateway:
                yield {
                    "controllerName": script.controller,
                    "parentRef": dict(ref),
                    "conditions": [accepted, resolved],
                }

    def _resolved(self, route: Object, behaviour: Behaviour, stamp: str) -> Object:
        reason, message = resolution(route, behaviour, lambda kind, key: key in self._known[kind])
        status = "True" if reason == "ResolvedRefs" else "False"
        return _condition("ResolvedRefs", status, reason, route, stamp, message)


def resolution(
    route: Object, behaviour: Behaviour, exists: Callable[[Kind, ObjectKey], bool]
) -> tuple[str, str]:
    """Reason and message of ResolvedRefs on a route; True where the reason is the type's own."""
    if behaviour.names_places:
        return _by_places(route, behaviour, exists)
    for kind, pool in pools_of(route, idle=behaviour.minds_idle):
        if kind.group not in behaviour.routes:
            return (
                "InvalidKind",
                f'referencing unsupported backendRef: group "{kind.group}" kind "InferencePool"',
            )
        if not exists(kind, pool):
            return "BackendNotFound", f"backend({pool}) not found"
    return "ResolvedRefs", ""


def _by_places(
    route: Object, behaviour: Behaviour, exists: Callable[[Kind, ObjectKey], bool]
) -> tuple[str, str]:
    """The same of Envoy Gateway: all reasons, sorted, and a line for each reference; whether an idle one exists it does not ask."""
    reasons, lines = set(), []
    for rule, each in enumerate(sequence(route, "spec", "rules")):
        for at, ref in enumerate(sequence(each, "backendRefs")):
            named = _pool_of(ref, route)
            if named is None:
                continue
            if named[0].group not in behaviour.routes:
                reason, why = "InvalidKind", _ONLY
            elif ref.get("weight") != 0 and not exists(*named):
                reason, why = "BackendNotFound", f"custom backend InferencePool {named[1]} not found."
            else:
                continue
            reasons.add(reason)
            lines.append(f"Failed to process route rule {rule} backendRef {at}: {why}")
    return ",".join(sorted(reasons)) or "ResolvedRefs", "\n".join(lines)


def pools_of(route: Object, *, idle: bool = True) -> Iterable[_Job]:
    """The InferencePools that a route refers to; `idle`: those of weight zero as well."""
    for rule in sequence(route, "spec", "rules"):
        for ref in sequence(rule, "backendRefs"):
            if not idle and ref.get("weight") == 0:
                continue
            named = _pool_of(ref, route)
            if named is not None:
                yield named


def _pool_of(ref: Object, route: Object) -> _Job | None:
    kind = _POOL_OF_GROUP.get(str(ref.get("group") or ""))
    if kind is None or ref.get("kind") != "InferencePool":
        return None
    return kind, ObjectKey(ref.get("namespace") or namespace_of(route), str(ref.get("name")))


def _condition(kind: str, status: str, reason: str, obj: Object, stamp: str, message: str = "") -> Object:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation_of(obj),
        "lastTransitionTime": stamp,
    }


def _reference(gateway: ObjectKey) -> Object:
    return {
        "group": GATEWAY.group,
        "kind": GATEWAY.kind,
        "name": gateway.name,
        "namespace": gateway.namespace,
    }


def _key_of_ref(ref: Mapping[str, object], owner: Object) -> ObjectKey:
    return ObjectKey(str(ref.get("namespace") or namespace_of(owner)), str(ref.get("name", "")))


def _parents_of(route: Object) -> list[ObjectKey]:
    refs = sequence(route, "spec", "parentRefs")
    return [_key_of_ref(ref, route) for ref in refs if ref.get("kind", "Gateway") == "Gateway"]


def _merged(
    held: Iterable[Object], entries: list[Object], played: list[ObjectKey], namespace: str
) -> list[Object]:
    """Our entries beside those of others; the synthetic `Status/default` one goes when a gateway takes over."""
    kept = []
    for entry in held:
        ref = mapping(entry, "parentRef")
        key = ObjectKey(str(ref.get("namespace") or namespace), str(ref.get("name", "")))
        is_synthetic = ref.get("kind") == "Status"
        if key not in played and not (is_synthetic and entries):
            kept.append(entry)
    return kept + entries


def _same_part(obj: Object, status: Object) -> Object:
    found = dig(obj, "status")
    found = found if isinstance(found, dict) else {}
    return {key: found.get(key) for key in status}


def _without_times(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key != "lastTransitionTime"}
    if isinstance(value, list):
        return [_without_times(item) for item in value]
    return value
