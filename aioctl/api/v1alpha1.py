"""v1alpha1 <-> the hub, v1alpha2 (CONV-1): all that conversion knows of this version.

`up` and `down` work on decoded trees, and on trees that are opened only where `_SHAPE` says, with the same result. What is
not in the input is not in the output, unknown fields pass through, and no field's content is an error.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

from aioctl.api.carried_fields import SPEC_FIELDS, STATUS_FIELDS
from aioctl.api.carrier_checks import CARRIERS
from aioctl.api.conversion_carried import PARTS, LeftOut, fields_down, fields_up, has_none
from aioctl.api.conversion_carriers import (
    Annotations,
    criticality_down,
    criticality_up,
    lora_down,
    lora_up,
)
from aioctl.api.conversion_pool import pool_down, pool_up
from aioctl.api.encoding import MAPPINGS
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2
from aioctl.api.opening import LONG_TEXT, VALUE, Shape, open_parts, split

_Change = Callable[[Any, Annotations], Any]
_LastStep = Callable[[dict[str, Any], Annotations], None]

# What `up` and `down` look at.
_NUMBERED: Final[Shape] = {"number": VALUE}
_REFERENCE: Final[Shape] = {"kind": VALUE, "portNumber": VALUE, "port": _NUMBERED}
_POOL: Final[Shape] = {
    "selector": {"matchLabels": {}},
    "targetPortNumber": VALUE,
    "targetPorts": [_NUMBERED],
    "extensionRef": _REFERENCE,
    "endpointPickerRef": _REFERENCE,
}
_SHAPE: Final[dict[str, Any]] = {
    "metadata": {
        "annotations": {
            **dict.fromkeys(CARRIERS, VALUE),
            **dict.fromkeys((SPEC_FIELDS, STATUS_FIELDS), LONG_TEXT),
        }
    },
    "spec": {
        "model": {"criticality": VALUE, "lora": {"adapters": [{"criticality": VALUE}]}},
        "router": {"scheduler": {"pool": {"spec": _POOL}}},
    },
}


def _at(tree: Any, path: tuple[str, ...], change: Callable[[Any], Any]) -> Any:
    """`tree` with the subtree at `path` changed; the same object when nothing changed or the path leads nowhere."""
    if not path:
        return change(tree)
    if not isinstance(tree, MAPPINGS) or path[0] not in tree:
        return tree
    before = tree[path[0]]
    after = _at(before, path[1:], change)
    return tree if after is before else {**tree, path[0]: after}


def _converted(
    obj: Mapping[str, Any],
    target: str,
    *,
    criticality: _Change,
    lora: _Change,
    pool: _Change,
    fields: _LastStep,
) -> dict[str, Any]:
    if obj.get("apiVersion") == target:
        return dict(obj)
    annotations = Annotations(obj)
    spec = obj.get("spec")
    model = spec.get("model") if isinstance(spec, MAPPINGS) else None
    # These run without a model too: a carrier annotation that has lost its field is cleaned up.
    changed = lora(criticality(model, annotations), annotations)
    result = {**obj, "apiVersion": target}
    if changed is not model:
        spec = _at(spec, ("model",), lambda _: changed)
    inline = _dig(spec, "router", "scheduler", "pool", "spec")
    after = pool(inline, annotations)
    if after is not inline:
        spec = _at(spec, ("router", "scheduler", "pool", "spec"), lambda _: after)
    if "spec" in obj:
        result["spec"] = spec
    fields(result, annotations)
    annotations.apply(result)
    return result


def _dig(tree: Any, *path: str) -> Any:
    for part in path:
        tree = tree.get(part) if isinstance(tree, MAPPINGS) else None
    return tree


def up(obj: Mapping[str, Any]) -> dict[str, Any]:
    """The object as v1alpha2; one that is v1alpha2 already comes back unchanged. Untouched subtrees are shared."""
    return _converted(obj, V1ALPHA2, criticality=criticality_up, lora=lora_up, pool=pool_up, fields=fields_up)


def down(
    obj: Mapping[str, Any], left_out: LeftOut | None = None, without: Collection[str] = ()
) -> dict[str, Any]:
    """The object as v1alpha1; one that is v1alpha1 already comes back unchanged. Untouched subtrees are shared.

    `left_out` is told the path of each field that only v1alpha2 has and for which the annotations have no room.
    `without` names the parts that are known to have no such field, only to be quick.
    """
    fields = partial(fields_down, left_out=left_out, without=without)
    return _converted(
        obj, V1ALPHA1, criticality=criticality_down, lora=lora_down, pool=pool_down, fields=fields
    )


def up_encoded(top: dict[str, Any]) -> dict[str, Any]:
    """As `up`, of an object whose fields are still encoded; it is opened in place."""
    return up(open_parts(top, _SHAPE))


def down_encoded(top: dict[str, Any], left_out: LeftOut | None = None) -> dict[str, Any]:
    """As `down`, of an object whose fields are still encoded; it is opened in place."""
    without = []
    for part, tree in PARTS.items():
        if part in top:
            top[part] = split(top[part])
            if has_none(top[part], tree):
                without.append(part)
    return down(open_parts(top, _SHAPE), left_out, without)
