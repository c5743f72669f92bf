"""Pods of a service as findings of what has no effect look at them; nothing here raises, whatever the shapes are."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from aioctl.api.objects import Object, dig

MAIN: Final = "main"
INITIALIZER: Final = "storage-initializer"
SIDES: Final = (("spec",), ("spec", "prefill"))
PODS: Final = ("template", "worker")


class Finding(NamedTuple):
    """A field, and why nothing follows from it."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} has no effect: {self.why}"


def pods(service: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for at in SIDES:
        for name in PODS:
            pod = dig(service, *at, name)
            if isinstance(pod, Mapping):
                yield ".".join((*at, name)), pod


def containers(pod: object, field: str) -> list[Mapping[str, Any]]:
    found = dig(pod, field)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def named(pod: object, field: str, name: str) -> Mapping[str, Any] | None:
    return next((item for item in containers(pod, field) if item.get("name") == name), None)


def variables(container: Mapping[str, Any] | None) -> frozenset[str]:
    found = dig(container, "env")
    return frozenset(
        str(item.get("name"))
        for item in (found if isinstance(found, list) else ())
        if isinstance(item, Mapping)
    )


def listed(owner: object, field: str) -> list[Any]:
    found = dig(owner, field)
    return found if isinstance(found, list) else []


def shown(pod: object) -> str:
    """All command lines of a pod spec, and the variables that they may use."""
    words: list[object] = []
    for container in containers(pod, "containers"):
        for field in ("command", "args"):
            found = container.get(field)
            words += found if isinstance(found, list) else []
        variables = container.get("env")
        words += [dig(item, "value") or "" for item in (variables if isinstance(variables, list) else ())]
    return " ".join(str(word) for word in words)
