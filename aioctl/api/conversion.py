"""v1alpha1 <-> v1alpha2 of LLMInferenceService and LLMInferenceServiceConfig (CONV-1).

Field-wise on the JSON tree: known fields are mapped, everything else passes through, so what is not in the input is not
in the output and unknown fields survive. No defaulting, no validation, no error because of a field's content. `up` and
`down` work on decoded trees; `convert_object` decodes an encoded object only where those two look, and hands the rest
through as the bytes it came in, with the same result.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from aioctl.api.carried_fields import SPEC_FIELDS, STATUS_FIELDS
from aioctl.api.carrier_checks import CARRIERS
from aioctl.api.conversion_carried import MOST_ANNOTATIONS, LeftOut, fields_down, fields_up
from aioctl.api.conversion_carriers import (
    Annotations,
    criticality_down,
    criticality_up,
    lora_down,
    lora_up,
)
from aioctl.api.conversion_pool import pool_down, pool_up
from aioctl.api.encoding import MAPPINGS, decode_deep
from aioctl.api.kinds import CONFIG, SERVICE, V1ALPHA1, V1ALPHA2

_SCHEME = "aioctl"
_KINDS = frozenset({SERVICE.kind, CONFIG.kind})
_Step = Callable[[Any, Annotations], Any]
_LastStep = Callable[[dict[str, Any], Annotations], None]


class ConversionFailed(Exception):
    """The object cannot be converted; the text names it as `<namespace>/<name>` and says which part is wrong."""


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
    obj: Mapping[str, Any], target: str, *, criticality: _Step, lora: _Step, pool: _Step, fields: _LastStep
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
    obj: Mapping[str, Any], left_out: LeftOut | None = None, encoded: Mapping[str, bytes] | None = None
) -> dict[str, Any]:
    """The object as v1alpha1; one that is v1alpha1 already comes back unchanged. Untouched subtrees are shared.

    `left_out` is told the path of each field that only v1alpha2 has and for which the annotations have no room.
    `encoded` has spec and status as they came, only to be quick.
    """
    fields = partial(fields_down, left_out=left_out, encoded=encoded)
    return _converted(
        obj, V1ALPHA1, criticality=criticality_down, lora=lora_down, pool=pool_down, fields=fields
    )


class _Value:
    """Marks a place of the shape whose value is needed, not only its structure."""


_VALUE: Final = _Value()
_LONG_TEXT: Final = _Value()
"""As `_VALUE`, for annotations that carry whole objects."""
_Shape = dict[str, Any] | list[Any] | _Value
# What `up` and `down` look at: dicts and one-item lists are opened, `_VALUE` is decoded, everything else stays encoded.
_NUMBERED: _Shape = {"number": _VALUE}
_REFERENCE: _Shape = {"kind": _VALUE, "portNumber": _VALUE, "port": _NUMBERED}
_POOL: _Shape = {
    "selector": {"matchLabels": {}},
    "targetPortNumber": _VALUE,
    "targetPorts": [_NUMBERED],
    "extensionRef": _REFERENCE,
    "endpointPickerRef": _REFERENCE,
}
_SHAPE: dict[str, Any] = {
    "metadata": {
        "annotations": {
            **dict.fromkeys(CARRIERS, _VALUE),
            **dict.fromkeys((SPEC_FIELDS, STATUS_FIELDS), _LONG_TEXT),
        }
    },
    "spec": {
        "model": {"criticality": _VALUE, "lora": {"adapters": [{"criticality": _VALUE}]}},
        "router": {"scheduler": {"pool": {"spec": _POOL}}},
    },
}
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_SCALAR = msgspec.json.Decoder(str | int | bool | None)
_encode = msgspec.json.Encoder().encode
_NULL: Final = msgspec.Raw(b"null")
_PARTS: Final = ("spec", "status")
_BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


_MOST_OPENED: Final = 64 * 1024
"""Bytes of a list, a carrier or a flat map that are looked into; what is longer passes through as it is. A thousand
adapters have 60 kB, and a carrier that is written for them fits into the annotations (256 KiB, all together)."""


def _opened(raw: msgspec.Raw, shape: _Shape) -> Any:
    """The value with everything `shape` names decoded; what has another type or cannot be decoded stays encoded."""
    most = 2 * MOST_ANNOTATIONS if shape is _LONG_TEXT else _MOST_OPENED
    if len(memoryview(raw)) > most and (not isinstance(shape, dict) or not shape or "matchLabels" in shape):
        return raw
    try:
        if isinstance(shape, dict):
            tree = decode_deep(_OBJECT.decode, raw)
            return _open_parts(tree, shape)
        if isinstance(shape, list):
            return [_opened_item(item, shape[0]) for item in decode_deep(_LIST.decode, raw)]
        return _SCALAR.decode(raw)
    except _BROKEN:
        # null and other types; also what JSON allows and the decoder does not, such as numbers beyond a double.
        return None if bytes(raw) == b"null" else raw


def _opened_item(raw: msgspec.Raw, shape: _Shape) -> Any:
    """As `_opened`. A list may have thousands that are no objects: a failed decoding costs much more than a look."""
    is_object = bytes(memoryview(raw)[:1]) == b"{"
    return _opened(raw, shape) if is_object or raw == _NULL else raw


def _open_parts(tree: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    for key, part in shape.items():
        if key in tree:
            tree[key] = _opened(tree[key], part)
    return tree


def _text(tree: Mapping[str, Any], key: str) -> str:
    value = tree.get(key)
    try:
        found = _SCALAR.decode(value) if isinstance(value, msgspec.Raw) else value
    except _BROKEN:
        return ""
    return found if isinstance(found, str) else ""


def _label(tree: Mapping[str, Any]) -> str:
    """`<namespace>/<name>` for error texts, whatever the object is."""
    metadata = tree.get("metadata")
    if isinstance(metadata, msgspec.Raw):
        metadata = _opened(metadata, {})
    if not isinstance(metadata, MAPPINGS):
        return "<unnamed>"
    return f"{_text(metadata, 'namespace')}/{_text(metadata, 'name') or '<unnamed>'}"


def _not_registered(kind: str, version: str) -> str:
    return f'no kind "{kind}" is registered for version "{version}" in scheme "{_SCHEME}"'


def _short(version: str) -> str:
    return version.rpartition("/")[2]


def _check(kind: str, source: str, desired: str) -> None:
    """Raises ConversionFailed, without naming the object, for what is none of our kinds and versions."""
    if not kind:
        raise ConversionFailed("kind: Object 'Kind' is missing")
    if not source:
        raise ConversionFailed("apiVersion: Object 'apiVersion' is missing")
    for version in (source, desired):
        if version not in (V1ALPHA1, V1ALPHA2):
            raise ConversionFailed(_not_registered(kind, version))
    if kind.endswith("List") and kind.removesuffix("List") in _KINDS:
        raise ConversionFailed(f"*{_short(source)}.{kind} is not convertible to *{_short(desired)}.{kind}")
    if kind not in _KINDS:
        raise ConversionFailed(_not_registered(kind, source))


def convert_object(
    raw: bytes | msgspec.Raw, desired: str, left_out: LeftOut | None = None
) -> bytes | msgspec.Raw:
    """One encoded object in the desired version; the same bytes when it has that version already.

    `left_out` is told `<namespace>/<name>: <path>` of each field for which the annotations have no room.

    Raises ConversionFailed for what the protocol cannot express: no JSON object, another kind, an unknown version.
    """
    try:
        tree: dict[str, Any] = dict(decode_deep(_OBJECT.decode, raw))
    except _BROKEN as error:
        raise ConversionFailed(f"<unnamed>: expected a JSON object: {error}") from error
    source = _text(tree, "apiVersion")
    try:
        _check(_text(tree, "kind"), source, desired)
    except ConversionFailed as error:
        raise ConversionFailed(f"{_label(tree)}: {error}") from error
    if source == desired:
        return raw
    if desired == V1ALPHA2:
        return _encode(up(_open_parts(tree, _SHAPE)))
    encoded: dict[str, bytes] = {part: bytes(tree[part]) for part in _PARTS if part in tree}
    told = left_out and (lambda path: left_out(f"{_label(tree)}: {path}"))
    return _encode(down(_open_parts(tree, _SHAPE), told, encoded))
