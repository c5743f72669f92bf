"""Operators and functions on values.

Values are those of JSON - null, booleans, integers, floats, strings, lists, maps - and `Duration`.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from aioctl.cel.errors import EvaluationError

_UNITS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}  # fmt: skip
_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_LIMIT: Final = 1 << 63


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time."""

    nanoseconds: int


def no_overload(name: str) -> EvaluationError:
    return EvaluationError(f"no such overload: {name}")


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_equal(left: Any, right: Any) -> bool:
    """Numbers by value, all else only within a type: true is not 1."""
    if is_number(left) and is_number(right):
        return bool(left == right)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(is_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_equal, left, right))
    return type(left) is type(right) and bool(left == right)


def compared(sign: str, left: Any, right: Any) -> bool:
    """`<`, `<=`, `>`, `>=`. Raises EvaluationError for what has no order."""
    ordered = is_number(left) and is_number(right)
    if not ordered and not (type(left) is type(right) and isinstance(left, (str, bool, Duration))):
        raise no_overload(f"_{sign}_")
    return bool(_ORDER[sign](left, right))


_ORDER: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def contained(left: Any, right: Any) -> bool:
    """`in`. Raises EvaluationError."""
    if isinstance(right, Mapping):
        return left in right
    if isinstance(right, list):
        return any(is_equal(left, item) for item in right)
    raise no_overload("@in")


def calculated(sign: str, left: Any, right: Any) -> Any:
    """`+`, `-`, `*`, `/`, `%`. Raises EvaluationError: types do not mix, and integers have 64 bits."""
    if type(left) is not type(right) or isinstance(left, bool):
        raise no_overload(f"_{sign}_")
    if isinstance(left, Duration) and sign in "+-":
        return Duration(_ARITHMETIC[sign](left.nanoseconds, right.nanoseconds))
    if isinstance(left, (str, list)) and sign == "+":
        return left + right
    if isinstance(left, float) and sign != "%":
        return _ARITHMETIC[sign](left, right) if sign != "/" else _divided(left, right)
    if not isinstance(left, int):
        raise no_overload(f"_{sign}_")
    if sign in "/%" and right == 0:
        raise EvaluationError("division by zero" if sign == "/" else "modulus by zero")
    found = _whole(sign, left, right)
    if not -_LIMIT <= found < _LIMIT:
        raise EvaluationError("integer overflow")
    return found


_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def _whole(sign: str, left: int, right: int) -> int:
    if sign not in "/%":
        return int(_ARITHMETIC[sign](left, right))
    quotient = abs(left) // abs(right)
    quotient = quotient if (left < 0) == (right < 0) else -quotient
    return quotient if sign == "/" else left - quotient * right


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    return float("nan") if left in (0.0, float("nan")) else float("inf") * (1 if left > 0 else -1)


def size(value: Any) -> int:
    """Items, or characters. Raises EvaluationError."""
    if isinstance(value, (str, list, Mapping)):
        return len(value)
    raise no_overload("size")


def duration(text: Any) -> Any:
    """As Go's time.ParseDuration reads it. Raises EvaluationError."""
    if isinstance(text, Duration):
        return text
    if not isinstance(text, str):
        raise no_overload("duration")
    body = text.lstrip("+-") if text[:2] not in ("++", "--", "+-", "-+") else text
    total, at = Decimal(0), 0
    while body != "0" and (part := _PART.match(body, at)):
        total += Decimal(part[1]) * _UNITS[part[2]]
        at = part.end()
    if body != "0" and (not body or at != len(body)):
        raise EvaluationError(f'time: invalid duration "{text}"')
    return Duration(int(-total if text.startswith("-") else total))


def _int(value: Any) -> int:
    if is_number(value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value):
        return int(value)
    raise no_overload("int")


def _string(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise no_overload("string")


def _of_strings(name: str, act: Callable[[str, str], Any]) -> Callable[[Any, Any], Any]:
    def called(target: Any, other: Any) -> Any:
        if not isinstance(target, str) or not isinstance(other, str):
            raise no_overload(name)
        return act(target, other)

    return called


FUNCTIONS: Final[Mapping[tuple[str, int], Callable[..., Any]]] = {
    ("size", 1): size,
    ("duration", 1): duration,
    ("int", 1): _int,
    ("string", 1): _string,
    ("dyn", 1): lambda value: value,
}
"""Name and number of arguments -> the global function."""
METHODS: Final[Mapping[tuple[str, int], Callable[..., Any]]] = {
    ("size", 0): size,
    ("contains", 1): _of_strings("contains", lambda text, part: part in text),
    ("startsWith", 1): _of_strings("startsWith", str.startswith),
    ("endsWith", 1): _of_strings("endsWith", str.endswith),
    ("matches", 1): _of_strings("matches", lambda text, pattern: re.search(pattern, text) is not None),
}
"""Name and number of arguments beside the target -> the method."""


def indexed(target: Any, index: Any) -> Any:
    """`target[index]`. Raises EvaluationError."""
    if isinstance(target, Mapping):
        if index in target:
            return target[index]
        raise EvaluationError(f"no such key: {index}")
    if isinstance(target, Sequence) and not isinstance(target, str) and isinstance(index, int):
        if 0 <= index < len(target):
            return target[index]
        raise EvaluationError(f"index out of bounds: {index}")
    raise no_overload("_[_]")
