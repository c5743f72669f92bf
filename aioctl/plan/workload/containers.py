"""Editing a pod spec that is still being built: find by name, add unless it is there. Knows nothing of models."""

from dataclasses import dataclass
from typing import Any, Final

Item = dict[str, Any]

MAIN: Final = "main"
"""The container that serves the model."""
MODEL_PATH: Final = "/mnt/models"
PROVISION_VOLUME: Final = "kserve-provision-location"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the model in a pod, and where it finds it."""

    container: str = MAIN
    path: str = MODEL_PATH
    files: str = ""
    """The files that a download brings it, as the initializer reads them: a JSON list of patterns; empty: all."""


SERVER: Final = Reader()
"""The model server."""


def named(holder: Item, field: str, name: str) -> Item | None:
    """The element of the list `field` that has this name."""
    return next((item for item in holder.get(field) or () if item.get("name") == name), None)


def append(holder: Item, field: str, *items: Item) -> None:
    """Add to the list `field`, making it if needed."""
    holder[field] = [*(holder.get(field) or ()), *items]


def add_named(holder: Item, field: str, item: Item) -> Item:
    """Add to the list `field` unless an element of that name is there; returns the element that is there then."""
    known = named(holder, field, item["name"])
    if known is not None:
        return known
    append(holder, field, item)
    return item


def take_named(holder: Item, field: str, name: str) -> Item | None:
    """Take the element of this name out of the list `field`; an emptied list goes."""
    known = named(holder, field, name)
    if known is not None:
        rest = [item for item in holder[field] if item is not known]
        if rest:
            holder[field] = rest
        else:
            del holder[field]
    return known


def add_provision_volume(pod: Item) -> None:
    """The scratch volume through which an init container or a modelcar hands over the model."""
    add_named(pod, "volumes", {"name": PROVISION_VOLUME, "emptyDir": {}})


def mount(name: str, path: str, **more: Any) -> Item:
    return {"name": name, "mountPath": path, **more}


def from_secret(variable: str, secret: str, key: str) -> Item:
    """An environment variable that refers to a key of a secret."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def override(holder: Item, variables: list[Item]) -> None:
    """Add variables; of one that is there already only the plain value is replaced (ART-2).

    A reference that is there stays, and a plain value met by a reference becomes empty: Go compares and sets `value`.
    """
    for variable in variables:
        known = named(holder, "env", variable["name"])
        if known is None:
            append(holder, "env", variable)
        elif "value" in variable:
            known["value"] = variable["value"]
        else:
            known.pop("value", None)
