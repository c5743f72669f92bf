"""Small checks of JSON values that mirror an OpenAPI schema: type, range, count, pattern, uniqueness.

A `Check` is put together from the others; what it returns names the first value that does not fit, and what would.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

_LONGEST_SHOWN: Final = 40
_QUANTITY: Final = re.compile(
    r"(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?"
)
"""The pattern of every quantity in the CRDs (apimachinery, resource.Quantity)."""

Check = Callable[[Any, str], str]
"""(value, where it stands in the annotation) -> what is wrong and what is right; empty when the value fits."""


def wrong(value: Any, where: str, expected: str) -> str:
    try:
        shown = msgspec.json.encode(value).decode()
    except RecursionError:
        shown = "a deeply nested value"
    return f"{where or 'the value'} is {shortened(shown)}, must be {expected}"


def shortened(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."


def integer(least: int, most: int) -> Check:
    """A whole number in a range, both ends included."""

    def check(value: Any, where: str) -> str:
        fine = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return "" if fine else wrong(value, where, f"a whole number from {least} to {most}")

    return check


def one_of(*words: str) -> Check:
    """One of the words."""

    def check(value: Any, where: str) -> str:
        fine = isinstance(value, str) and value in words
        return "" if fine else wrong(value, where, f"one of {', '.join(words)}")

    return check


def text(value: Any, where: str) -> str:
    """Any string."""
    return "" if isinstance(value, str) else wrong(value, where, "a string")


def flag(value: Any, where: str) -> str:
    """true or false."""
    return "" if isinstance(value, bool) else wrong(value, where, "true or false")


def quantity(value: Any, where: str) -> str:
    """A resource quantity, as the CRDs' int-or-string with a pattern."""
    number = isinstance(value, int) and not isinstance(value, bool)
    fine = number or (isinstance(value, str) and _QUANTITY.fullmatch(value) is not None)
    return "" if fine else wrong(value, where, "a quantity, such as 10Gi")


def name(pattern: re.Pattern[str], expected: str, *, least: int = 1, most: int) -> Check:
    """A string of so many characters that matches the pattern as a whole."""

    def check(value: Any, where: str) -> str:
        fine = isinstance(value, str) and least <= len(value) <= most and pattern.fullmatch(value) is not None
        return "" if fine else wrong(value, where, f"{expected} of {least} to {most} characters")

    return check


def mapped(item: Check) -> Check:
    """An object with any keys whose values all fit."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, Mapping):
            return wrong(value, where, "an object")
        return next(filter(None, (item(entry, f"{where}.{key}") for key, entry in value.items())), "")

    return check


def both(first: Check, second: Check) -> Check:
    """Fits the one, and then the other."""
    return lambda value, where: first(value, where) or second(value, where)


def shorter(check: Check, most: int) -> Check:
    """Fits `check`, and is no text of more characters."""

    def short(value: Any, where: str) -> str:
        fine = not isinstance(value, str) or len(value) <= most
        return "" if fine else f"{where or 'the value'} has {len(value)} characters, must have {most} at most"

    return both(check, short)


def record(*, optional: Mapping[str, Check] | None = None, **required: Check) -> Check:
    """An object with these fields, and some that may be absent or null; others pass, for the schema drops them."""
    maybe = optional or {}

    def check(value: Any, where: str) -> str:
        if not isinstance(value, Mapping):
            return wrong(value, where, f"an object with {', '.join((*required, *maybe))}")
        found = [part(value.get(name), f"{where}.{name}") for name, part in required.items()]
        found += [
            part(value[name], f"{where}.{name}")
            for name, part in maybe.items()
            if value.get(name) is not None
        ]
        return next(filter(None, found), "")

    return check


def listed(item: Check, *, least: int = 0, most: int | None = None, unique: str = "") -> Check:
    """A list of so many values; with `unique`, of objects no two of which have the same value in that field."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, list):
            return wrong(value, where, "a list")
        if len(value) < least or (most is not None and len(value) > most):
            return f"{where or 'the list'} has {len(value)} entries, must have {least} to {most}"
        seen = set()
        for index, entry in enumerate(value):
            at = f"{where}[{index}]"
            problem = item(entry, at)
            if problem:
                return problem
            if unique and entry[unique] in seen:
                return f"{at}.{unique} is {entry[unique]} again, must be unique"
            seen.add(entry[unique] if unique else index)
        return ""

    return check


def is_index(word: str) -> bool:
    """Whether it is how a place in a list is written: digits without leading zeros."""
    return word.isascii() and word.isdigit() and (word[0] != "0" or len(word) == 1)


def by_index(item: Check) -> Check:
    """An object that maps indices of a list, written as `"0"`, `"1"`, to values."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, Mapping):
            return wrong(value, where, "an object from index to value")
        for key, entry in value.items():
            if not is_index(key):
                return wrong(key, f"{where}key", "the index of an adapter, such as 0")
            problem = item(entry, f"{where}[{key}]")
            if problem:
                return problem
        return ""

    return check


def fits(check: Check, value: Any) -> bool:
    """Whether the field would accept the value."""
    return not check(value, "")
