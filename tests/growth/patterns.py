"""The patterns of the package, found in its source, and texts that a backtracking matcher likes least.

A text is a way into the pattern, a pump repeated many times, and an end that cannot match. Ways and pumps come from the
parsed pattern: every literal in it, one character of every class, and pairs of them.
"""

import ast
import importlib
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import aioctl

ROOT = Path(aioctl.__file__).parent
CALLS = frozenset({"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"})
_FOREIGN = "\x01"
_CANDIDATES = "aZ0_ -+./:,;@%\t\n\"'`{}()[]=!<>&#~^$*?\\|\u00e9\u2028"
_MOST_LETTERS = 10
_SAYS_RE = re.compile(r"\b(?:import|from|,)\s+re\b")
"""What a file says that imports the module; the others need no parsing."""


@dataclass(frozen=True)
class Use:
    """One place that makes a pattern."""

    module: str
    line: int
    name: str
    """The variable that holds the compiled pattern; empty for a pattern used in place."""
    pattern: str | bytes | None
    """None for one that is made while the program runs."""
    method: str
    """`compile`, or how it is used in place."""
    flags: int = 0

    def __str__(self) -> str:
        return f"{self.module}:{self.name or self.line}"


def uses() -> list[Use]:
    """Every `re.compile(...)` and every `re.match(...)` and the like in the package."""
    return [use for file in sorted(ROOT.rglob("*.py")) for use in _in_file(file)]


def _in_file(file: Path) -> Iterator[Use]:
    text = file.read_text(encoding="utf-8")
    if not _SAYS_RE.search(text):
        return
    tree = ast.parse(text)
    module = ".".join(("aioctl", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    names = {
        id(node.value): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            raise AssertionError(f"{file}: import re as a whole, so that its patterns are found")
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "re" and node.func.attr in CALLS:
            yield _use(module, node, names.get(id(node), ""))


def _use(module: str, node: ast.Call, name: str) -> Use:
    if name:
        compiled = getattr(importlib.import_module(module), name, None)
        if isinstance(compiled, re.Pattern):
            return Use(module, node.lineno, name, compiled.pattern, "compile", compiled.flags)
    assert isinstance(node.func, ast.Attribute)
    first = node.args[0]
    constant = first.value if isinstance(first, ast.Constant) else None
    return Use(
        module, node.lineno, name, constant if isinstance(constant, str | bytes) else None, node.func.attr
    )


def texts(pattern: str, size: int) -> Iterator[str]:
    """Texts of about `size` characters."""
    letters = _letters(pattern)
    pumps = [*letters, *map("".join, itertools.permutations(letters, 2)), *_words(pattern)]
    ways = ["", *_ways(pattern)]
    for pump in dict.fromkeys(pumps):
        body = pump * (size // len(pump))
        for way in dict.fromkeys(ways):
            yield f"{way}{body}"
            yield f"{way}{body}{_FOREIGN}"


def _letters(pattern: str) -> list[str]:
    """Characters that tell the classes of the pattern apart: literals, and a member of each class."""
    found: dict[str, None] = {}
    for op, value in _walk(parser.parse(pattern)):
        if op is codes.LITERAL:
            found.setdefault(chr(value))
        elif op in (codes.IN, codes.NOT_LITERAL, codes.ANY, codes.CATEGORY):
            member = _member(op, value)
            if member:
                found.setdefault(member)
    return list(found)[:_MOST_LETTERS]


def _words(pattern: str) -> list[str]:
    """A shortest text of each repeated part."""
    return [
        text
        for op, value in _walk(parser.parse(pattern))
        if op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)
        and (text := _shortest(value[2], 1))
    ]


def _ways(pattern: str) -> list[str]:
    """A shortest text of what stands before each part of the top level: a way to every repeat there."""
    items = list(parser.parse(pattern))
    return [_shortest(items[:end], 1) for end in range(1, len(items) + 1)]


def _walk(items: Any) -> Iterator[tuple[Any, Any]]:
    for op, value in items:
        yield op, value
        for part in _parts(op, value):
            yield from _walk(part)


def _parts(op: Any, value: Any) -> Sequence[Any]:
    if op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
        return [value[2]]
    if op is codes.SUBPATTERN:
        return [value[3]]
    if op is codes.BRANCH:
        return list(value[1])
    if op in (codes.ASSERT, codes.ASSERT_NOT):
        return [value[1]]
    return [value] if op is codes.ATOMIC_GROUP else []


def _shortest(items: Any, least: int) -> str:
    """A short text that the items match, with at least so many turns of each repeat."""
    text = ""
    for op, value in items:
        if op is codes.LITERAL:
            text += chr(value)
        elif op in (codes.IN, codes.NOT_LITERAL, codes.ANY):
            text += _member(op, value)
        elif op in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            text += _shortest(value[2], least) * min(max(value[0], least), value[1])
        elif op is codes.BRANCH:
            text += _shortest(value[1][0], least)
        elif op in (codes.SUBPATTERN, codes.ATOMIC_GROUP):
            text += _shortest(_parts(op, value)[0], least)
    return text


def _member(op: Any, value: Any) -> str:
    """A character of a class."""
    if op is codes.ANY:
        return "a"
    if op is codes.NOT_LITERAL:
        return next(c for c in _CANDIDATES if ord(c) != value)
    compiled = parser.State()
    tree = parser.SubPattern(compiled, [(op, value)])
    matcher = re.compile(_source(tree))
    return next((c for c in _CANDIDATES if matcher.fullmatch(c)), "")


def _source(tree: Any) -> str:
    """A class as source again."""
    op, value = tree[0]
    if op is codes.CATEGORY:
        value = [(op, value)]
    parts = ""
    for kind, inner in value:
        if kind is codes.NEGATE:
            parts = "^" + parts
        elif kind is codes.LITERAL:
            parts += re.escape(chr(inner))
        elif kind is codes.RANGE:
            parts += f"{re.escape(chr(inner[0]))}-{re.escape(chr(inner[1]))}"
        else:
            parts += _CATEGORIES[str(inner)]
    return f"[{parts}]"


_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d",
    "CATEGORY_NOT_DIGIT": r"\D",
    "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w",
    "CATEGORY_NOT_WORD": r"\W",
}
