"""The typed round trip: a JSON tree as Go writes it after decoding it into its structs (MERGE-2).

Unknown fields vanish, zero values of plain fields are dropped, `resources: {}` and `containers: null` appear, quantities
and URLs get their printed form. What Go could not decode raises FieldError naming the field. Nothing is merged here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from aioctl.golang import gourl, quantity
from aioctl.golang.errors import FieldError
from aioctl.golang.gotypes import SPEC, STRUCTS, Field, GoType, Shape, Written


class _Undecodable(Exception):
    """A value Go could not decode; the path is filled in on the way out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.path: list[str] = []


_Write = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Writer:
    """How one field is written: `absent` makes the value of a field that is not there (None = is left out)."""

    json: str
    write: _Write
    keeps_empty: bool
    absent: Callable[[], Any] | None


_NAMES: Final = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
}


def _wrong(wanted: str, value: object) -> _Undecodable:
    return _Undecodable(f"expected {wanted}, got {_NAMES.get(type(value), type(value).__name__)}")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("a string", value)
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong("a boolean", value)
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("an integer", value)
    return value


def _int_or_string(value: Any) -> int | str:
    if not isinstance(value, (int, str)) or isinstance(value, bool):
        raise _wrong("an integer or a string", value)
    return value


def _quantity(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise _wrong("a quantity", value)
    try:
        return quantity.canonical(str(value))
    except ValueError as error:
        raise _Undecodable(str(error)) from error


def _url(value: Any) -> str:
    try:
        return gourl.go_string(_string(value))
    except gourl.UrlError as error:
        raise _Undecodable(str(error)) from error


def _as_is(value: Any) -> Any:
    return value


@cache
def _writers(name: str) -> tuple["_Writer", ...]:
    return tuple(_writer(entry) for entry in STRUCTS[name].fields)


def _struct(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong("an object", value)
    result: dict[str, Any] = {}
    for writer in _writers(name):
        given = value.get(writer.json)
        if given is None:
            if writer.absent is not None:
                result[writer.json] = writer.absent()
            continue
        try:
            shown = writer.write(given)
        except _Undecodable as error:
            error.path.insert(0, f".{writer.json}")
            raise
        if shown or (writer.keeps_empty and shown is not None):
            result[writer.json] = shown
    return result


def _list_of(of: GoType) -> _Write:
    write, zero = _write_for(of), _zero_for(of)

    def write_list(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise _wrong("a list", value)
        result = []
        for index, item in enumerate(value):
            try:
                result.append(zero() if item is None else write(item))
            except _Undecodable as error:
                error.path.insert(0, f"[{index}]")
                raise
        return result

    return write_list


def _map_of(of: GoType) -> _Write:
    write, zero = _write_for(of), _zero_for(of)

    def write_map(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _wrong("an object", value)
        result = {}
        for key, item in value.items():
            try:
                result[key] = zero() if item is None else write(item)
            except _Undecodable as error:
                error.path.insert(0, f".{key}")
                raise
        return result

    return write_map


_SIMPLE: Final[dict[Shape, tuple[_Write, Any]]] = {
    Shape.STRING: (_string, ""),
    Shape.BOOL: (_bool, False),
    Shape.INT: (_int, 0),
    Shape.INT_OR_STRING: (_int_or_string, 0),
    Shape.QUANTITY: (_quantity, "0"),
    Shape.URL: (_url, ""),
    Shape.TIME: (_as_is, None),
    Shape.ANY: (_as_is, None),
}


def _write_for(type_: GoType) -> _Write:
    match type_.shape:
        case Shape.POINTER:
            return _write_for(type_.of)
        case Shape.LIST:
            return _list_of(type_.of)
        case Shape.MAP:
            return _map_of(type_.of)
        case Shape.STRUCT:
            return lambda value: _struct(type_.struct_id, value)
        case shape:
            return _SIMPLE[shape][0]


def _zero_for(type_: GoType) -> Callable[[], Any]:
    match type_.shape:
        case Shape.POINTER | Shape.LIST | Shape.MAP:
            return lambda: None
        case Shape.STRUCT:
            return lambda: _struct(type_.struct_id, {})
        case shape:
            zero = _SIMPLE[shape][1]
            return lambda: zero


_PLAIN_STRUCTS: Final = (Shape.STRUCT, Shape.QUANTITY, Shape.URL)
"""Go structs without omitzero are never empty to its encoder."""


def _writer(entry: Field) -> _Writer:
    write = _write_for(entry.type)
    if entry.written is Written.OMIT_ZERO:
        # Go writes `{}` for a struct that holds only an empty map, and drops it the next time; here at once.
        return _Writer(entry.json, write, keeps_empty=False, absent=None)
    if entry.written is Written.ALWAYS or entry.type.shape in _PLAIN_STRUCTS:
        return _Writer(entry.json, write, keeps_empty=True, absent=_zero_for(entry.type))
    return _Writer(entry.json, write, keeps_empty=entry.type.shape is Shape.POINTER, absent=None)


def round_trip(tree: object, type_: GoType = SPEC, *, at: str = "spec") -> dict[str, Any]:
    """The tree as Go writes it after decoding it into the struct type; a new tree, the given one is not changed.

    Raises FieldError with the path, `at` first, for what Go could not decode.
    """
    try:
        return _struct(type_.struct_id, tree if tree is not None else {})
    except _Undecodable as error:
        raise FieldError(at + "".join(error.path), error.problem) from error
    except RecursionError as error:
        raise FieldError(at, "is nested too deeply") from error
