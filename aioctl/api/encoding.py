"""Objects as compact JSON bytes: for cache keys and copies, where the same tree must give the same bytes."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

_MAX_DEPTH: Final = 10_000
"""Levels of nesting that the API server reads (sigs.k8s.io/json); one more is refused there."""
MAPPINGS: Final = (dict, Mapping)
"""For `isinstance` where it is asked often: a dict is told at once, the abstract class takes a call in Python."""
_Made = TypeVar("_Made")


def to_json(tree: Any) -> bytes:
    """Compact JSON in the tree's own key order."""
    return msgspec.json.encode(tree)


def to_sorted_json(tree: Any) -> bytes:
    """Compact JSON with sorted keys: trees that say the same give the same bytes."""
    return msgspec.json.encode(tree, order="deterministic")


def from_json(encoded: bytes) -> Any:
    """The tree; the caller owns it. Raises msgspec.DecodeError for what is no JSON."""
    return msgspec.json.decode(encoded)


def decode_deep(decode: Callable[[Any], _Made], encoded: Any) -> _Made:
    """`decode(encoded)`, as deep as the API server lets objects be, which is deeper than Python lets calls be.

    For decoders that leave subtrees encoded: one object that is nested like this must not hide the others of its list.
    """
    try:
        return decode(encoded)
    except RecursionError:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + _MAX_DEPTH)
        try:
            return decode(encoded)
        finally:
            sys.setrecursionlimit(limit)
