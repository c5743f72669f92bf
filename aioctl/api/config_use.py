"""Which services use a config (ADM-8): what protects it, and what its status shows."""

from collections.abc import Callable
from typing import Any

from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, dig, namespace_of


def _none(_: ObjectKey) -> bool:
    return False


def uses(
    service: Object,
    config: ObjectKey,
    *,
    system_namespace: str,
    well_known: bool,
    exists: Callable[[ObjectKey], bool] = _none,
) -> bool:
    """Whether the service holds the config, which it looks for in its own namespace first and then in the system's.

    A well-known one is held by every service that would find it there. Any other is held by what the service's last plan
    was made of (`status.appliedConfigs`), and before there is one, by the names in its baseRefs and in the annotations of
    its status. `exists`: whether there is a config of that key, which then hides the system's of the same name.
    Values of wrong types name nothing.
    """
    if namespace_of(service) != config.namespace and config.namespace != system_namespace:
        return False
    if well_known:
        return True
    applied = dig(service, "status", "appliedConfigs")
    if isinstance(applied, list) and applied:
        return any(
            dig(entry, "name") == config.name and dig(entry, "namespace") == config.namespace
            for entry in applied
        )
    if config.name not in _names(service):
        return False
    own = ObjectKey(namespace_of(service), config.name)
    return own == config or not exists(own)


def _names(service: Object) -> list[Any]:
    """Names of configs that a service gives, or was given, before anything was applied."""
    refs, pinned = dig(service, "spec", "baseRefs"), dig(service, "status", "annotations")
    named = [dig(ref, "name") for ref in refs] if isinstance(refs, list) else []
    return [*named, *(pinned.values() if isinstance(pinned, dict) else ())]
