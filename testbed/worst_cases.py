"""The heaviest objects that a schema lets in: one list at its longest, one map at its widest, one string, one nesting.

The walk goes over a CRD's OpenAPI schema, so a field that is added there is covered without a word here. Each case fills
one field and leaves the rest as small as it may be; bounds of the schema (maxItems, maxLength, ...) are kept, rules that
span fields (CEL) are not. Metadata stands in no CRD: what an API server accepts there is listed here.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from aioctl.api.carrier_checks import CARRIERS
from aioctl.api.kinds import GROUP
from testbed.shipped_files import crd

LARGEST: Final = 3 * 1024 * 1024
"""Bytes of the largest request that kube-apiserver reads (its MaxRequestBodyBytes)."""
ANNOTATIONS: Final = 256 * 1024
"""Bytes of all annotations together (apimachinery, TotalAnnotationSizeLimitB)."""
DEEPEST: Final = 200
"""Levels of a nesting. Go's JSON reader takes 10,000; ours refuses those long before, which costs less."""
_SPAN: Final = 16
"""A bounded list, map or string of at most so many parts is not heavy."""

Schema = Mapping[str, Any]
Place = Callable[[Any], dict[str, Any]]
"""Puts a value where the field stands in the object around it."""

_TEXTS: Final = {
    "letters": "a",
    "escapes": "%41",
    "quotes": '"',
    "braces": "{{",
    "controls": "\u0001",
    "wide letters": "é",
    "digits": "9",
    "commas": ",",
    "slashes": "/",
}
"""What a long string repeats: each has its own way through URL, template, quantity or JSON code."""


@dataclass(frozen=True)
class Case:
    """One field at its heaviest."""

    field: str
    """As `spec.template.containers[].args`."""
    shape: str
    """`long list`, `wide map`, `long string of ...` or `deep nesting`."""
    build: Callable[[int], dict[str, Any]]
    """The whole object, of about so many bytes of JSON or fewer where the schema has a bound."""
    item: str = ""
    """JSON of the smallest item of a list or map."""

    @property
    def name(self) -> str:
        return f"{self.field}: {self.shape}"


@cache
def schema(kind: str, version: str) -> Schema:
    """The schema of a version of our CRD for `kind`."""
    (found,) = (each for each in crd(f"{kind.lower()}s")["spec"]["versions"] if each["name"] == version)
    result: Schema = found["schema"]["openAPIV3Schema"]
    return result


def cases(kind: str, version: str) -> Iterator[Case]:
    """Every case of an object of `kind` in `version`."""
    whole = schema(kind, version)

    def place(part: str) -> Place:
        return lambda value: _object(kind, version, whole, {part: value})

    for part in ("spec", "status"):
        if part in whole["properties"]:
            yield from _walk(whole["properties"][part], part, place(part))
    yield from _metadata(kind, version, whole)


def distinct(every: Iterable[Case]) -> Iterator[Case]:
    """The first of those that are the same work, in the schema's order.

    One shape in one part of the spec, for a part has its readers; and one list or map of one smallest item, for what a walk
    costs follows from the items, and deeper down it only begins later. Of the nine texts a part of the spec gets three in
    turn, so that three parts have all of them; `spec.model`, whose texts are parsed, and metadata get each.
    """
    parts: dict[str, int] = {}
    taken: set[tuple[str, str]] = set()
    for case in every:
        part = ".".join(case.field.replace("[]", ".[]").replace("{}", ".{}").split(".")[:2])
        turn = parts.setdefault(part, len(parts))
        keys = {(part, case.shape)} | ({(case.item, case.shape)} if case.item else set())
        if not keys - taken:
            continue
        taken |= keys
        text = case.shape.removeprefix("long string of ")
        if text in _TEXTS and part != "spec.model" and list(_TEXTS).index(text) % 3 != turn % 3:
            continue
        yield case


def _object(kind: str, version: str, whole: Schema, parts: dict[str, Any]) -> dict[str, Any]:
    spec = (
        {}
        if "spec" in parts or "spec" not in whole["properties"]
        else {"spec": least(whole["properties"]["spec"])}
    )
    metadata = {"name": "worst", "namespace": "ns", "uid": "uid-ns-worst", "resourceVersion": "1"}
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": kind,
        "metadata": {**metadata, **parts.get("metadata", {})},
        **spec,
        **{name: value for name, value in parts.items() if name != "metadata"},
    }


def least(schema: Schema, *, key: int = 0) -> Any:
    """The smallest value that the schema takes; `key` tells one item of a keyed list from the others."""
    match schema.get("type"):
        case "object":
            required = schema.get("required", ())
            known = schema.get("properties", {})
            return {name: least(known[name], key=key) for name in required if name in known}
        case "array":
            return [least(schema["items"], key=index) for index in range(schema.get("minItems", 0))]
        case "string":
            return _least_text(schema, key)
        case "integer" | "number":
            return max(int(schema.get("minimum", 0)), 1) + key
        case "boolean":
            return False
        case _:
            return key + 1 if schema.get("x-kubernetes-int-or-string") else {}


def _least_text(schema: Schema, key: int) -> str:
    if "enum" in schema:
        return str(schema["enum"][0])
    if "default" in schema and not key:
        return str(schema["default"])
    shortest = max(int(schema.get("minLength", 1)), 1)
    return (f"a{key:x}" if key else "a").ljust(shortest, "a")


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _walk(schema: Schema, field: str, place: Place) -> Iterator[Case]:
    match schema.get("type"):
        case "object":
            yield from _object_cases(schema, field, place)
        case "array":
            yield from _list_cases(schema, field, place)
        case "string":
            yield from _string_cases(schema, field, place)
        case _:
            pass
    if schema.get("x-kubernetes-int-or-string"):
        yield from _string_cases(schema, field, place)
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield from _free_cases(field, place)


def _object_cases(schema: Schema, field: str, place: Place) -> Iterator[Case]:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        each = least(values)
        most = int(schema.get("maxProperties", LARGEST))
        if most > _SPAN:
            yield Case(
                field,
                "wide map",
                lambda size: place(_map(each, min(most, _fits(size, _size(each) + 10)))),
                json.dumps(each),
            )
        yield from _walk(values, f"{field}{{}}", lambda value: place({"a": value}))
    for name, part in schema.get("properties", {}).items():
        around = least(
            {**schema, "required": [other for other in schema.get("required", ()) if other != name]}
        )
        yield from _walk(part, f"{field}.{name}", _within(place, around, name))


def _within(place: Place, around: dict[str, Any], name: str) -> Place:
    return lambda value: place({**around, name: value})


def _list_cases(schema: Schema, field: str, place: Place) -> Iterator[Case]:
    items = schema["items"]
    most = int(schema.get("maxItems", LARGEST))
    unique = "x-kubernetes-list-map-keys" in schema or schema.get("x-kubernetes-list-type") == "set"

    def build(size: int) -> dict[str, Any]:
        count = min(most, _fits(size, _size(least(items, key=4096 if unique else 0)) + 1))
        if unique:
            return place([least(items, key=index) for index in range(count)])
        return place([least(items)] * count)

    if most > _SPAN:
        yield Case(field, "long list", build, json.dumps(least(items)))
    yield from _walk(items, f"{field}[]", lambda value: place([value]))


def _string_cases(schema: Schema, field: str, place: Place) -> Iterator[Case]:
    longest = int(schema.get("maxLength", LARGEST))
    if "enum" in schema or longest <= 16 * 1024:
        return
    for title, part in _TEXTS.items():

        def build(size: int, part: str = part) -> dict[str, Any]:
            return place(part * min(longest, _fits(size, _size(part) - 2)))

        yield Case(field, f"long string of {title}", build)


def _free_cases(field: str, place: Place) -> Iterator[Case]:
    """A field without a schema: anything, and above all what its readers look for, which are models."""
    each: dict[str, Any] = {
        "empty objects": {},
        "nulls": None,
        "empty texts": "",
        "criticalities": {"criticality": ""},
        "models": {"uri": "hf://a/b", "name": "a"},
    }
    for title, item in each.items():

        def build(size: int, item: Any = item) -> dict[str, Any]:
            return place([item] * _fits(size, _size(item) + 1))

        yield Case(field, f"long list of {title}", build)
    yield Case(field, "wide map", lambda size: place(_map(0, _fits(size, 11))))
    yield Case(field, "wide item", lambda size: place([_map(0, _fits(size, 11))]))
    yield Case(field, "deep nesting", lambda size: place(_nested(min(DEEPEST, _fits(size, 6)), "a")))
    yield Case(field, "deep models", lambda size: place(_deep_models(min(DEEPEST, _fits(size, 40)))))
    for title, part in _TEXTS.items():

        def text(size: int, part: str = part) -> dict[str, Any]:
            return place([{"uri": part * _fits(size, _size(part) - 2)}])

        yield Case(field, f"long URI of {title}", text)


def _fits(size: int, each: int) -> int:
    return max(size // each, 1)


def _map(value: Any, count: int) -> dict[str, Any]:
    return {f"a{index:x}": value for index in range(count)}


def _nested(levels: int, name: str) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {name: value}
    return value


def _deep_models(levels: int) -> Any:
    adapters: list[Any] = []
    for _ in range(levels):
        adapters = [{"uri": "hf://a/b", "lora": {"adapters": adapters}}]
    return adapters


def _metadata(kind: str, version: str, whole: Schema) -> Iterator[Case]:
    def case(field: str, shape: str, build: Callable[[int], Any]) -> Case:
        return Case(
            f"metadata.{field}",
            shape,
            lambda size: _object(kind, version, whole, {"metadata": {field: build(size)}}),
        )

    def annotation(name: str, shape: str, text: Callable[[int], str]) -> Case:
        return case(
            "annotations", f"{name} {shape}", lambda size: {name: text(min(size, ANNOTATIONS) - len(name))}
        )

    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a"}
    managed = {"manager": "a", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1"}
    yield case("labels", "wide map", lambda size: _map("", _fits(size, 12)))
    yield case("annotations", "wide map", lambda size: _map("", _fits(min(size, ANNOTATIONS), 7)))
    yield case("finalizers", "long list", lambda size: ["a.b/c"] * _fits(size, 8))
    yield case("ownerReferences", "long list", lambda size: [owner] * _fits(size, _size(owner) + 1))
    yield case("managedFields", "long list", lambda size: [managed] * _fits(size, _size(managed) + 1))
    yield case("managedFields", "wide map", lambda size: [{**managed, "fieldsV1": _map({}, _fits(size, 12))}])
    for name in CARRIERS:
        yield annotation(name, "list of zeros", lambda size: f"[{'0,' * (size // 2 - 2)}0]")
        yield annotation(name, "list of ports", lambda size: json.dumps([{"number": 1}] * (size // 15)))
        yield annotation(name, "map", lambda size: json.dumps({f"{i}": "" for i in range(size // 12)}))
        yield annotation(name, "nesting", lambda size: "[" * (size // 2) + "]" * (size // 2))
        yield annotation(name, "digits", lambda size: "9" * size)
