"""Encoded objects, opened only where a shape names something: everything else stays the bytes it came in.

A shape is made of dicts and one-item lists, which are opened, and of `VALUE`, which is decoded.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aioctl.api.encoding import decode_deep


class _Value:
    """Marks a place of the shape whose value is needed, not only its structure."""


VALUE: Final = _Value()
LONG_TEXT: Final = _Value()
"""As `VALUE`, for annotations that carry whole objects."""
Shape = dict[str, Any] | list[Any] | _Value

MOST_ANNOTATIONS: Final = 256 * 1024
"""Bytes of all annotations together (apimachinery, TotalAnnotationSizeLimitB): a write with more is refused."""
_MOST_OPENED: Final = 64 * 1024
"""Bytes of a list, a carrier or a flat map that are looked into; what is longer passes through as it is. A thousand
adapters have 60 kB, and a carrier that is written for them fits into the annotations (256 KiB, all together)."""
BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for bytes that it cannot read."""

_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
_SCALAR: Final = msgspec.json.Decoder(str | int | bool | None)
_NULL: Final = msgspec.Raw(b"null")


def top_level(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """The object's fields, each still encoded. Raises one of BROKEN for what is no JSON object."""
    return dict(decode_deep(_OBJECT.decode, raw))


def open_parts(tree: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    """The same tree, opened in place where the shape says; what has another type or cannot be decoded stays encoded."""
    for key, part in shape.items():
        if key in tree:
            tree[key] = opened(tree[key], part)
    return tree


def split(raw: msgspec.Raw) -> msgspec.Raw | dict[str, msgspec.Raw]:
    """An object's fields, each still encoded, which `open_parts` takes as well; any other value as it is."""
    try:
        return decode_deep(_OBJECT.decode, raw)
    except BROKEN:
        return raw


def opened(raw: msgspec.Raw | dict[str, Any], shape: Shape) -> Any:
    """As `open_parts`, of one value."""
    if isinstance(raw, dict):
        return open_parts(raw, shape) if isinstance(shape, dict) else raw
    most = 2 * MOST_ANNOTATIONS if shape is LONG_TEXT else _MOST_OPENED
    if len(memoryview(raw)) > most and (not isinstance(shape, dict) or not shape or "matchLabels" in shape):
        return raw
    try:
        if isinstance(shape, dict):
            return open_parts(decode_deep(_OBJECT.decode, raw), shape)
        if isinstance(shape, list):
            return [_opened_item(item, shape[0]) for item in decode_deep(_LIST.decode, raw)]
        return _SCALAR.decode(raw)
    except BROKEN:
        # null and other types; also what JSON allows and the decoder does not, such as numbers beyond a double.
        return None if bytes(raw) == b"null" else raw


def _opened_item(raw: msgspec.Raw, shape: Shape) -> Any:
    """As `opened`. A list may have thousands that are no objects: a failed decoding costs much more than a look."""
    is_object = bytes(memoryview(raw)[:1]) == b"{"
    return opened(raw, shape) if is_object or raw == _NULL else raw


def text_at(tree: Mapping[str, Any], key: str) -> str:
    """The text at the key, decoded or not; empty for anything else."""
    value = tree.get(key)
    try:
        found = _SCALAR.decode(value) if isinstance(value, msgspec.Raw) else value
    except BROKEN:
        return ""
    return found if isinstance(found, str) else ""
