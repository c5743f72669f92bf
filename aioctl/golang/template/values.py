"""Values of templates: a piece of the JSON tree together with the Go type it would have.

Fields, truth and printing follow Go (TPL-4). What Go prints as a memory address or as the dump of a whole
struct is refused: nobody can want it in a field.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aioctl.golang import gourl
from aioctl.golang.gotypes import GoType, Shape, Struct, go_type

STRING: Final = go_type("string")
BOOL: Final = go_type("bool")
INT: Final = go_type("int")
INT64: Final = go_type("int64")
_URL_PARTS: Final = {"Scheme": "scheme", "Host": "host", "Path": "path"}
_PROTOBUF_PACKAGES: Final = ("core.", "meta.")
"""Their structs print themselves, a nil one as `nil`."""
_ZERO_TIME: Final = "0001-01-01T00:00:00Z"
_ZERO: Final[dict[Shape, Any]] = {
    Shape.STRING: "",
    Shape.BOOL: False,
    Shape.INT: 0,
    Shape.INT_OR_STRING: 0,
    Shape.QUANTITY: "0",
    Shape.URL: "",
    Shape.STRUCT: {},
    Shape.TIME: _ZERO_TIME,
}

_PLAIN_TO_PRINTF: Final = (
    Shape.STRING,
    Shape.BOOL,
    Shape.INT,
    Shape.LIST,
    Shape.MAP,
    Shape.POINTER,
    Shape.TIME,
)


class OperationError(Exception):
    """An operation on a value that Go refuses; the text is Go's reason."""


@dataclass(frozen=True, slots=True)
class Value:
    """`data` is None for nil pointers, lists and maps."""

    type: GoType
    data: Any

    @property
    def is_nil(self) -> bool:
        return self.data is None and self.type.shape not in _SCALARS

    def behind_pointer(self) -> "Value":
        """What a pointer points to; itself when it is nil or no pointer."""
        if self.type.shape is not Shape.POINTER or self.data is None:
            return self
        return Value(self.type.of, self.data)


_SCALARS: Final = (Shape.STRING, Shape.BOOL, Shape.INT)
NIL: Final = Value(GoType(Shape.ANY, "nil"), None)
"""The literal `nil`."""


def of_string(text: str) -> Value:
    return Value(STRING, text)


def of_bool(value: object) -> Value:
    return Value(BOOL, bool(value))


def of_int(value: int) -> Value:
    return Value(INT, value)


def of_int64(value: int) -> Value:
    return Value(INT64, value)


def typed(type_: GoType, data: Any) -> Value:
    return Value(type_, _ZERO.get(type_.shape) if data is None else data)


def field(value: Value, name: str) -> Value:
    """The field or map entry. Raises OperationError for an unknown one, and for a known one of a nil pointer."""
    type_, is_nil = value.type, False
    if type_.shape is Shape.POINTER:
        type_, is_nil = type_.of, value.data is None
    unknown = OperationError(f"can't evaluate field {name} in type {value.type.title}")
    match type_.shape:
        case Shape.MAP if not is_nil and type_.title.startswith("map[string]"):
            # Go finds no entry by a field name where keys have a type of their own, such as v1.ResourceName.
            return _entry(type_, value.data, name)
        case Shape.URL:
            if name not in _URL_PARTS:
                raise unknown
            found = None if is_nil else of_string(getattr(gourl.parse(value.data), _URL_PARTS[name]))
        case Shape.STRUCT:
            if not _has_field(type_.struct, name):
                raise unknown
            found = None if is_nil else _struct_field(type_.struct, value.data, name)
        case _ if not is_nil:
            raise unknown
        case _:
            found = None
    if found is None:
        raise OperationError(f"nil pointer evaluating {value.type.title}.{name}")
    return found


def key_type(type_: GoType) -> str:
    """The name of the type of a map's keys."""
    match = _MAP_KEY.match(type_.title)
    return match[1] if match is not None else "v1.ResourceName"


_MAP_KEY: Final = re.compile(r"map\[([^\]]*)\]")


def elements(value: Value, *, wants_key: bool) -> Iterator[tuple[Value, Value]]:
    """What `range` goes through: (key or index, element), maps by key. Raises OperationError for what has no elements."""
    inner = value.behind_pointer()
    if inner.is_nil:
        if inner.type.shape is Shape.POINTER:
            raise OperationError(f"range can't iterate over {_nil(inner.type)}")
        return iter(())
    match inner.type.shape:
        case Shape.LIST:
            return ((of_int(place), typed(inner.type.of, item)) for place, item in enumerate(inner.data))
        case Shape.MAP:
            keys = GoType(Shape.STRING, key_type(inner.type))
            return ((Value(keys, key), typed(inner.type.of, inner.data[key])) for key in sorted(inner.data))
        case Shape.INT if wants_key:
            raise OperationError(f"can't use {inner.data} to iterate over more than one variable")
        case Shape.INT:
            return ((of_int(number), of_int(number)) for number in range(inner.data))
        case _:
            raise OperationError(f"range can't iterate over {printed(inner)}")


def _entry(type_: GoType, data: Any, name: str) -> Value:
    if not isinstance(data, Mapping) or name not in data:
        raise OperationError(f'map has no entry for key "{name}"')
    return typed(type_.of, data[name])


def _has_field(struct: Struct, name: str) -> bool:
    return name in struct.by_go or name in struct.embedded or name in struct.by_promotion


def _struct_field(struct: Struct, data: Any, name: str) -> Value:
    known = struct.by_go.get(name)
    if known is not None:
        return typed(known.type, data.get(known.json) if isinstance(data, Mapping) else None)
    if name in struct.embedded:
        return Value(struct.embedded[name], data)
    through = struct.by_promotion[name]
    return _struct_field(through.type.struct, data.get(through.json) or {}, name)


def truth(value: Value) -> bool:
    """Go's truth: zero scalars, nil, and empty lists and maps are false; structs and non-nil pointers are true."""
    if value is NIL:
        return False
    if value.type.shape in (Shape.STRING, Shape.BOOL, Shape.INT, Shape.LIST, Shape.MAP):
        return bool(value.data)
    return value.type.shape is not Shape.POINTER or value.data is not None


def printed(value: Value) -> str:
    """The text of `{{ value }}`: a pointer prints what it points to, nil prints `<nil>`."""
    type_ = value.type
    if value is NIL:
        return "<no value>"
    if value.data is None:
        return _nil(type_)
    if type_.shape is Shape.POINTER:
        type_ = type_.of
    match type_.shape:
        case Shape.STRUCT:
            return _struct_text(type_, value.data, top=True)
        case Shape.URL:
            return gourl.go_string(value.data)
        case Shape.TIME:
            return _time_text(type_, value.data)
        case Shape.ANY:
            raise _unprintable(type_)
        case Shape.QUANTITY | Shape.INT_OR_STRING:
            return str(value.data)
        case _:
            return _text(type_, value.data)


def printed_by_printf(value: Value) -> str:
    """Go's %v of an operand of printf, where a pointer is an address and structs do not print themselves."""
    shape = value.type.shape
    if (shape is Shape.POINTER and value.data is not None) or shape not in _PLAIN_TO_PRINTF:
        raise _unprintable(value.type)
    return printed(value)


def _time_text(type_: GoType, data: str) -> str:
    try:
        time = datetime.fromisoformat(data).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise _unprintable(type_) from error
    return f"{time.isoformat(sep=' ', timespec='seconds').removesuffix('+00:00')} +0000 UTC"


def _unprintable(type_: GoType) -> OperationError:
    return OperationError(f"can't print {type_.title}, name one of its fields")


def _nil(type_: GoType) -> str:
    match type_.shape:
        case Shape.LIST:
            return "[]"
        case Shape.MAP:
            return "map[]"
        case Shape.POINTER if type_.of.struct_id.startswith(_PROTOBUF_PACKAGES):
            return "nil"
        case Shape.POINTER if type_.of.shape is Shape.URL:
            return ""
        case _:
            return "<nil>"


def _text(type_: GoType, data: Any) -> str:
    """Go's %v of a value that is not on the top level, or is no struct."""
    if data is None:
        return _nil(type_)
    match type_.shape:
        case Shape.BOOL:
            return "true" if data else "false"
        case Shape.STRING | Shape.INT:
            return str(data)
        case Shape.LIST:
            return f"[{' '.join(_text(type_.of, typed(type_.of, item).data) for item in data)}]"
        case Shape.MAP:
            entries = (f"{key}:{_text(type_.of, typed(type_.of, data[key]).data)}" for key in sorted(data))
            return f"map[{' '.join(entries)}]"
        case Shape.STRUCT:
            return _struct_text(type_, data, top=False)
        case _:
            raise _unprintable(type_)


def _struct_text(type_: GoType, data: Any, *, top: bool) -> str:
    struct = type_.struct
    if struct.embedded or (top and type_.struct_id.startswith(_PROTOBUF_PACKAGES)):
        raise _unprintable(type_)
    parts = []
    for entry in struct.fields:
        item = _struct_field(struct, data, entry.go)
        if entry.type.shape is Shape.POINTER and item.data is not None:
            # Go prints its address.
            raise _unprintable(type_)
        parts.append(_text(entry.type, item.data))
    return f"{{{' '.join(parts)}}}"


def as_string(value: Value) -> str:
    """A string argument of a function: strings, and pointers to strings that are not nil."""
    return str(_of_type(value, STRING))


def as_int64(value: Value) -> int:
    """An argument of Go's type int64: values of it, and pointers to them; lengths and numbers in parentheses are an int."""
    return int(_of_type(value, INT64))


def _of_type(value: Value, wanted: GoType) -> Any:
    type_ = value.type
    if type_ == wanted:
        return value.data
    if type_.shape is not Shape.POINTER or type_.of != wanted:
        raise OperationError(f"wrong type for value; expected {wanted.title}; got {type_.title}")
    if value.data is None:
        raise OperationError(f"dereference of nil pointer of type {wanted.title}")
    return value.data
