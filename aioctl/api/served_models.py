"""By which names the models of a stored service can be asked for, among those of all publishers (MODEL-3)."""

from collections.abc import Iterable, Iterator

from aioctl.api import names
from aioctl.api.objects import FieldError, Object, is_deleting, name_of, namespace_of, sequence, text


def qualified_models(service: Object) -> frozenset[str]:
    """The qualified names a stored service can be asked for: by its addresses, and by its spec as long as it has none.

    Those of a stopped one too, as it has none while it is stopped: it comes back under them. Empty for one that is being deleted, or
    has fields that cannot be read.
    """
    try:
        return frozenset() if is_deleting(service) else frozenset(_qualified_models(service))
    except FieldError:
        return frozenset()


def namesakes(services: Iterable[Object], name: str, group: str, models: frozenset[str]) -> list[str]:
    """Of these services of one namespace those that answer `Observation.namesakes`."""
    return sorted(
        name_of(service)
        for service in services
        if name_of(service) != name
        and not (group and text(service, "spec", "router", "route", "group") == group)
        and not models.isdisjoint(qualified_models(service))
    )


def _qualified_models(service: Object) -> Iterator[str]:
    namespace = namespace_of(service)
    addresses = sequence(service, "status", "addresses")
    for address in addresses:
        for model in sequence(address, "models"):
            if text(model, "name").startswith(names.qualified_model(namespace, "")):
                yield text(model, "name")
    if not addresses:
        yield names.qualified_model(namespace, text(service, "spec", "model", "name") or name_of(service))
        for adapter in sequence(service, "spec", "model", "lora", "adapters"):
            if text(adapter, "name"):
                yield names.qualified_model(namespace, text(adapter, "name"))
