"""Which labels and annotations an object and its pods have from the service's spec or metadata (WORK-10).

Entries of others stay in every write of ours. Without a record of our own, what a user has taken out of the spec would pass for
theirs, and stay in pods for ever. So the keys are remembered on the object: one that is no longer given is no reason to write, goes
from the object with the next write, and from its pods when they are replaced for another reason.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from aioctl.api.names import GIVEN, GIVEN_PODS
from aioctl.api.objects import Object, annotations_of, labels_of, mapping

RECORDS: Final = frozenset({GIVEN, GIVEN_PODS})
_SEPARATOR: Final = ","


def record(keys: Collection[str], pods: Collection[str] = ()) -> dict[str, str]:
    """The annotations that remember the keys that the object and its pods have; none for none."""
    found = {GIVEN: keys, GIVEN_PODS: pods}
    return {name: _SEPARATOR.join(sorted(given)) for name, given in found.items() if given}


def before(live: Object) -> frozenset[str]:
    """The keys that the live object itself was given."""
    return _recorded(live, GIVEN)


def before_in_pods(live: Object | None) -> frozenset[str]:
    """The keys that the pods of a live workload were given."""
    return frozenset() if live is None else _recorded(live, GIVEN_PODS)


def is_left_on(wanted: Object, live: Object) -> bool:
    """Whether the object itself still has a label or annotation that it was given and is no longer."""
    kept = {*labels_of(wanted), *annotations_of(wanted)}
    return any(key in labels_of(live) or key in annotations_of(live) for key in before(live) - kept)


def left_in_pods(
    live: Object | None, templates: Collection[Mapping[str, Any]], wanted: Collection[str]
) -> frozenset[str]:
    """Annotations of these live pod templates that they were given and are no longer."""
    gone = before_in_pods(live).difference(wanted)
    return frozenset(
        key for key in gone if any(key in mapping(found, "metadata", "annotations") for found in templates)
    )


def _recorded(live: Object, name: str) -> frozenset[str]:
    return frozenset(key for key in annotations_of(live).get(name, "").split(_SEPARATOR) if key)
