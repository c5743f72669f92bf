"""Renders every string of an object, keys of maps included (TPL-1).

All strings are read before the first is evaluated, because Go reads the object as one template: a syntax error anywhere
comes before an evaluation error anywhere. Values land in their field verbatim (TPL-1).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aioctl.golang.template.errors import ExecuteError, ParseError, Source, execute_failure, parse_failure
from aioctl.golang.template.escapes import escape
from aioctl.golang.template.evaluator import Budget, evaluate
from aioctl.golang.template.functions import Functions
from aioctl.golang.template.parser import parse
from aioctl.golang.template.values import Value

_START: Final = "{{"
MAX_TOTAL: Final = 4 << 20
"""Characters that the templates of one object may come out as: more than twice what the API server stores as an object. Without
a bound ten thousand short templates that print one long field would fill the memory."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The object with its templates replaced; subtrees without one are shared with the object that was given."""

    tree: Any
    emptied: bool = False
    """A template came out as the empty string, which Go's encoder drops from most fields."""
    templates: frozenset[str] = frozenset()
    """The texts of all that were replaced."""


_SHOWN: Final = 80
"""Characters of a template in an error that is not about one expression of it."""


class _Found(NamedTuple):
    """One template: the keys and indexes that lead to it, and whether it is the last key itself."""

    steps: tuple[str | int, ...]
    text: str
    is_key: bool

    def path(self, start: str) -> str:
        shown = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps)
        return (start + "".join(shown)).removeprefix(".")


class _Search:
    """Collects the templates of an object, in its order."""

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self._steps: list[str | int] = []

    def walk(self, tree: Any) -> None:
        kind = tree.__class__
        if kind is str:
            if _START in tree:
                self.found.append(_Found(tuple(self._steps), tree, is_key=False))
        elif kind is dict:
            for key, value in tree.items():
                self._steps.append(key)
                if _START in key:
                    self.found.append(_Found(tuple(self._steps), key, is_key=True))
                if value.__class__ is not str or _START in value:
                    self.walk(value)
                self._steps.pop()
        elif kind is list or kind is tuple:
            for index, value in enumerate(tree):
                if value.__class__ is not str or _START in value:
                    self._steps.append(index)
                    self.walk(value)
                    self._steps.pop()


def _replaced(tree: Any, found: list[_Found], depth: int, texts: Mapping[str, str]) -> Any:
    """A copy of the tree with the templates below it replaced; `found` are those, in the order of the tree."""
    below: dict[str | int, list[_Found]] = {}
    for item in found:
        if len(item.steps) == depth:
            return texts[item.text]
        below.setdefault(item.steps[depth], []).append(item)

    def value(step: str | int, old: Any) -> Any:
        inner = [item for item in below.get(step, ()) if not (item.is_key and len(item.steps) == depth + 1)]
        return _replaced(old, inner, depth + 1, texts) if inner else old

    if isinstance(tree, dict):
        return {texts[key] if _START in key else key: value(key, old) for key, old in tree.items()}
    return [value(index, old) for index, old in enumerate(tree)]


def _bounded(made: str, left: int, template: str) -> str:
    if len(made) > left:
        reason = f"all templates of the object together are longer than {MAX_TOTAL} characters"
        raise ExecuteError(reason, template[:_SHOWN], 0)
    return made


def _nowhere(_path: str) -> str:
    return ""


def render(
    tree: Any, root: Value, *, functions: Functions | None = None, source: Source = _nowhere, path: str = ""
) -> Rendered:
    """All templates of a tree of dicts and lists rendered.

    `functions` are those beside Go's own, `path` is where the tree stands in its object, `source` names whose value a path holds, for the text of
    TemplateError, which is raised for the first string that does not parse or cannot be evaluated.
    """
    more = frozenset(functions or ())
    search = _Search()
    search.walk(tree)
    if not search.found:
        return Rendered(tree)
    for item in search.found:
        try:
            parse(item.text, more)
        except ParseError as error:
            raise parse_failure(error, escape(item.text), item.path(path), source) from error
    texts: dict[str, str] = {}
    left, budget = MAX_TOTAL, Budget()
    for item in search.found:
        if item.text in texts:
            continue
        try:
            texts[item.text] = _bounded(
                evaluate(parse(item.text, more), root, functions, budget), left, item.text
            )
            left -= len(texts[item.text])
        except ExecuteError as error:
            raise execute_failure(error, escape(item.text), item.path(path), source) from error
    made = _replaced(tree, search.found, 0, texts)
    return Rendered(made, emptied="" in texts.values(), templates=frozenset(texts))
