"""What a carrier annotation may hold: the same as the field it stands for.

Carriers are ours, but every client can write annotations, and the API server does not check what a conversion makes of
them. A value that the field's schema refuses would be stored all the same, and then no write of the object would pass.
So conversion asks `fits` before it carries or applies a value, and admission refuses what does not fit, by `problems`.

A `Check` is built from small parts that mirror an OpenAPI schema: type, range, count, uniqueness.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from aioctl.api.names import CRITICALITY
from aioctl.api.objects import Object, annotations_of

UPSTREAM_CRITICALITY = "internal.serving.kserve.io/model-criticality"
LORA_CRITICALITIES = "internal.serving.kserve.io/lora-criticalities"
TARGET_PORTS = "internal.serving.kserve.io/target-ports"
CARRIERS: Final = (CRITICALITY, UPSTREAM_CRITICALITY, LORA_CRITICALITIES, TARGET_PORTS)

LEVELS: Final = ("Critical", "Standard", "Sheddable")
MAX_TARGET_PORTS: Final = 8
"""As in the schema of InferencePool v1 (Gateway API Inference Extension 1.0), which the CRD repeats."""
_LARGEST_PORT: Final = 65535
_LONGEST_SHOWN: Final = 40

Check = Callable[[Any, str], str]
"""(value, where it stands in the annotation) -> what is wrong and what is right; empty when the value fits."""


def decode(text: str | None) -> Any:
    """The carried value; None for no text and for text that is no JSON (such an annotation is ignored)."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _wrong(value: Any, where: str, expected: str) -> str:
    try:
        shown = msgspec.json.encode(value).decode()
    except RecursionError:
        shown = "a deeply nested value"
    return f"{where or 'the value'} is {_shortened(shown)}, must be {expected}"


def _shortened(value: str) -> str:
    return value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}..."


def integer(least: int, most: int) -> Check:
    """A whole number in a range, both ends included."""

    def check(value: Any, where: str) -> str:
        fine = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return "" if fine else _wrong(value, where, f"a whole number from {least} to {most}")

    return check


def one_of(*words: str) -> Check:
    """One of the words."""

    def check(value: Any, where: str) -> str:
        fine = isinstance(value, str) and value in words
        return "" if fine else _wrong(value, where, f"one of {', '.join(words)}")

    return check


def text(value: Any, where: str) -> str:
    """Any string."""
    return "" if isinstance(value, str) else _wrong(value, where, "a string")


def record(**required: Check) -> Check:
    """An object with these fields; others pass, for the schema drops them."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, Mapping):
            return _wrong(value, where, f"an object with {', '.join(required)}")
        return next(
            filter(None, (part(value.get(name), f"{where}.{name}") for name, part in required.items())), ""
        )

    return check


def listed(item: Check, *, least: int, most: int, unique: str) -> Check:
    """A list of so many objects, no two of which have the same value in the field `unique`."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, list):
            return _wrong(value, where, "a list")
        if not least <= len(value) <= most:
            return f"{where or 'the list'} has {len(value)} entries, must have {least} to {most}"
        seen = set()
        for index, entry in enumerate(value):
            at = f"{where}[{index}]"
            problem = item(entry, at)
            if problem:
                return problem
            if entry[unique] in seen:
                return f"{at}.{unique} is {entry[unique]} again, must be unique"
            seen.add(entry[unique])
        return ""

    return check


def by_index(item: Check) -> Check:
    """An object that maps indices of a list, written as `"0"`, `"1"`, to values."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, Mapping):
            return _wrong(value, where, "an object from index to value")
        for key, entry in value.items():
            if not (key.isascii() and key.isdigit() and (key == "0" or key[0] != "0")):
                return _wrong(key, f"{where}key", "the index of an adapter, such as 0")
            problem = item(entry, f"{where}[{key}]")
            if problem:
                return problem
        return ""

    return check


target_ports: Final = listed(
    record(number=integer(1, _LARGEST_PORT)), least=1, most=MAX_TARGET_PORTS, unique="number"
)
lora_criticalities: Final = by_index(text)
criticality: Final = one_of(*LEVELS)

_JSON: Final[Mapping[str, Check]] = {LORA_CRITICALITIES: lora_criticalities, TARGET_PORTS: target_ports}
_PLAIN: Final[Mapping[str, Check]] = {CRITICALITY: criticality, UPSTREAM_CRITICALITY: criticality}


def fits(check: Check, value: Any) -> bool:
    """Whether the field would accept the value."""
    return not check(value, "")


def field(key: str) -> str:
    """How messages name an annotation."""
    return f"metadata.annotations[{key}]"


def problems(new: Object, old: Object | None = None) -> Iterator[tuple[str, str, str]]:
    """(annotation, the beginning of its text, what is wrong) for each carrier of an object that does not fit, in a fixed order.

    What the old object had already, letter for letter, is no news: such an object can still be changed.
    """
    found, before = annotations_of(new), {} if old is None else annotations_of(old)
    for key in CARRIERS:
        value = found.get(key)
        if value is None or before.get(key) == value:
            continue
        problem = _PLAIN[key](value, "") if key in _PLAIN else _json_problem(_JSON[key], value)
        if problem:
            yield key, _shortened(value), f"{problem}; leave the annotation out, it is the controller's own"


def _json_problem(check: Check, value: str) -> str:
    carried = decode(value)
    return _wrong(value, "", "JSON") if carried is None else check(carried, "")
