"""The struct types of a service's spec, read from the table in `type_table.py`.

Merging asks them for merge keys, the round trip for what Go's encoder writes, templates for field names and the names
of types in error texts. Nothing here looks at a value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import Final

from aioctl.golang.type_table import TABLE


class Shape(Enum):
    """What kind of Go value a field holds."""

    STRING = auto()
    BOOL = auto()
    INT = auto()
    QUANTITY = auto()
    INT_OR_STRING = auto()
    TIME = auto()
    URL = auto()
    ANY = auto()
    STRUCT = auto()
    LIST = auto()
    MAP = auto()
    POINTER = auto()


class Written(Enum):
    """When Go's encoder writes the field."""

    OMIT_EMPTY = auto()
    OMIT_ZERO = auto()
    ALWAYS = auto()


_PACKAGES: Final = {
    "kserve": "v1alpha2",
    "root": "v1alpha2",
    "knative": "apis",
    "pool": "v1",
    "gateway": "v1",
    "meta": "v1",
    "core": "v1",
    "autoscaling": "v2",
    "keda": "v1alpha1",
}
_ROOT_TITLE: Final = "struct { *v1alpha2.LLMInferenceService; GlobalConfig llmisvc.templateGlobalConfig }"
_SCALARS: Final = {
    "string": (Shape.STRING, "string"),
    "bool": (Shape.BOOL, "bool"),
    "int": (Shape.INT, "int"),
    "int32": (Shape.INT, "int32"),
    "int64": (Shape.INT, "int64"),
    "uint16": (Shape.INT, "uint16"),
    "quantity": (Shape.QUANTITY, "resource.Quantity"),
    "intstr": (Shape.INT_OR_STRING, "intstr.IntOrString"),
    "time": (Shape.TIME, "v1.Time"),
    "url": (Shape.URL, "apis.URL"),
    "any": (Shape.ANY, "v1.FieldsV1"),
    "raw": (Shape.ANY, "runtime.RawExtension"),
}
_FIELD: Final = re.compile(
    r"(?P<json>\w+)(?:=(?P<go>\w+))?(?::(?P<type>[^@!?&]+))?(?:@(?P<key>\w*))?(?P<written>[!?&]?)"
)
_WRITTEN: Final = {
    "": Written.OMIT_EMPTY,
    "&": Written.OMIT_EMPTY,
    "?": Written.OMIT_ZERO,
    "!": Written.ALWAYS,
}


@dataclass(frozen=True, slots=True)
class GoType:
    """One Go type; `title` is how Go's texts spell it, such as `*v1.PodSpec`."""

    shape: Shape
    title: str
    elem: "GoType | None" = None
    struct_id: str = ""

    @property
    def of(self) -> "GoType":
        """The element of a pointer, list or map."""
        if self.elem is None:
            raise TypeError(f"{self.title} has no element type")
        return self.elem

    @property
    def struct(self) -> "Struct":
        return STRUCTS[self.struct_id]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct."""

    json: str
    go: str
    type: GoType
    written: Written = Written.OMIT_EMPTY
    merge_key: str | None = None
    promotes: bool = False
    """The struct below is embedded: its fields are also reachable without naming it."""


@dataclass(frozen=True)
class Struct:
    """A struct type. `embedded` are groups of its own fields that Go reaches under one more name."""

    name: str
    fields: tuple[Field, ...]
    embedded: Mapping[str, GoType] = field(default_factory=dict)

    @cached_property
    def by_go(self) -> Mapping[str, Field]:
        return {entry.go: entry for entry in self.fields}

    @cached_property
    def by_promotion(self) -> Mapping[str, Field]:
        """Fields of structs embedded under a JSON name, such as the Name of ObjectMeta, with the field that has them."""
        return {
            inner.go: entry for entry in self.fields if entry.promotes for inner in entry.type.struct.fields
        }


def go_type(text: str) -> GoType:
    """The type a table entry names, such as `[]core.Volume` or `*int32`."""
    text, _, named = text.partition("~")
    if text.startswith("*"):
        elem = go_type(text[1:] + (f"~{named}" if named else ""))
        return GoType(Shape.POINTER, f"*{elem.title}", elem)
    if text.startswith("[]"):
        # A named list of structs, or a list of a named scalar: the name belongs to whichever the table says.
        scalar = named if text[2:] in _SCALARS and named else ""
        elem = go_type(text[2:] + (f"~{scalar}" if scalar else ""))
        return GoType(Shape.LIST, named if named and not scalar else f"[]{elem.title}", elem)
    if text.startswith("map[]"):
        elem = go_type(text[5:])
        return GoType(Shape.MAP, named or f"map[string]{elem.title}", elem)
    if text in _SCALARS:
        shape, title = _SCALARS[text]
        return GoType(shape, named or title)
    package, _, name = text.partition(".")
    title = _ROOT_TITLE if text == "root.Root" else f"{_PACKAGES.get(package, package)}.{name}"
    return GoType(Shape.STRUCT, title, struct_id=text)


def _entry(word: str) -> Field:
    match = _FIELD.fullmatch(word)
    if match is None:
        raise ValueError(f"type table: cannot read {word!r}")
    name = match["json"]
    return Field(
        name,
        match["go"] or name[0].upper() + name[1:],
        go_type(match["type"] or "string"),
        _WRITTEN[match["written"]],
        match["key"],
        promotes=match["written"] == "&",
    )


def _read_struct(name: str, words: Iterator[str], structs: dict[str, Struct]) -> Struct:
    """One struct up to `>` or the end of its words; the structs embedded in it become types of their own."""
    package = name.partition(".")[0]
    fields: list[Field] = []
    embedded: dict[str, GoType] = {}
    for word in words:
        if word == ">":
            break
        if word.startswith("<"):
            inner_name = f"{package}.{word[1:]}"
            inner = _read_struct(inner_name, words, structs)
            structs.setdefault(inner_name, inner)
            embedded |= {**inner.embedded, word[1:]: go_type(inner_name)}
            fields.extend(inner.fields)
        else:
            fields.append(_entry(word))
    return Struct(name, tuple(fields), embedded)


def _read_table(table: str) -> dict[str, Struct]:
    structs: dict[str, Struct] = {}
    for line in table.strip().replace("\n  ", " ").splitlines():
        name, _, rest = line.partition(": ")
        structs[name] = _read_struct(name, iter(rest.split()), structs)
    return structs


STRUCTS: Final[dict[str, Struct]] = _read_table(TABLE)
SPEC: Final = go_type("kserve.LLMInferenceServiceSpec")
ROOT: Final = go_type("root.Root")
"""What a template starts from: the service's fields and `.GlobalConfig` (TPL-3)."""
