"""Structural schemas: defaults and the handful of checks that decide whether our writes are accepted.

A schema is a plain mapping as in a CRD's `openAPIV3Schema`; the tables of facts hold small ones, and a CRD that a client
installs brings its own. Compiled once, so that a write walks only fields that are there. No CEL: what depends on that is
tested on a real API server (ARCH-10).
"""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from aioctl.sim.errors import Cause, invalid_value, required

_MISSING: Final[Any] = object()
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
SKIPS_RULES: Final = frozenset(
    {
        "FieldValueRequired",
        "FieldValueNotSupported",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
"""After one of these the API server does not run a CRD's CEL rules (ADM-7)."""
UNCHECKED_RULES: Final = Cause(
    "<nil>",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
)


_HOLDERS: Final = (dict, list)
"""What has parts of its own: most values have none, and are passed by without a call."""


class Schema:
    """One compiled schema node."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._source = source
        self._default: Any = source.get("default", _MISSING)
        self._nullable = bool(source.get("nullable"))
        self._properties = {name: Schema(sub) for name, sub in (source.get("properties") or {}).items()}
        items = source.get("items")
        self._items = Schema(items) if isinstance(items, Mapping) else None
        extra = source.get("additionalProperties")
        self._extra = Schema(extra) if isinstance(extra, Mapping) else None
        self._required: tuple[str, ...] = tuple(source.get("required") or ())
        pattern = source.get("pattern")
        self._pattern = re.compile(pattern) if isinstance(pattern, str) else None
        self._has_defaults: bool = self._default is not _MISSING or any(
            child._has_defaults for child in self._children()
        )

    def _children(self) -> Iterator["Schema"]:
        yield from self._properties.values()
        if self._items:
            yield self._items
        if self._extra:
            yield self._extra

    @property
    def has_rules(self) -> bool:
        """True when the source carries CEL rules anywhere; they are not run, but their absence is reported."""
        return bool(self._source.get("x-kubernetes-validations")) or any(
            child.has_rules for child in self._children()
        )

    def complete(self, value: Any) -> None:
        """What a request becomes before anything looks at it, in place."""
        self.drop_nulls(value)
        self.apply_defaults(value)

    def drop_nulls(self, value: Any) -> None:
        """Removes, in place, each null where none is allowed and no default takes its place (measured on 1.34.1)."""
        if isinstance(value, list) and self._items:
            for item in value:
                self._items.drop_nulls(item)
        if not isinstance(value, dict):
            return
        for name, item in list(value.items()):
            child = self._properties.get(name) or self._extra
            if child is None:
                continue
            if item is not None:
                child.drop_nulls(item)
            elif not child._nullable and child._default is _MISSING:
                del value[name]

    def apply_defaults(self, value: Any) -> None:
        """Fills what is absent, in place; a null where null is not allowed counts as absent."""
        if not self._has_defaults:
            return
        if isinstance(value, dict):
            for name, child in self._properties.items():
                if child._default is not _MISSING:
                    found = value.get(name, _MISSING)
                    if found is _MISSING or (found is None and not child._nullable):
                        value[name] = copy.deepcopy(child._default)
                if name in value:
                    child.apply_defaults(value[name])
            if self._extra:
                for name, item in value.items():
                    if name not in self._properties:
                        self._extra.apply_defaults(item)
        elif isinstance(value, list) and self._items:
            for item in value:
                self._items.apply_defaults(item)

    def validate(self, value: Any, path: str = "", old: Any = _MISSING) -> Iterator[Cause]:
        """All findings, in the order of the fields. What is as it was in the `old` value is not looked at: an object stored
        under a laxer schema can be written as long as its faults are left alone (ratcheting, measured on 1.34.1)."""
        if (value is None and self._nullable) or (old is not _MISSING and value == old):
            return
        wrong = self._wrong_type(value, path)
        if wrong is not None:
            yield wrong
            return
        yield from self._own_findings(value, path)
        if isinstance(value, dict):
            yield from self._validate_object(value, path, old if isinstance(old, dict) else {})
        elif isinstance(value, list) and self._items:
            before = self._by_key(old)
            for index, item in enumerate(value):
                yield from self._items.validate(
                    item, f"{path}[{index}]", before.get(self._key(item), _MISSING)
                )

    def _key(self, item: Any) -> tuple[Any, ...]:
        """What an item of a list is found by in the list before; empty in lists that know no keys."""
        keys = self._source.get("x-kubernetes-list-map-keys") or ()
        return tuple(item.get(key) for key in keys) if isinstance(item, dict) else ()

    def _by_key(self, items: Any) -> dict[tuple[Any, ...], Any]:
        found = {self._key(item): item for item in items} if isinstance(items, list) else {}
        found.pop((), None)
        return found

    def _validate_object(self, value: dict[str, Any], path: str, old: dict[str, Any]) -> Iterator[Cause]:
        dot = f"{path}." if path else ""
        for name in self._required:
            if name not in value:
                yield required(f"{dot}{name}")
        for name, item in value.items():
            child = self._properties.get(name) or self._extra
            if child is not None:
                yield from child.validate(item, f"{dot}{name}", old.get(name, _MISSING))

    def _wrong_type(self, value: Any, path: str) -> Cause | None:
        if self._source.get("x-kubernetes-int-or-string"):
            allowed: tuple[type, ...] = (int, str)
        else:
            allowed = _TYPES.get(self._source.get("type", ""), ())
        if not allowed or (
            isinstance(value, allowed) and not (isinstance(value, bool) and bool not in allowed)
        ):
            return None
        wanted = self._source.get("type", "integer,string")
        names = {
            dict: "object",
            list: "array",
            str: "string",
            bool: "boolean",
            int: "integer",
            float: "number",
        }
        found = names.get(type(value), "null")
        detail = f'{path} in body must be of type {wanted}: "{found}"'
        return Cause(path, f'Invalid value: "{found}": {detail}', "FieldValueTypeInvalid")

    def _own_findings(self, value: Any, path: str) -> Iterator[Cause]:
        source = self._source
        enum = source.get("enum")
        if enum and value not in enum:
            shown = ", ".join(f'"{item}"' for item in enum)
            body = f"Unsupported value: {msgspec.json.encode(value).decode()}: supported values: {shown}"
            yield Cause(path, body, "FieldValueNotSupported")
        if isinstance(value, str):
            yield from self._string_findings(value, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            least, most = source.get("minimum"), source.get("maximum")
            if least is not None and value < least:
                yield invalid_value(path, value, f"{path} in body should be greater than or equal to {least}")
            if most is not None and value > most:
                yield invalid_value(path, value, f"{path} in body should be less than or equal to {most}")
        elif isinstance(value, (list, dict)):
            yield from self._size_findings(value, path)

    def _string_findings(self, value: str, path: str) -> Iterator[Cause]:
        least, most = self._source.get("minLength"), self._source.get("maxLength")
        if least is not None and len(value) < least:
            yield invalid_value(path, value, f"{path} in body should be at least {least} chars long")
        if most is not None and len(value) > most:
            yield Cause(path, f"Too long: may not be more than {most} bytes", "FieldValueTooLong")
        if self._pattern and not self._pattern.search(value):
            yield invalid_value(path, value, f"{path} in body should match '{self._pattern.pattern}'")

    def _size_findings(self, value: "list[Any] | dict[str, Any]", path: str) -> Iterator[Cause]:
        word = "items" if isinstance(value, list) else "properties"
        least = self._source.get("minItems" if word == "items" else "minProperties")
        most = self._source.get("maxItems" if word == "items" else "maxProperties")
        if least is not None and len(value) < least:
            yield invalid_value(path, len(value), f"{path} in body should have at least {least} {word}")
        if most is not None and len(value) > most:
            body = f"Too many: {len(value)}: must have at most {most} item{'' if most == 1 else 's'}"
            yield Cause(path, body, "FieldValueTooMany")


def prune(source: Mapping[str, Any], value: Any, path: str = "", *, keeps: bool = False) -> list[str]:
    """Drops, in place, what a structural schema in full does not know; returns the paths of it.

    Kept is what a node with `x-kubernetes-preserve-unknown-fields`, or the items of such a list, have beside their known
    fields, and what a map holds (k8s.io/apiextensions-apiserver 0.34, pkg/apiserver/schema/pruning).
    """
    keeps = keeps or bool(source.get("x-kubernetes-preserve-unknown-fields"))
    if isinstance(value, list):
        items = source.get("items") or {}
        return [
            gone
            for index, item in enumerate(value)
            if isinstance(item, _HOLDERS)
            for gone in prune(items, item, f"{path}[{index}]", keeps=keeps)
        ]
    if not isinstance(value, dict):
        return []
    properties, extra = source.get("properties") or {}, source.get("additionalProperties")
    own = {"apiVersion", "kind", "metadata"} if source.get("x-kubernetes-embedded-resource") else set()
    found = []
    others = extra if isinstance(extra, Mapping) else None
    for name, item in list(value.items()):
        child = properties.get(name, others)
        if child is not None:
            if isinstance(item, _HOLDERS):
                found += prune(child, item, f"{path}.{name}" if path else name)
        elif not keeps and name not in own:
            del value[name]
            found.append(f"{path}.{name}" if path else name)
    return found


def object_of(
    properties: Mapping[str, Any], *, needs: tuple[str, ...] = (), default: Any = _MISSING
) -> dict[str, Any]:
    """Shorthand of the tables: an object schema."""
    made: dict[str, Any] = {"type": "object", "properties": dict(properties)}
    if needs:
        made["required"] = list(needs)
    if default is not _MISSING:
        made["default"] = default
    return made


def list_of(items: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    """Shorthand of the tables: an array schema; `rest` are schema keywords such as `maxItems`."""
    return {"type": "array", "items": dict(items), **rest}


def text(default: Any = _MISSING, **rest: Any) -> dict[str, Any]:
    """Shorthand of the tables: a string schema."""
    return {"type": "string", **({} if default is _MISSING else {"default": default}), **rest}


def whole(default: Any = _MISSING, **rest: Any) -> dict[str, Any]:
    """Shorthand of the tables: an integer schema."""
    return {"type": "integer", **({} if default is _MISSING else {"default": default}), **rest}
