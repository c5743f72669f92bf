"""Finalizers of an object, which may be a list too heavy to be read: `weight.decode` leaves such a one encoded."""

from collections.abc import Sequence
from typing import Final

import msgspec

from aioctl.api.encoding import to_json
from aioctl.api.objects import Object, dig, sequence

_PATH: Final = ("metadata", "finalizers")


def finalizers_of(obj: Object) -> Sequence[str] | None:
    """The list; None where it is too heavy: then nobody may write it, for entries of others would go. Raises FieldError."""
    return None if isinstance(dig(obj, *_PATH), msgspec.Raw) else sequence(obj, *_PATH)


def has_finalizer(obj: Object, name: str) -> bool:
    """Whether the list holds the name. Raises FieldError."""
    found = dig(obj, *_PATH)
    if isinstance(found, msgspec.Raw):
        return to_json(name) in bytes(found)
    return name in sequence(obj, *_PATH)
