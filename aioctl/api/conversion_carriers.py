"""What v1alpha1 says and v1alpha2 cannot hold, and the other way round, travels in annotations (CONV-3).

`Annotations` collects the edits of one conversion and applies them to a copy; the input is never touched. Here too: the
criticality of the model and of its adapters, which are only moved between a field and an annotation. A value of the
wrong type stays where it is. Values may be `msgspec.Raw` where the caller left a subtree encoded: anything that is not
a plain JSON value is passed through like any other unknown.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from aioctl.api.carrier_checks import (
    LEVELS,
    LORA_CRITICALITIES,
    UPSTREAM_CRITICALITY,
    decode,
    lora_criticalities,
)
from aioctl.api.encoding import MAPPINGS
from aioctl.api.names import CRITICALITY
from aioctl.api.schema_checks import fits


class Annotations:
    """The annotations of one object and the edits a conversion makes to them."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        metadata = obj.get("metadata")
        found = metadata.get("annotations") if isinstance(metadata, MAPPINGS) else None
        usable = found is None or isinstance(found, MAPPINGS)
        self.writable = (metadata is None or isinstance(metadata, MAPPINGS)) and usable
        """False when metadata or annotations have a wrong type: then nothing can be carried and fields stay."""
        self._found: Mapping[str, Any] = found if isinstance(found, MAPPINGS) else {}
        self._edits: dict[str, str | None] = {}

    def text(self, key: str) -> str | None:
        """The value when it is a string."""
        value = self._found.get(key)
        return value if isinstance(value, str) else None

    def __contains__(self, key: str) -> bool:
        return key in self._found

    def write(self, key: str, value: str) -> None:
        self._edits[key] = value

    def remove(self, key: str) -> None:
        if key in self._found:
            self._edits[key] = None

    def size(self, *, without: str) -> int:
        """Bytes of all keys and values as they will be, but for one key, as the API server counts them."""
        merged = {**self._found, **self._edits}
        return sum(
            len(key.encode(errors="replace")) + _length(value)
            for key, value in merged.items()
            if key != without
        )

    def apply(self, result: dict[str, Any]) -> None:
        """Put the edited annotations into `result`, a fresh top level; a map that becomes empty goes away."""
        if not self._edits:
            return
        edited = {**self._found, **self._edits}
        kept = {key: value for key, value in edited.items() if value is not None or key not in self._edits}
        metadata = dict(result.get("metadata") or {})
        metadata.pop("annotations", None)
        if kept:
            metadata["annotations"] = kept
        result["metadata"] = metadata


def _length(value: Any) -> int:
    """Bytes of an annotation's value; what is no text, which the API server refuses, counts nothing."""
    if isinstance(value, msgspec.Raw):
        try:
            value = msgspec.json.decode(value, type=str)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return 0
    return len(value.encode(errors="replace")) if isinstance(value, str) else 0


def encode(value: Any) -> str | None:
    """Compact JSON text of a carried value; None when it is nested too deeply to be written."""
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=True, default=_opened)
    except RecursionError:
        return None


def is_null(value: Any) -> bool:
    """True for null, decoded or not."""
    return value is None or (isinstance(value, msgspec.Raw) and bytes(value) == b"null")


def _opened(raw: Any) -> Any:
    """A subtree that was left encoded, as plain values; json.dumps calls this for what it does not know."""
    if not isinstance(raw, msgspec.Raw):
        raise TypeError(f"{type(raw).__name__} is no JSON value")
    return json.loads(bytes(raw))


def _carried_level(annotations: Annotations) -> str | None:
    """The first annotation with a value of the enum; others are left alone, whoever wrote them."""
    for key in (CRITICALITY, UPSTREAM_CRITICALITY):
        value = annotations.text(key)
        if value in LEVELS:
            return value
    return None


def criticality_up(model: Any, annotations: Annotations) -> Any:
    """Move `model.criticality` into our annotation; the field wins over what is there."""
    field = model.get("criticality") if isinstance(model, MAPPINGS) else None
    level = field if isinstance(field, str) else _carried_level(annotations)
    if level is None or not annotations.writable:
        return model
    annotations.write(CRITICALITY, level)
    annotations.remove(UPSTREAM_CRITICALITY)
    return _without(model, "criticality")


def criticality_down(model: Any, annotations: Annotations) -> Any:
    """Move the annotation's value back into the field; without a model there is no place for it."""
    if not isinstance(model, MAPPINGS) or not annotations.writable:
        return model
    level = _carried_level(annotations)
    if level is not None:
        annotations.remove(CRITICALITY)
        annotations.remove(UPSTREAM_CRITICALITY)
        return {**model, "criticality": level}
    stray = model.get("criticality")
    if not isinstance(stray, str):
        return model
    # Not a field of v1alpha2. Kept only where the way up and down again would give the same object.
    stays = stray in LEVELS and CRITICALITY not in annotations and UPSTREAM_CRITICALITY not in annotations
    return model if stays else _without(model, "criticality")


def _without(tree: Any, key: str) -> Any:
    if not isinstance(tree, MAPPINGS) or key not in tree:
        return tree
    return {name: value for name, value in tree.items() if name != key}


def _adapters(model: Any) -> list[Any] | None:
    lora = model.get("lora") if isinstance(model, MAPPINGS) else None
    adapters = lora.get("adapters") if isinstance(lora, MAPPINGS) else None
    return adapters if isinstance(adapters, list) else None


def _with_adapters(model: Mapping[str, Any], adapters: list[Any]) -> dict[str, Any]:
    return {**model, "lora": {**model["lora"], "adapters": adapters}}


def lora_up(model: Any, annotations: Annotations) -> Any:
    """Move the criticality of first-level adapters into an annotation that maps their index to it."""
    if not annotations.writable:
        return model
    annotations.remove(LORA_CRITICALITIES)
    adapters = _adapters(model)
    if adapters is None:
        return model
    carried = {
        str(index): adapter["criticality"]
        for index, adapter in enumerate(adapters)
        if isinstance(adapter, MAPPINGS) and isinstance(adapter.get("criticality"), str)
    }
    text = encode(carried) if carried else None
    if text is None:
        return model
    annotations.write(LORA_CRITICALITIES, text)
    return _with_adapters(
        model,
        [
            _without(adapter, "criticality") if str(index) in carried else adapter
            for index, adapter in enumerate(adapters)
        ],
    )


def lora_down(model: Any, annotations: Annotations) -> Any:
    """Give the adapters their criticality back; entries without an adapter are dropped with the annotation."""
    if not annotations.writable or LORA_CRITICALITIES not in annotations:
        return model
    carried = decode(annotations.text(LORA_CRITICALITIES))
    annotations.remove(LORA_CRITICALITIES)
    adapters = _adapters(model)
    if adapters is None or not fits(lora_criticalities, carried):
        return model
    restored = [
        {**adapter, "criticality": carried[str(index)]}
        if isinstance(adapter, MAPPINGS) and str(index) in carried
        else adapter
        for index, adapter in enumerate(adapters)
    ]
    return _with_adapters(model, restored)
