"""Renders every string of an object, keys of maps included (spec 20 section 4.1).

All strings are read before the first is evaluated, because Go reads the object as one template: a syntax error anywhere
comes before an evaluation error anywhere. Values land in their field verbatim (Decision in spec 20 section 4.1).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aioctl.plan.template.errors import ExecuteError, ParseError, Source, execute_failure, parse_failure
from aioctl.plan.template.escapes import escape
from aioctl.plan.template.evaluator import evaluate
from aioctl.plan.template.parser import parse
from aioctl.plan.template.values import Value

_START = "{{"


def _nowhere(_path: str) -> str:
    return ""


def _templates(tree: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, string) of every string and key with an action in it, in the order of the object."""
    if isinstance(tree, str):
        if _START in tree:
            yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            below = f"{path}.{key}" if path else key
            if _START in key:
                yield below, key
            yield from _templates(value, below)
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield from _templates(value, f"{path}[{index}]")


def _replaced(tree: Any, texts: Mapping[str, str]) -> Any:
    """The tree with every template replaced by its text; subtrees without one are shared."""
    if isinstance(tree, str):
        return texts[tree] if _START in tree else tree
    if isinstance(tree, Mapping):
        return {_replaced(key, texts): _replaced(value, texts) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_replaced(value, texts) for value in tree]
    return tree


def render(tree: Any, root: Value, *, source: Source = _nowhere, path: str = "") -> Any:
    """The tree with all templates rendered; a new tree, or the same one when there is nothing to render.

    `path` is where the tree stands in its object, `source` names whose value a path holds, for the text of
    TemplateError, which is raised for the first string that does not parse or cannot be evaluated.
    """
    found = list(_templates(tree, path))
    if not found:
        return tree
    for at, text in found:
        try:
            parse(text)
        except ParseError as error:
            raise parse_failure(error, escape(text), at, source) from error
    texts: dict[str, str] = {}
    for at, text in found:
        try:
            texts[text] = evaluate(parse(text), root)
        except ExecuteError as error:
            raise execute_failure(error, escape(text), at, source) from error
    return _replaced(tree, texts)
