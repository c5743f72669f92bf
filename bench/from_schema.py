"""Objects made from a CRD's own schema, and what the API server would keep of an object: for the losses of conversion.

A field that the schema gets tomorrow is generated tomorrow. CEL rules are not run; what they demand is added by the caller.
"""

import random
import re
from collections.abc import Mapping
from typing import Any, Final

Schema = Mapping[str, Any]

_TEXTS: Final = (
    "a",
    "b-1",
    "kserve",
    "10Gi",
    "2026-01-01T00:00:00Z",
    "Gateway",
    "gateway.networking.k8s.io",
    "example.com",
    "10s",
    "/x",
    "True",
    "http://a.example/v1",
    "sha256:0",
    "1.5",
    "",
)
_MOST_ITEMS: Final = 2
_OPEN: Final = "x-kubernetes-preserve-unknown-fields"
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"


class NoValue(Exception):
    """No value of the table fits a schema; the text says which pattern: add one."""


def generate(rng: random.Random, schema: Schema, likely: float = 0.9) -> Any:
    """A value that the schema accepts. Each optional field is there with `likely`, which falls with every level."""
    if "enum" in schema:
        return rng.choice(schema["enum"])
    if schema.get(_INT_OR_STRING):
        return rng.choice(("10Gi", "1", 2))
    match schema.get("type"):
        case "object":
            return _object(rng, schema, likely)
        case "array":
            return _array(rng, schema, likely)
        case "string":
            return _text(rng, schema)
        case "boolean":
            return rng.random() < 0.5
        case "integer" | "number":
            least = int(schema.get("minimum", 0))
            return rng.randint(least, min(int(schema.get("maximum", least + 70_000)), least + 70_000))
        case _:
            return {"open": "x"}


def _object(rng: random.Random, schema: Schema, likely: float) -> dict[str, Any]:
    below = likely * 0.8
    made = {
        name: generate(rng, part, below)
        for name, part in (schema.get("properties") or {}).items()
        if name in schema.get("required", ()) or rng.random() < likely
    }
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        made |= {
            f"key-{number}": generate(rng, values, below) for number in range(rng.randint(1, _MOST_ITEMS))
        }
    if schema.get(_OPEN):
        made["open"] = "x"
    return made


def _array(rng: random.Random, schema: Schema, likely: float) -> list[Any]:
    unique = schema.get("x-kubernetes-list-type") in ("map", "set")
    most = 1 if unique else min(_MOST_ITEMS, schema.get("maxItems", _MOST_ITEMS))
    return [generate(rng, schema["items"], likely) for _ in range(rng.randint(min(1, most), most))]


def _text(rng: random.Random, schema: Schema) -> str:
    pattern = schema.get("pattern", "")
    fitting = [
        text
        for text in _TEXTS
        if schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
        and re.search(pattern, text)
    ]
    if not fitting:
        raise NoValue(f"no text of the table fits {pattern!r}")
    return rng.choice(fitting)


def prune(value: Any, schema: Schema) -> Any:
    """The value without the fields that the schema does not know, as the API server stores it."""
    if isinstance(value, list) and "items" in schema:
        return [prune(item, schema["items"]) for item in value]
    if not isinstance(value, Mapping) or schema.get("x-kubernetes-embedded-resource"):
        return value
    known, values = schema.get("properties") or {}, schema.get("additionalProperties")
    if isinstance(values, Mapping):
        return {key: prune(part, values) for key, part in value.items()}
    return {
        key: prune(part, known[key]) if key in known else part
        for key, part in value.items()
        if key in known or schema.get(_OPEN) or values
    }
