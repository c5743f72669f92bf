"""Who speaks for a route: the parents it names, and the status entries that are theirs (ROUTE-6).

`status.parents` of an HTTPRoute holds whatever any controller ever wrote: gateways the route no longer names, controllers
a gateway has left, policy controllers. Only entries for a parentRef of the spec count; where the gateway's class names its
controller and that one has spoken, only what it said. The controllerName alone is no test: of a class whose controller
writes under another name nothing would be left, as with istiod and gateways it does not deploy. So what a gateway's former
controller said stands until its new one speaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, dig, mapping, namespace_of, sequence, text
from aioctl.plan.observation import Observation, Present
from aioctl.plan.readiness import find_condition
from aioctl.plan.routing import GATEWAY_API_GROUP

Entry = Mapping[str, Any]

_SPEAKING: Final = ("Accepted", "ResolvedRefs")


@dataclass(frozen=True, slots=True)
class Parent:
    """One parentRef of a route. `entries`: what counts as its answer, empty while there is none."""

    kind: str
    key: ObjectKey
    section: str
    port: Any
    entries: tuple[Entry, ...] = ()

    def __str__(self) -> str:
        section = f" listener {self.section}" if self.section else ""
        port = f" port {self.port}" if self.port is not None else ""
        return f"{self.kind} {self.key}{section}{port}"


def parents_of(route: Object, obs: Observation) -> list[Parent]:
    """The parents in the order of the spec, each once, with the entries that are theirs."""
    namespace = namespace_of(route)
    found: dict[tuple[Any, ...], list[Entry]] = {
        _identity(ref, namespace): [] for ref in sequence(route, "spec", "parentRefs")
    }
    for entry in sequence(route, "status", "parents"):
        ours = found.get(_identity(mapping(entry, "parentRef"), namespace))
        if ours is not None and _speaks(entry):
            ours.append(entry)
    return [_parent(identity, entries, obs) for identity, entries in found.items()]


def is_parent(entry: Entry, route: Object) -> bool:
    """True for a status entry, whoever wrote it, of a parent that the route names."""
    namespace = namespace_of(route)
    wanted = _identity(mapping(entry, "parentRef"), namespace)
    return any(_identity(ref, namespace) == wanted for ref in sequence(route, "spec", "parentRefs"))


def controller_of_class(obs: Observation, gateway: ObjectKey) -> str:
    """The controllerName that the gateway's class gives; empty where gateway or class cannot be seen."""
    found = obs.get(kinds.GATEWAY, gateway.namespace, gateway.name)
    if not isinstance(found, Present):
        return ""
    cls = obs.get(kinds.GATEWAY_CLASS, "", text(found.obj, "spec", "gatewayClassName"))
    return text(cls.obj, "spec", "controllerName") if isinstance(cls, Present) else ""


def _parent(identity: tuple[Any, ...], entries: list[Entry], obs: Observation) -> Parent:
    _, kind, namespace, name, section, port = identity
    key = ObjectKey(namespace, name)
    if len({text(entry, "controllerName") for entry in entries}) > 1:
        controller = controller_of_class(obs, key)
        entries = [entry for entry in entries if text(entry, "controllerName") == controller] or entries
    return Parent(kind, key, section, port, tuple(entries))


def _speaks(entry: Entry) -> bool:
    """Policy controllers add entries that say nothing of the route itself."""
    conditions = sequence(entry, "conditions")
    return any(find_condition(conditions, type_) is not None for type_ in _SPEAKING)


def _identity(ref: Any, namespace: str) -> tuple[Any, ...]:
    return (
        text(ref, "group") or GATEWAY_API_GROUP,
        text(ref, "kind") or "Gateway",
        text(ref, "namespace") or namespace,
        text(ref, "name"),
        text(ref, "sectionName"),
        dig(ref, "port"),
    )
