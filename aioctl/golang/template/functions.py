"""The functions templates may call, but `and` and `or`, which do not evaluate all their operands (evaluator).

They are Go's builtins (TPL-2); whoever renders may give more. Misuse that Go answers with garbage
in the text, such as `%!d(string=x)`, is an error here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from aioctl.golang.gotypes import Shape
from aioctl.golang.template.values import (
    NIL,
    OperationError,
    Value,
    as_string,
    key_type,
    of_bool,
    of_int,
    of_string,
    printed_by_printf,
    truth,
    typed,
)

MAX_LENGTH: Final = 1 << 20
"""Characters in one rendered string: what an object of the API server can hold, so a bound for nested printf."""

_VERB: Final = re.compile(r"%(.?)", re.DOTALL)
_COMPARABLE: Final = {Shape.BOOL: "bool", Shape.INT: "int", Shape.STRING: "string"}
_PRINTABLE: Final = {"s": Shape.STRING, "d": Shape.INT, "v": None}


class Takes(Enum):
    """The type of an operand, by its name in Go."""

    STRING = "string"
    INT64 = "int64"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Builtin:
    """`count` operands exactly, or at least that many; `types` are those of the first ones, others may be anything."""

    call: Callable[[Sequence[Value]], Value]
    count: int
    at_least: bool = False
    types: tuple[Takes, ...] = ()

    def takes(self, place: int) -> Takes:
        return self.types[place] if place < len(self.types) else Takes.ANY


def _kind(value: Value) -> str | None:
    return _COMPARABLE.get(value.type.shape)


def _equal(operands: Sequence[Value]) -> bool:
    """True when the first operand equals any other one; values of different kinds cannot be compared."""
    first, *others = operands
    if not others:
        raise OperationError("error calling eq: missing argument for comparison")
    return any(_equals(first, other) for other in others)


def _equals(first: Value, other: Value) -> bool:
    if first is NIL or other is NIL:
        # Any type but a scalar can be nil, so it can be compared with nil.
        return first.is_nil and other.is_nil
    if _kind(first) != _kind(other):
        raise OperationError(
            f"error calling eq: incompatible types for comparison: {first.type.title} and {other.type.title}"
        )
    if _kind(first) is not None:
        return bool(first.data == other.data)
    if first.type.shape is not Shape.POINTER or other.type.shape is not Shape.POINTER:
        raise OperationError(
            f"error calling eq: non-comparable types {first.type.title} and {other.type.title}"
        )
    # Go compares addresses: two pointers are equal when both are nil or both are the same field.
    return first.data is other.data


def _not_equal(operands: Sequence[Value]) -> bool:
    try:
        return not _equals(*operands)
    except OperationError as error:
        raise OperationError(str(error).replace("calling eq", "calling ne")) from error


def _printf(operands: Sequence[Value]) -> Value:
    form, *arguments = operands
    waiting = list(reversed(arguments))
    left = MAX_LENGTH

    def formatted(match: re.Match[str]) -> str:
        nonlocal left
        verb = match[1]
        if verb == "%":
            return "%"
        if verb not in _PRINTABLE:
            raise OperationError(f"error calling printf: %{verb} is not supported, only %s, %d, %v and %%")
        if not waiting:
            raise OperationError(f"error calling printf: no operand for %{verb}")
        value, only = waiting.pop(), _PRINTABLE[verb]
        cannot = OperationError(f"error calling printf: %{verb} cannot print a {value.type.title}")
        if only is not None and value.type.shape is not only:
            raise cannot
        try:
            printed = printed_by_printf(value)
        except OperationError as error:
            raise cannot from error
        # At once: thousands of large operands must not stand side by side in memory first.
        left -= len(printed)
        if left < 0:
            raise too_long
        return printed

    too_long = OperationError(f"error calling printf: the text is longer than {MAX_LENGTH} characters")
    text = _VERB.sub(formatted, as_string(form))
    if waiting:
        raise OperationError(f"error calling printf: {len(waiting)} operands too many")
    if len(text) > MAX_LENGTH:
        raise too_long
    return of_string(text)


_MEASURED: Final = (Shape.STRING, Shape.LIST, Shape.MAP)


def _length(operands: Sequence[Value]) -> Value:
    """Go counts the bytes of a string."""
    (value,) = operands
    inner = value.behind_pointer()
    if inner.type.shape is Shape.STRING:
        return of_int(len(inner.data.encode()))
    if inner.type.shape in _MEASURED:
        return of_int(len(inner.data or ()))
    if inner.is_nil:
        raise OperationError("error calling len: len of nil pointer")
    raise OperationError(f"error calling len: len of type {inner.type.title}")


def _index(operands: Sequence[Value]) -> Value:
    value, *keys = operands
    if value is NIL:
        raise OperationError("error calling index: index of untyped nil")
    for key in keys:
        value = _indexed(value.behind_pointer(), key)
    return value


def _indexed(value: Value, key: Value) -> Value:
    """The entry of a map, zero where it has none; the element of a list; the byte of a string."""
    failed = "error calling index: "
    match value.type.shape:
        case Shape.MAP:
            wanted = key_type(value.type)
            if key.type.title != wanted:
                raise OperationError(f"{failed}value has type {key.type.title}; should be {wanted}")
            return typed(value.type.of, (value.data or {}).get(key.data))
        case Shape.STRING:
            text = value.data.encode()
            return of_int(text[_place(key, len(text))])
        case Shape.LIST:
            items = value.data or ()
            return typed(value.type.of, items[_place(key, len(items))])
        case _ if value.is_nil:
            raise OperationError(f"{failed}index of nil pointer")
        case _:
            raise OperationError(f"{failed}can't index item of type {value.type.title}")


def _place(key: Value, length: int) -> int:
    if key.type.shape is not Shape.INT:
        what = "nil" if key is NIL else f"type {key.type.title}"
        raise OperationError(f"error calling index: cannot index slice/array with {what}")
    if not 0 <= key.data < length:
        raise OperationError(f"error calling index: index out of range: {key.data}")
    return int(key.data)


Functions = Mapping[str, Builtin]
"""By the name that templates call them."""

BUILTINS: Final[Functions] = {
    "not": Builtin(lambda operands: of_bool(not truth(operands[0])), 1),
    "eq": Builtin(lambda operands: of_bool(_equal(operands)), 1, at_least=True),
    "ne": Builtin(lambda operands: of_bool(_not_equal(operands)), 2),
    "printf": Builtin(_printf, 1, at_least=True, types=(Takes.STRING,)),
    "len": Builtin(_length, 1),
    "index": Builtin(_index, 1, at_least=True),
}
