"""Values inside error texts, spelled as Go's encoder spells its structs: declared field order, its fillers, `\\u003c`.

The types are those of the table; the ones that admission quotes (ADM-2) have names here. What is not known keeps the
order it came in, after what is. Nothing compares these texts but people and recordings.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from aioctl.golang.gotypes import Field, GoType, Shape, Written, go_type

PARALLELISM: Final = go_type("kserve.ParallelismSpec")
ROUTE: Final = go_type("kserve.HTTPRouteSpec")
ROUTE_SPEC: Final = go_type("gateway.HTTPRouteSpec")
POD_SPEC: Final = go_type("core.PodSpec")


def _filler(entry: Field) -> dict[str, Any]:
    """What Go writes for a field that is unset: structs that are no pointers, and lists without omitempty."""
    if entry.type.shape is Shape.STRUCT and entry.written is not Written.OMIT_ZERO:
        return {entry.json: {}}
    if entry.type.shape is Shape.LIST and entry.written is Written.ALWAYS:
        return {entry.json: None}
    return {}


def _dropped(entry: Field, value: Any) -> bool:
    """Whether Go leaves the field out: false in a field with omitempty that is no pointer."""
    return value is False and entry.type.shape is Shape.BOOL and entry.written is Written.OMIT_EMPTY


def _ordered(value: Any, type_: GoType | None) -> Any:
    """The value in Go's order; without a type, or where the type is another, as it is."""
    if type_ is not None and type_.shape is Shape.POINTER:
        type_ = type_.of
    shape = None if type_ is None else type_.shape
    if isinstance(value, list):
        item_type = type_.of if type_ is not None and shape is Shape.LIST else None
        return [_ordered(item, item_type) for item in value]
    if not isinstance(value, Mapping):
        return value
    given = {key: part for key, part in value.items() if part is not None}
    if type_ is None or shape is not Shape.STRUCT:
        part_type = type_.of if type_ is not None and shape is Shape.MAP else None
        return {key: _ordered(part, part_type) for key, part in given.items()}
    ordered: dict[str, Any] = {}
    for entry in type_.struct.fields:
        filled = {**_filler(entry), **({entry.json: given[entry.json]} if entry.json in given else {})}
        ordered |= {
            key: _ordered(part, entry.type) for key, part in filled.items() if not _dropped(entry, part)
        }
    known = {entry.json for entry in type_.struct.fields}
    return ordered | {key: _ordered(part, None) for key, part in given.items() if key not in known}


def dump(value: Any, type_: GoType | None = None) -> str:
    """Compact JSON as Go writes it; absent is `null`, and `<`, `>` and `&` are escaped."""
    text = json.dumps(_ordered(value, type_), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
