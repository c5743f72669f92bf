"""Which services use which configs, kept up to date from the watch of services (CFG-5)."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from aioctl.api import kinds
from aioctl.api.encoding import decode_deep
from aioctl.api.kinds import ObjectKey
from aioctl.api.names import well_known_configs
from aioctl.controller.caches import Caches
from aioctl.kube.cached import Cached
from aioctl.plan.config_use import Uses
from aioctl.plan.policy import Policy


class _Named(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _Spec(msgspec.Struct):
    base_refs: list[_Named] | None = msgspec.field(default=None, name="baseRefs")


class _Status(msgspec.Struct):
    annotations: dict[str, str] | None = None
    applied: list[_Named] | None = msgspec.field(default=None, name="appliedConfigs")


class _Parts(msgspec.Struct):
    spec: msgspec.Raw = msgspec.Raw(b"null")
    status: msgspec.Raw = msgspec.Raw(b"null")


_parts = msgspec.json.Decoder(_Parts)
_spec = msgspec.json.Decoder(_Spec | None)
_status = msgspec.json.Decoder(_Status | None)


def uses_of(service: Cached) -> Uses:
    """What the service says; a part of the wrong type says nothing."""
    try:
        parts = decode_deep(_parts.decode, service.raw)
    except (msgspec.MsgspecError, RecursionError):
        return Uses()
    try:
        spec = decode_deep(_spec.decode, parts.spec) or _Spec()
    except (msgspec.MsgspecError, RecursionError):
        spec = _Spec()
    try:
        status = decode_deep(_status.decode, parts.status) or _Status()
    except (msgspec.MsgspecError, RecursionError):
        status = _Status()
    named = {ref.name for ref in spec.base_refs or ()} | set((status.annotations or {}).values())
    applied = frozenset((each.namespace, each.name) for each in status.applied or ())
    return Uses(applied, frozenset(named))


class ConfigUsers:
    """The index: services by the names of configs that they mention."""

    def __init__(self, caches: Caches, policy: Policy) -> None:
        self._caches = caches
        self._system = policy.system_namespace
        self._well_known = well_known_configs(policy.config_prefix)
        self._uses: dict[ObjectKey, Uses] = {}
        self._by_name: defaultdict[str, set[ObjectKey]] = defaultdict(set)
        self._going: set[ObjectKey] = set()
        """Services that are being deleted."""

    def changed(self, service: ObjectKey, now: Cached | None) -> set[ObjectKey]:
        """Takes in a change of a service; returns the configs whose users may be others now."""
        before = self._uses.pop(service, None)
        after = uses_of(now) if now is not None else None
        if after is not None:
            self._uses[service] = after
        goes = now is not None and now.deleting and service not in self._going
        self._going.discard(service)
        if now is not None and now.deleting:
            self._going.add(service)
        if before == after and not goes:
            return set()
        old, new = (uses.names if uses is not None else frozenset() for uses in (before, after))
        for name in old - new:
            self._by_name[name].discard(service)
            if not self._by_name[name]:
                del self._by_name[name]
        for name in new - old:
            self._by_name[name].add(service)
        touched = old | new
        if before is None or after is None or goes:
            touched |= self._well_known
        places = {service.namespace, self._system}
        return self._existing(ObjectKey(place, name) for place in places for name in touched)

    def of(self, config: ObjectKey) -> list[ObjectKey]:
        """The services that use the config, sorted: those of its namespace, or of all for one of the system namespace."""
        everywhere = config.namespace == self._system
        if config.name in self._well_known:
            found = {key for key in self._uses if everywhere or key.namespace == config.namespace}
        else:
            found = {
                key
                for key in self._by_name.get(config.name, ())
                if (everywhere or key.namespace == config.namespace)
                and self._uses[key].name(config, shadowed=self._shadowed(config, key.namespace))
            }
        return sorted(found)

    def all_go(self, users: Iterable[ObjectKey], namespace: str) -> bool:
        """Whether all of these services are of that namespace and being deleted."""
        return all(user.namespace == namespace and user in self._going for user in users)

    def siblings(self, config: ObjectKey) -> set[ObjectKey]:
        """The config itself, and the one of the system namespace that it may stand before."""
        return self._existing((config, ObjectKey(self._system, config.name)))

    def _shadowed(self, config: ObjectKey, namespace: str) -> bool:
        return config.namespace != namespace and self._exists(ObjectKey(namespace, config.name))

    def _existing(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        return {key for key in keys if self._exists(key)}

    def _exists(self, config: ObjectKey) -> bool:
        return self._caches.get(kinds.CONFIG, config) is not None
