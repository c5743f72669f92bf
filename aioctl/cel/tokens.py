"""The words of an expression (cel-spec, doc/langdef.md, Syntax)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aioctl.cel.errors import SyntaxFault

_WORD: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*)
  | (?P<string>[rR]?(?:\"{3}.*?(?<!\\)\"{3}|'{3}.*?(?<!\\)'{3}|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))
  | (?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]+|\d+[eE][+-]?\d+|\d+)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))"
)
_PLAIN: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


@dataclass(frozen=True, slots=True)
class Word:
    """`kind`: string, number, name, sign or end. `value`: of a string or number what it means, else its text."""

    kind: str
    value: Any
    at: int


def words(text: str) -> Iterator[Word]:
    """All of them, one of kind end last. Raises SyntaxFault."""
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            raise SyntaxFault(f"{text[at]!r} at {at} is no part of an expression")
        kind = str(found.lastgroup)
        if kind != "space":
            yield Word(kind, _value(kind, found[0]), at)
        at = found.end()
    yield Word("end", "", at)


def _value(kind: str, text: str) -> Any:
    if kind == "string":
        return _string(text)
    if kind != "number":
        return text
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    return float(text) if any(letter in text for letter in ".eE") else int(text)


def _string(text: str) -> str:
    is_raw = text[0] in "rR"
    text = text[is_raw:]
    width = 3 if text[:3] in ('"""', "'''") else 1
    inner = text[width:-width]
    return inner if is_raw else _ESCAPE.sub(_unescaped, inner)


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return _PLAIN.get(found[1], found[1])
    return chr(int(found[5], 8)) if found[5] else chr(int(found[2] or found[3] or found[4], 16))
