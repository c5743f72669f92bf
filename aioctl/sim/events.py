"""The two faces of one Event: core/v1, in which it is kept, and events.k8s.io/v1.

Both are served from the same storage, as the real server does, so that `kubectl describe` finds what the controller wrote.
"""

from typing import Any, Final

Object = dict[str, Any]

_PAIRS: Final = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("reportingComponent", "reportingController"),
    ("reportingInstance", "reportingInstance"),
)


def to_new(core: Object) -> Object:
    """core/v1 as events.k8s.io/v1."""
    names = dict(_PAIRS)
    return {names.get(key, key): value for key, value in core.items()} | {"apiVersion": "events.k8s.io/v1"}


def to_core(new: Object) -> Object:
    """events.k8s.io/v1 as core/v1."""
    names = {theirs: ours for ours, theirs in _PAIRS}
    return {names.get(key, key): value for key, value in new.items()} | {"apiVersion": "v1"}
