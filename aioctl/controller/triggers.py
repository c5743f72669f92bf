"""From a change in a cache to the services it concerns. Pure functions; the watches of WATCH-1.

Children wake their owner; pods the service their label names, when their addresses or the states of their init containers
change (WATCH-2); shadow Services of a pool whoever read that pool, and the Services of a gateway whoever read that gateway;
and every object wakes the services whose last plan read it (`interests.py`). Services that share traffic wake each other when one of them is something else to the others.
"""

from typing import Any

from aioctl.api import kinds, names, weight
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef
from aioctl.api.objects import dig
from aioctl.controller.interests import Interests, members_of
from aioctl.kube.cached import Cached
from aioctl.plan.config import say_the_same
from aioctl.plan.groups import Member, member_of


def keys_for(
    kind: Kind, old: Cached | None, new: Cached | None, interests: Interests, system_namespace: str = ""
) -> set[ObjectKey]:
    """The services to reconcile after the object changed from `old` to `new` (None = not there)."""
    keys: set[ObjectKey] = _peers(old, new, interests) if kind == kinds.SERVICE else set()
    if old is not None and new is not None and _says_the_same(kind, old, new, system_namespace):
        return keys
    for item in (old, new):
        if item is None:
            continue
        if kind == kinds.SERVICE:
            keys.add(item.key)
            continue
        owner = owning_service(item)
        if owner is not None:
            keys.add(owner)
        elif kind == kinds.POD and names.NAME in item.labels and _is_news(old, new):
            keys.add(ObjectKey(item.key.namespace, item.labels[names.NAME]))
        if kind == kinds.CORE_SERVICE and names.SHADOW_POOL in item.labels:
            pool = item.labels[names.SHADOW_POOL]
            for generation in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
                keys |= interests.readers(ObjectRef(generation, item.key.namespace, pool))
        if kind == kinds.CORE_SERVICE and names.GATEWAY_NAME in item.labels:
            gateway = item.labels[names.GATEWAY_NAME]
            keys |= interests.readers(ObjectRef(kinds.GATEWAY, item.key.namespace, gateway))
        keys |= interests.readers(ObjectRef(kind, item.key.namespace, item.key.name))
    return keys


def _peers(old: Cached | None, new: Cached | None, interests: Interests) -> set[ObjectKey]:
    """Of a service that others share traffic with: those that look at its groups, when it is something else to them."""
    groups = {
        item.labels[names.ROUTING_GROUP] for item in (old, new) if item and names.ROUTING_GROUP in item.labels
    }
    if not groups or _as_member(old) == _as_member(new):
        return set()
    namespace = next(item.key.namespace for item in (old, new) if item)
    return set().union(*(interests.readers(members_of(namespace, group)) for group in groups))


def _as_member(item: Cached | None) -> Member | None:
    return member_of(weight.decode(item.raw)) if item is not None else None


def _says_the_same(kind: Kind, old: Cached, new: Cached, system_namespace: str) -> bool:
    """Nothing that a plan reads has changed."""
    if kind == kinds.CONFIG_MAP:
        return _same_settings(old, new, system_namespace)
    if kind == kinds.CONFIG:
        return _same_spec(old, new)
    return kind == kinds.CRD and _same_schema(old, new)


def _same_settings(old: Cached, new: Cached, system_namespace: str) -> bool:
    """Of `inferenceservice-config` most keys are for other controllers; of another ConfigMap everything counts."""
    settings = new.key == ObjectKey(system_namespace, names.CONFIG_MAP_NAME)
    return settings and say_the_same(old.decode(), new.decode(), system_namespace)


def _same_spec(old: Cached, new: Cached) -> bool:
    """Only the spec of a config is combined; its status follows from the services and must not wake them again."""
    return old.uid == new.uid and old.part("spec") == new.part("spec")


def _is_news(old: Cached | None, new: Cached | None) -> bool:
    """Of a pod. One that is gone takes no address out of a certificate; one that is first seen with an address is news."""
    return new is not None and _progress_of(old) != _progress_of(new)


def _progress_of(pod: Cached | None) -> tuple[Any, ...]:
    if pod is None:
        return None, None, None
    found = pod.decode()
    addresses, before_main = (dig(found, "status", field) for field in ("podIPs", "initContainerStatuses"))
    seen = addresses or before_main
    return pod.labels.get(names.NAME) if seen else None, addresses or None, before_main or None


def _same_schema(old: Cached, new: Cached) -> bool:
    """The status of a CRD changes by itself; only another spec judges services in another way."""
    return (old.uid, old.generation) == (new.uid, new.generation)


def owning_service(item: Cached) -> ObjectKey | None:
    """The LLMInferenceService that controls the object; any version of the group counts."""
    if item.owner is None or item.owner.kind != "LLMInferenceService":
        return None
    if item.owner.api_version.split("/", 1)[0] != kinds.GROUP:
        return None
    return ObjectKey(item.key.namespace, item.owner.name)
