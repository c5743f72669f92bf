"""YAML as sigs.k8s.io/yaml reads and writes it: by way of JSON, with the words that go-yaml v2 takes for other things.

A text that went through Go once has to come out of here byte for byte, because it stands in pod specs: `y` is a boolean,
`2.0` the number 2, a key that is no string becomes one, keys stand in go-yaml's order, and what would be read as something
else is quoted. libyaml, which go-yaml was made from, scans and emits; what values mean is decided here.
"""

import re
import string
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cmp_to_key
from math import isfinite
from typing import Any, Final

import yaml
from yaml.resolver import BaseResolver

from aioctl.golang.libyaml import EventComposer, TooDeep

_WORDS: Final[Mapping[str, Any]] = {
    word: value
    for value, words in (
        (True, "y Y yes Yes YES true True TRUE on On ON"),
        (False, "n N no No NO false False FALSE off Off OFF"),
        (None, "~ null Null NULL"),
        (float("nan"), ".nan .NaN .NAN"),
        (float("inf"), ".inf .Inf .INF +.inf +.Inf +.INF"),
        (float("-inf"), "-.inf -.Inf -.INF"),
    )
    for word in words.split()
} | {"": None}
_TAG: Final = "tag:yaml.org,2002:"
_CORE: Final = {"bool": bool, "int": int, "float": float, "null": type(None)}
_INTEGER: Final = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](?:[.,][0-9]+)?"
_DATE: Final = re.compile(
    rf"([0-9]{{4}})-([0-9]{{1,2}})-([0-9]{{1,2}})(?:[Tt]{_TIME}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})| {_TIME})?\Z"
)
_INT64: Final = range(-(2**63), 2**63)
_UINT64: Final = range(2**64)
MOST_VALUES: Final = 50_000
"""Values in one text with every alias written out: aliases of aliases make billions of some lines."""
DEEPEST: Final = 100
"""Levels of lists and maps in each other. Configurations of Kubernetes have ten."""
_LONGEST_NUMBER: Final = 400
"""Characters of what may be a number: beyond, Go finds it out of range, and Python's reader takes time with the square."""


class NotYaml(ValueError):
    """The text is not read by Go either; says why."""


def load(text: str) -> Any:
    """The first document as JSON values; numbers are int where they fit 64 bits. Raises NotYaml where Go gives an error."""
    try:
        loader = _Loader(text)
        node = loader.get_node() if loader.check_node() else None
        return None if node is None else _Reader().value(node)
    except (yaml.YAMLError, TooDeep) as error:
        raise NotYaml(str(error)) from error


def dump(value: Any) -> str:
    """Block style, indent 2, list items at the column of their key, lines folded after column 80."""
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        *_events(value),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    written: str = yaml.emit(events, Dumper=yaml.CSafeDumper, allow_unicode=True, width=80)
    return written


class _Loader(EventComposer, BaseResolver):
    """Leaves plain scalars without a tag, so that those with one can be told from them."""

    def __init__(self, text: str) -> None:
        BaseResolver.__init__(self)
        super().__init__(text, DEEPEST)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        return "" if kind is yaml.ScalarNode and implicit[0] else f"{_TAG}str"


class _Reader:
    """Values of nodes. What aliases share is built anew each time and counts each time, so that it never has more than a bound."""

    def __init__(self) -> None:
        self._left = MOST_VALUES
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        self._left -= 1
        if self._left < 0:
            raise NotYaml(f"with its aliases written out it has more than {MOST_VALUES} values")
        if isinstance(node, yaml.ScalarNode):
            if any("\ud800" <= character <= "\udfff" for character in node.value):
                raise NotYaml("found invalid Unicode character escape code")
            return _as_json(_scalar(node))
        if id(node) in self._open:
            raise NotYaml("an anchor contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(child) for child in node.value]
            found: dict[str, Any] = {}
            self._fill(found, node)
            return found
        finally:
            self._open.remove(id(node))

    def _fill(self, found: dict[str, Any], node: yaml.Node) -> None:
        """Keys in the order of the text: the later one wins, also over what was merged."""
        for key, child in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == "<<" and not key.tag:
                self._merge(found, child)
            else:
                found[_key(key)] = self.value(child)

    def _merge(self, found: dict[str, Any], child: yaml.Node) -> None:
        parts = reversed(child.value) if isinstance(child, yaml.SequenceNode) else [child]
        for part in parts:
            if not isinstance(part, yaml.MappingNode):
                raise NotYaml("map merge requires map or sequence of maps as the value")
            found.update(self.value(part))


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise NotYaml("a list or a map is no key")
    value = _scalar(node)
    if value is None or (isinstance(value, int) and value not in _INT64):
        raise NotYaml(f"unsupported map key: {node.value}")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else _format(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    """What go-yaml makes of a scalar: plain ones without a tag are guessed, and a tag of the core schema is held to."""
    if not node.tag:
        return _resolve(node.value)
    wanted = _CORE.get(node.tag.removeprefix(_TAG))
    if wanted is None:
        return node.value
    value = _resolve(node.value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise NotYaml(f"cannot decode {node.value} as {node.tag}")
    return value


def _resolve(text: str) -> Any:
    """The value of a plain scalar. Dates stay the strings that they are; `1:30` is one too."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _LONGEST_NUMBER or _is_date(text):
        return text
    plain = text if text[0] == "." else text.replace("_", "")
    whole = _integer(plain)
    if whole is not None:
        return whole
    value = float(plain) if _FLOAT.match(plain) else float("inf")
    return value if isfinite(value) else text


def _integer(plain: str) -> int | None:
    """Go's ParseInt with base 0: prefixes 0x, 0o, 0b, and a mere 0 for octal."""
    if not _INTEGER.match(plain):
        return None
    digits = plain.lstrip("+-").lower()
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] in string.digits
    size = int(f"0o{digits}" if octal else digits, 0)
    value = -size if plain.startswith("-") else size
    return value if value in _INT64 or (plain[0] not in "+-" and value in _UINT64) else None


def _is_date(text: str) -> bool:
    found = _DATE.match(text)
    if not found:
        return False
    try:
        date(*(int(part) for part in found.groups()[:3]))
    except ValueError:
        return False
    return True


def _as_json(value: Any) -> Any:
    """Numbers after their way through JSON: a whole float comes back as an integer, one of more than 64 bits as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not isfinite(value):
        raise NotYaml(f"{value} is no JSON number")
    return int(value) if value == int(value) and int(value) in _INT64 else float(value)


def _events(value: Any) -> Iterator[yaml.Event]:
    if isinstance(value, Mapping):
        yield yaml.MappingStartEvent(anchor=None, tag=None, implicit=True, flow_style=False)
        for key in sorted(value, key=cmp_to_key(_order)):
            yield _scalar_event(key)
            yield from _events(value[key])
        yield yaml.MappingEndEvent()
    elif isinstance(value, list):
        yield yaml.SequenceStartEvent(anchor=None, tag=None, implicit=True, flow_style=False)
        for part in value:
            yield from _events(part)
        yield yaml.SequenceEndEvent()
    else:
        yield _scalar_event(value)


def _scalar_event(value: Any) -> yaml.ScalarEvent:
    style = None
    if isinstance(value, str):
        text = value
        if "\n" in text:
            style = "|"
        elif _would_change(text):
            style = '"'
    else:
        text = (
            "null"
            if value is None
            else str(value).lower()
            if isinstance(value, bool | int)
            else _format(value)
        )
    return yaml.ScalarEvent(anchor=None, tag=None, implicit=(True, True), value=text, style=style)


def _would_change(text: str) -> bool:
    """Whether the plain text would be read as something else, here or by a reader of dates or of numbers with base 60."""
    if not isinstance(_resolve(text), str) or _is_date(text):
        return True
    return bool(_BASE_60.match(text))


def _format(value: float) -> str:
    """The shortest text that reads back as the same float, as Go's format `g`; whole where JSON has a whole of 64 bits."""
    sign = "-" if value < 0 else ""
    digits, power = _digits(abs(value))
    if len(digits) <= power < 21 and not sign and int(digits.ljust(power + 1, "0")) in _UINT64:
        return digits.ljust(power + 1, "0")
    if -4 <= power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    if 0 <= power < 6:
        whole, fraction = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    else:
        whole, fraction = digits[0], digits[1:]
    written = f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"
    return written if 0 <= power < 6 else f"{written}e{power:+03d}"


def _digits(value: float) -> tuple[str, int]:
    """The digits without zeros at either end, and the power of ten of the first."""
    mantissa, _, power = f"{value!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    dropped = len(whole + fraction) - len(digits)
    return digits.rstrip("0") or "0", len(whole) - 1 - dropped + int(power or 0)


def _order(one: str, other: str) -> int:
    """Go-yaml's order of keys: numbers within them by size, letters after everything else."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left == right:
            continue
        if left.isalpha() and right.isalpha():
            return -1 if left < right else 1
        if left.isalpha() or right.isalpha():
            return -1 if right.isalpha() else 1
        before = one[len(one[:at].rstrip(string.digits)) : at]
        start = "1" if "0" in (left, right) and before.strip("0") else ""
        return -1 if (_number(one, at, start), left) < (_number(other, at, start), right) else 1
    return len(one) - len(other)


def _number(text: str, at: int, start: str) -> tuple[int, str, int]:
    """Size (as length and digits) and end of the number that begins there; `start` stands before its digits."""
    end = at
    while end < len(text) and text[end] in string.digits:
        end += 1
    digits = (start + text[at:end]).lstrip("0")
    return len(digits), digits, end
