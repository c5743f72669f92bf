"""Lists that are sets or maps (`x-kubernetes-list-type`): nothing stands in them twice.

Texts are those of apiextensions-apiserver 0.34 (pkg/apiserver/schema/listtype/validation.go).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from aioctl.sim.errors import Cause


def repeated(source: Mapping[str, Any], value: Any, path: str = "") -> Iterator[Cause]:
    """Each item of a value that repeats one before it, by the schema of the value."""
    if isinstance(value, dict):
        properties, extra = source.get("properties") or {}, source.get("additionalProperties")
        for name, item in value.items():
            below = properties.get(name, extra)
            if isinstance(below, Mapping) and isinstance(item, (dict, list)):
                yield from repeated(below, item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        seen = set()
        for index, item in enumerate(value):
            key = _key(source, item)
            if key in seen:
                yield Cause(f"{path}[{index}]", f"Duplicate value: {key}", "FieldValueDuplicate")
            elif key:
                seen.add(key)
            if isinstance(items := source.get("items"), Mapping):
                yield from repeated(items, item, f"{path}[{index}]")


def _key(source: Mapping[str, Any], item: Any) -> str:
    """What may stand in the list once, as JSON; empty in a list that is neither a set nor a map."""
    kind = source.get("x-kubernetes-list-type")
    if kind == "map" and isinstance(item, dict):
        names = source.get("x-kubernetes-list-map-keys") or ()
        item = {name: item[name] for name in names if name in item}
    elif kind != "set":
        return ""
    return msgspec.json.encode(item, order="sorted").decode()
