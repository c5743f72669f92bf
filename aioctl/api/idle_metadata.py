"""Annotations and labels from which nothing follows (COND-9): values that nobody understands, keys that are read elsewhere or are ours.

Annotations change without the spec (`kubectl annotate`), so what they say is told when they change.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from aioctl.api import local_model, names
from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import SIDES, Finding

_SWITCHES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    names.STOP: (("true", "false"), 'only "true" stops a service'),
    names.ENABLE_AUTH: (("true", "false"), 'only "false" switches authentication off'),
}
"""By annotation the values that are understood, whatever their case, and what to write."""


def of_annotations(service: Object) -> Iterator[Finding]:
    """Of the service's own annotations."""
    found = dig(service, "metadata", "annotations")
    if not isinstance(found, Mapping):
        return
    for key, (known, why) in _SWITCHES.items():
        if key in found and str(found[key]).casefold() not in known:
            yield Finding(_at(key), why)
    if names.MODEL_ROUTING in found:
        yield Finding(_at(names.MODEL_ROUTING), "it is read in spec.annotations")
    if local_model.DISABLED in found and local_model.NODE_GROUP in found:
        yield Finding(_at(local_model.NODE_GROUP), "caches of models are off for this service")


def of_labels(service: Object) -> Iterator[Finding]:
    """Of `labels` in the spec, which go to pods: those by which pods are found are set by the controller."""
    for at in (*SIDES, ("spec", "router", "scheduler")):
        given = dig(service, *at, "labels")
        for key in names.RESERVED_LABELS:
            if isinstance(given, Mapping) and key in given:
                yield Finding(f"{'.'.join(at)}.labels[{key}]", "pods are found by it, and it is set for them")


def _at(key: str) -> str:
    return f"metadata.annotations[{key}]"
