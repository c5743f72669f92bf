"""The functions templates may call, but `and` and `or`, which do not evaluate all their operands (evaluator).

They are Go's builtins (TPL-2); whoever renders may give more. Misuse that Go answers with garbage
in the text, such as `%!d(string=x)`, is an error here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aioctl.golang.gotypes import Shape
from aioctl.golang.template.values import (
    OperationError,
    Value,
    as_string,
    of_bool,
    of_string,
    printed_by_printf,
    truth,
)

MAX_LENGTH = 1 << 20
"""Characters in one rendered string: what an object of the API server can hold, so a bound for nested printf."""

_VERB = re.compile(r"%(.?)", re.DOTALL)
_COMPARABLE = {Shape.BOOL: "bool", Shape.INT: "int", Shape.STRING: "string"}
_PRINTABLE = {"s": Shape.STRING, "d": Shape.INT, "v": None}


@dataclass(frozen=True, slots=True)
class Builtin:
    """`count` operands exactly, or at least that many; the first `texts` of them must be strings."""

    call: Callable[[Sequence[Value]], Value]
    count: int
    at_least: bool = False
    texts: int = 0


def _kind(value: Value) -> str | None:
    return _COMPARABLE.get(value.type.shape)


def _equal(operands: Sequence[Value]) -> bool:
    """True when the first operand equals any other one; values of different kinds cannot be compared."""
    first, *others = operands
    if not others:
        raise OperationError("error calling eq: missing argument for comparison")
    return any(_equals(first, other) for other in others)


def _equals(first: Value, other: Value) -> bool:
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


Functions = Mapping[str, Builtin]
"""By the name that templates call them."""

BUILTINS: Functions = {
    "not": Builtin(lambda operands: of_bool(not truth(operands[0])), 1),
    "eq": Builtin(lambda operands: of_bool(_equal(operands)), 1, at_least=True),
    "ne": Builtin(lambda operands: of_bool(_not_equal(operands)), 2),
    "printf": Builtin(_printf, 1, at_least=True, texts=1),
}
