"""Carries the fields that only v1alpha2 has through v1alpha1, in two annotations (CONV-8).

On the way down a field that its schema accepts moves into the annotation, others stay where they are, for the API server
to drop; on the way up it comes back if its parent is still there and nothing is in its place: a visible edit wins. Both
ways work on trees whose parts may still be encoded, and open only what leads to such a field.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from aioctl.api.carried_fields import SPEC, SPEC_FIELDS, STATUS, STATUS_FIELDS, Branch, Rows
from aioctl.api.conversion_carriers import Annotations, encode, is_null
from aioctl.api.encoding import MAPPINGS, decode_deep
from aioctl.api.opening import MOST_ANNOTATIONS
from aioctl.api.schema_checks import Check, fits

LeftOut = Callable[[str], None]
"""Called with the path of each field for which the annotations have no room."""

_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError)
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST: Final = msgspec.json.Decoder(list[msgspec.Raw])
PARTS: Final = {"spec": SPEC, "status": STATUS}
"""The parts of an object that have fields of v1alpha2 alone."""
_KEYS: Final = {"spec": SPEC_FIELDS, "status": STATUS_FIELDS}
_NO_TEXT: Final = object()
_MOST_PARTS: Final = 20_000
"""Of one value: 256 KiB hold 6,500 references of 40 bytes with three each. 83,000 empty ones took 153 ms to be checked."""


def _opened(value: Any) -> Any:
    """One level of an encoded object or list; what is decoded, another type or too long to be carried stays as it is."""
    if not isinstance(value, msgspec.Raw):
        return value
    first = bytes(memoryview(value)[:1])
    try:
        if first == b"{":
            return decode_deep(_OBJECT.decode, value)
        if first == b"[" and len(memoryview(value)) <= MOST_ANNOTATIONS:
            return decode_deep(_LIST.decode, value)
    except _BROKEN:
        pass
    return value


def _plain(value: Any) -> Any:
    """The decoded value; None, which no field accepts, for what cannot be decoded."""
    if not isinstance(value, msgspec.Raw):
        return value
    try:
        return msgspec.json.decode(value)
    except _BROKEN:
        return None


def _is_too_long(value: Any) -> bool:
    """Whether no annotation has room for the encoded value, or only as its entries say next to nothing."""
    if not isinstance(value, msgspec.Raw):
        return False
    if len(memoryview(value)) > MOST_ANNOTATIONS:
        return True
    text = bytes(value)
    return text.count(b",") + text.count(b"{") > _MOST_PARTS


def _may_hold(value: Any, names: tuple[bytes, ...]) -> bool:
    """False when encoded text has none of the names; an escape could hide one."""
    return not isinstance(value, msgspec.Raw) or _names_in(bytes(value), names)


def _names_in(encoded: bytes, names: tuple[bytes, ...]) -> bool:
    for name in names:
        if name in encoded:
            return True
    # A single byte is found ten times faster than two, and most objects have none.
    return b"\\" in encoded and b"\\u" in encoded


class _Cargo:
    """The text of one annotation while it grows, as far as there is room."""

    def __init__(self, annotations: Annotations, key: str, left_out: LeftOut | None) -> None:
        self._annotations = annotations
        self._key = key
        self._left_out = left_out
        self._entries: list[str] = []
        self._room: int | None = None

    def take(self, path: str, value: Any) -> bool:
        """True when the value is carried, so that its field can go."""
        if self._room is None:
            self._room = MOST_ANNOTATIONS - self._annotations.size(without=self._key) - len(self._key) - 2
        text = encode(value)
        entry = f'"{path}":{text}'
        if text is None or len(entry) + 1 > self._room:
            self.leave(path)
            return False
        self._room -= len(entry) + 1
        self._entries.append(entry)
        return True

    def leave(self, path: str) -> None:
        """Says that there is no room for the field."""
        if self._left_out is not None:
            self._left_out(path)

    def text(self) -> str:
        return f"{{{','.join(self._entries)}}}" if self._entries else ""


def _child(path: str, key: str | int) -> str:
    return f"{path}.{key}" if path else str(key)


def _branch_down(tree: Any, branch: Branch, path: str, cargo: _Cargo) -> Any:
    if not _may_hold(tree, branch.names):
        return tree
    found = _opened(tree)
    if not branch.many:
        return _object_down(tree, found, branch, path, cargo)
    if not isinstance(found, list):
        return tree
    changed = [
        _object_down(
            item, _opened(item) if _may_hold(item, branch.names) else item, branch, _child(path, index), cargo
        )
        for index, item in enumerate(found)
    ]
    return changed if any(new is not old for new, old in zip(changed, found, strict=True)) else tree


def _object_down(tree: Any, found: Any, branch: Branch, path: str, cargo: _Cargo) -> Any:
    """`tree`, which `found` is the opened form of, without what is carried; the same object when nothing is."""
    if not isinstance(found, MAPPINGS):
        return tree
    changed: dict[str, Any] | None = None
    for key, part in branch.parts.items():
        if key not in found:
            continue
        before, at = found[key], _child(path, key)
        if isinstance(part, Branch):
            after = _branch_down(before, part, at, cargo)
        elif isinstance(part, Rows):
            after = _rows_down(before, part, at, cargo)
        else:
            after = None if _carried(before, part, at, cargo) else before
        if after is before:
            continue
        changed = {**found} if changed is None else changed
        if after is None:
            del changed[key]
        else:
            changed[key] = after
    return tree if changed is None else changed


def _carried(value: Any, check: Check, path: str, cargo: _Cargo) -> bool:
    if is_null(value):
        return False
    if _is_too_long(value):
        cargo.leave(path)  # unread: 3 MB of access modes took 460 ms to be checked
        return False
    plain = _plain(value)
    if plain == "http" and path.endswith("appProtocol"):
        return True  # The default: no field of v1alpha1, and the API server adds it again in v1alpha2.
    return fits(check, plain) and cargo.take(path, plain)


def _key_of(row: Mapping[str, Any], rows: Rows) -> Any:
    """The row's key: a text, None for none, or what is equal to nothing for another type."""
    value = _plain(row.get(rows.key))
    return value if isinstance(value, str) or is_null(row.get(rows.key)) else _NO_TEXT


def _rows_down(tree: Any, rows: Rows, path: str, cargo: _Cargo) -> Any:
    found = _opened(tree) if _may_hold(tree, rows.names) else tree
    if not isinstance(found, list):
        return tree
    opened = [_opened(row) for row in found]
    entries = [_row_entry(row, rows) for row in opened]
    if not any(entry.keys() - {rows.key} for entry in entries) or not cargo.take(path, entries):
        return tree
    return [
        {key: value for key, value in row.items() if key == rows.key or key not in entry}
        if isinstance(row, MAPPINGS)
        else row
        for row, entry in zip(opened, entries, strict=True)
    ]


def _row_entry(row: Any, rows: Rows) -> dict[str, Any]:
    key = _key_of(row, rows) if isinstance(row, MAPPINGS) else _NO_TEXT
    if key is _NO_TEXT:
        return {}
    entry = {} if key is None else {rows.key: key}
    for name, check in rows.parts.items():
        value = row.get(name)
        if not is_null(value) and not _is_too_long(value) and fits(check, plain := _plain(value)):
            entry[name] = plain
    return entry


def _branch_up(tree: Any, branch: Branch, path: str, carried: Mapping[str, Any]) -> Any:
    found = _opened(tree)
    if not branch.many:
        return _object_up(tree, found, branch, path, carried)
    if not isinstance(found, list):
        return tree
    changed = [
        _object_up(item, _opened(item), branch, _child(path, index), carried)
        for index, item in enumerate(found)
    ]
    return changed if any(new is not old for new, old in zip(changed, found, strict=True)) else tree


def _object_up(tree: Any, found: Any, branch: Branch, path: str, carried: Mapping[str, Any]) -> Any:
    """`tree` with what was carried for it and is not there; the same object when that is nothing."""
    if not isinstance(found, MAPPINGS):
        return tree
    changed: dict[str, Any] | None = None
    for key, part in branch.parts.items():
        before, at = found.get(key), _child(path, key)
        if isinstance(part, Branch):
            after = _branch_up(before, part, at, carried)
        elif isinstance(part, Rows):
            after = _rows_up(before, part, _plain(carried.get(at)))
        elif is_null(before) and at in carried and fits(part, plain := _plain(carried[at])):
            after = plain
        else:
            continue
        if after is not before:
            changed = {**found} if changed is None else changed
            changed[key] = after
    return tree if changed is None else changed


def _rows_up(tree: Any, rows: Rows, entries: Any) -> Any:
    found = _opened(tree)
    if not isinstance(found, list) or not fits(rows.check, entries):
        return tree
    changed = [
        _row_up(row, rows, entries[index]) if index < len(entries) else row for index, row in enumerate(found)
    ]
    return changed if any(new is not old for new, old in zip(changed, found, strict=True)) else tree


def _row_up(row: Any, rows: Rows, entry: Mapping[str, Any]) -> Any:
    opened = _opened(row)
    if not isinstance(opened, MAPPINGS) or _key_of(opened, rows) != entry.get(rows.key):
        return row
    missing = {
        name: entry[name] for name in rows.parts if entry.get(name) is not None and is_null(opened.get(name))
    }
    return {**opened, **missing} if missing else row


def _entries(text: str | None) -> Mapping[str, Any]:
    """Path to encoded value; nothing for what is no JSON object."""
    try:
        return decode_deep(_OBJECT.decode, text.encode()) if text else {}
    except _BROKEN:
        return {}


def has_none(fields: Any, tree: Branch) -> bool:
    """Whether a part, split into its fields, has none that only v1alpha2 has: most have none, and their text tells at once.

    Only what a branch leads to is searched; most of a spec are pod templates, to which none does.
    """
    if not isinstance(fields, dict):
        return False
    for key, part in tree.parts.items():
        if key in fields and (not isinstance(part, Branch | Rows) or _may_hold(fields[key], part.names)):
            return False
    return True


def fields_down(
    result: dict[str, Any],
    annotations: Annotations,
    left_out: LeftOut | None = None,
    without: Collection[str] = (),
) -> None:
    """Move what only v1alpha2 has out of `result`, a fresh top level, into its annotations.

    `without` names the parts of which `has_none` was true.
    """
    if not annotations.writable:
        return
    for part, tree in PARTS.items():
        key = _KEYS[part]
        annotations.remove(key)
        if part not in result or part in without:
            continue
        cargo = _Cargo(annotations, key, left_out)
        result[part] = _branch_down(result[part], tree, "", cargo)
        if text := cargo.text():
            annotations.write(key, text)


def fields_up(result: dict[str, Any], annotations: Annotations) -> None:
    """Give `result`, a fresh top level, what its annotations carry for it; they go in any case."""
    if not annotations.writable:
        return
    for part, tree in PARTS.items():
        key = _KEYS[part]
        if key not in annotations:
            continue
        carried = _entries(annotations.text(key))
        annotations.remove(key)
        if carried and part in result:
            result[part] = _branch_up(result[part], tree, "", carried)
