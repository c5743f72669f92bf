"""Merging two specs as the Go controller does: a strategic merge of what the override mentions (MERGE-1).

Both sides are written as Go writes them first (`roundtrip.py`), so that only fields a Go client could have set change
the base. Lists with a merge key are joined by it, other lists replaced; there are no `$patch` directives, a key of that
name is data. Nothing is read or looked up here.

Decision (MERGE-3): an override's scheduler template without containers keeps the base's, like the other
four pod specs; the Go controller loses the scheduler's container there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aioctl.golang.gotypes import SPEC, Field, GoType, Shape, Struct
from aioctl.golang.roundtrip import round_trip
from aioctl.plan.model import PlanError

Tree = Mapping[str, Any]

_FAILED = "failed to merge specs: "
_POD_SPECS = (
    ("template",),
    ("worker",),
    ("prefill", "template"),
    ("prefill", "worker"),
    ("router", "scheduler", "template"),
)


class MergeError(PlanError):
    """Two specs cannot be merged; the text starts with `failed to merge specs: `."""


def merge(base: Tree, override: Tree) -> dict[str, Any]:
    """The base with everything the override mentions laid over it, as Go writes it. Both are left unchanged.

    Raises MergeError for a list element without its merge key, FieldError for a value of the wrong type.
    """
    return merge_written(round_trip(base), round_trip(override))


def merge_written(base: Tree, override: Tree) -> dict[str, Any]:
    """`merge` of two specs that came out of the round trip. The result shares subtrees with both."""
    return _merge_struct(base, _patch(override), SPEC.struct)


def _patch(override: Tree) -> dict[str, Any]:
    """What the override mentions: pod specs without containers say nothing about them, an empty uri says nothing."""
    patch = dict(override)
    for path in _POD_SPECS:
        patch = _default_containers(patch, path)
    model = patch.get("model")
    if model is not None and not model.get("uri"):
        patch["model"] = {name: value for name, value in model.items() if name != "uri"}
    return patch


def _default_containers(tree: Tree, path: Sequence[str]) -> dict[str, Any]:
    below = tree.get(path[0])
    if below is None:
        return dict(tree)
    if len(path) > 1:
        return {**tree, path[0]: _default_containers(below, path[1:])}
    if below.get("containers") is not None:
        return dict(tree)
    return {**tree, path[0]: {**below, "containers": []}}


def _merge_struct(base: Tree, patch: Tree, struct: Struct) -> dict[str, Any]:
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
            return _merge_struct(base, patch, type_.struct)
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
            merged[known] = _merge_struct(merged[known], item, of.struct)
    if not merge_key:
        merged = list(dict.fromkeys(merged))
    return _in_order(merged, [key(item) for item in base], [key(item) for item in patch], key)


def _key_of(merge_key: str) -> Callable[[Any], Any]:
    def key(item: Any) -> Any:
        if not merge_key:
            return item
        if merge_key not in item:
            shown = " ".join(f"{name}:{item[name]}" for name in sorted(item))
            raise MergeError(
                f"{_FAILED}could not apply merge patch: "
                f"map: map[{shown}] does not contain declared merge key: {merge_key}"
            )
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
