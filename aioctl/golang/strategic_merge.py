"""Strategic merge as apimachinery does it: structs field by field, maps by key, lists by their merge key or replaced.

Both sides are as Go writes them (`roundtrip.py`). There are no `$patch` directives: a key of that name is data.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aioctl.golang.gotypes import Field, GoType, Shape, Struct

Tree = Mapping[str, Any]


class MissingMergeKey(ValueError):
    """An element of a list lacks the key by which the list is merged; the text is Go's."""


def merge_struct(base: Tree, patch: Tree, struct: Struct) -> dict[str, Any]:
    """The base with the patch laid over it; the result shares subtrees with both. Raises MissingMergeKey."""
    merged = {}
    for field in struct.fields:
        name = field.json
        if name not in patch:
            if name in base:
                merged[name] = base[name]
        elif patch[name] is None or base.get(name) is None:
            # A null removes the base's value; only fields that Go always writes can be null, so it stays as null.
            merged[name] = patch[name]
        else:
            merged[name] = _merge_value(base[name], patch[name], field)
    return merged


def _target(type_: GoType) -> GoType:
    return type_.of if type_.shape is Shape.POINTER else type_


def _merge_value(base: Any, patch: Any, field: Field) -> Any:
    type_ = _target(field.type)
    match type_.shape:
        case Shape.STRUCT:
            return merge_struct(base, patch, type_.struct)
        case Shape.MAP:
            return {**base, **patch}
        case Shape.LIST if field.merge_key is not None:
            return _merge_list(base, patch, type_.of, field.merge_key)
        case _:
            return patch


def _merge_list(base: Sequence[Any], patch: Sequence[Any], of: GoType, merge_key: str) -> list[Any]:
    key = _key_of(merge_key)
    merged = list(base)
    places = _first_places([key(item) for item in base])
    for item in patch:
        known = places.setdefault(key(item), len(merged))
        if known == len(merged):
            merged.append(item)
        elif of.shape is Shape.STRUCT:
            merged[known] = merge_struct(merged[known], item, of.struct)
    if not merge_key:
        merged = list(dict.fromkeys(merged))
    return _in_order(merged, [key(item) for item in base], [key(item) for item in patch], key)


def _key_of(merge_key: str) -> Callable[[Any], Any]:
    def key(item: Any) -> Any:
        if not merge_key:
            return item
        if merge_key not in item:
            shown = " ".join(f"{name}:{item[name]}" for name in sorted(item))
            raise MissingMergeKey(f"map: map[{shown}] does not contain declared merge key: {merge_key}")
        return item[merge_key]

    return key


def _first_places(keys: Sequence[Any]) -> dict[Any, int]:
    places: dict[Any, int] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, place)
    return places


def _in_order(
    merged: Sequence[Any], base: Sequence[Any], patch: Sequence[Any], key: Callable[[Any], Any]
) -> list[Any]:
    """The order of MERGE-1: patch order, with the base's own elements before what they stood before."""
    in_base, in_patch = _first_places(base), _first_places(patch)
    theirs = sorted(
        (item for item in merged if key(item) not in in_patch), key=lambda item: in_base[key(item)]
    )
    ours = sorted((item for item in merged if key(item) in in_patch), key=lambda item: in_patch[key(item)])
    result: list[Any] = []
    place = 0
    for item in ours:
        stood_at = in_base.get(key(item))
        while stood_at is not None and place < len(theirs) and in_base[key(theirs[place])] < stood_at:
            result.append(theirs[place])
            place += 1
        result.append(item)
    return result + theirs[place:]
