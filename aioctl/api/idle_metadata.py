"""Annotations and labels from which nothing follows (COND-9): values that nobody understands, keys that are read elsewhere or are ours.

Annotations change without the spec (`kubectl annotate`), so what they say is told when they change.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from aioctl.api import local_model, names
from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import SIDES, Finding


class _Switch(NamedTuple):
    """An annotation of few values."""

    known: tuple[str, ...]
    why: str
    """What another value lacks."""
    any_case: bool = True


_SWITCHES: Final[Mapping[str, _Switch]] = {
    names.STOP: _Switch(("true", "false"), 'only "true" stops a service'),
    names.ENABLE_AUTH: _Switch(("true", "false"), 'only "false" switches authentication off'),
    names.POD_FORM: _Switch(("keep", "current"), "it is none of keep, current", any_case=False),
    names.MIGRATION: _Switch(("", "paused"), "it is not paused", any_case=False),
    names.MIGRATION_STRATEGY: _Switch(
        ("", "auto", "weighted", "swap", "hold"), "it is none of auto, weighted, swap, hold", any_case=False
    ),
    names.CRITICALITY: _Switch(
        ("Critical", "Standard", "Sheddable"), "it is none of Critical, Standard, Sheddable", any_case=False
    ),
    names.OLD_POOLS: _Switch(("finished", "leaving"), "it is not finished", any_case=False),
}
_TOLD_OTHERWISE: Final = (names.MIGRATION, names.MIGRATION_STRATEGY)
"""By an event of the migration."""


def combined(service: Object) -> Iterator[Finding]:
    """What is also told of in an event: not everybody reads what admission says, and not everything passes it."""
    for finding in of_annotations(service):
        if finding.path not in map(_at, _TOLD_OTHERWISE):
            yield finding


def of_annotations(service: Object) -> Iterator[Finding]:
    """Of the service's own annotations."""
    found = dig(service, "metadata", "annotations")
    if not isinstance(found, Mapping):
        return
    for key, switch in _SWITCHES.items():
        said = str(found.get(key, ""))
        if key in found and (said.casefold() if switch.any_case else said) not in switch.known:
            yield Finding(_at(key), switch.why)
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
