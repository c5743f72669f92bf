"""Objects as compact JSON bytes: for cache keys and copies, where the same tree must give the same bytes."""

from typing import Any

import msgspec


def to_json(tree: Any) -> bytes:
    """Compact JSON in the tree's own key order."""
    return msgspec.json.encode(tree)


def from_json(encoded: bytes) -> Any:
    """The tree; the caller owns it. Raises msgspec.DecodeError for what is no JSON."""
    return msgspec.json.decode(encoded)
