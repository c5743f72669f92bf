"""Where each field of a combined spec came from: the merge repeated on trees whose leaves know their source.

Used for `aioctl render --explain` and for the texts of template errors; never in the way of a reconcile.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final

from aioctl.plan.merge import merge_written

CONTROLLER: Final = "the controller"
"""The source of what no config and no service says: selector labels, account name, redirected references."""
BY_DEFAULT: Final = " (schema default)"
"""After the name of whose spec the API server has filled in what stands there."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One spec of the fold, as Go writes it, and whose it is."""

    title: str
    spec: Mapping[str, Any]
    digest: bytes = b""
    """Of the spec as it was read; the same for the same content. Empty for a service's own."""
    size: int = 0
    """Bytes of the spec as it was read."""
    filled: frozenset[str] = frozenset()
    """Paths of what its author left to the schema's defaults, where that is known; see `filled`."""


class _Leaf:
    """A scalar (or an empty object or list) with its source; equal and true as the value is, so that merging works."""

    __slots__ = ("source", "value")

    def __init__(self, value: Any, source: str) -> None:
        self.value = value
        self.source = source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Leaf) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)


def _marked(tree: Any, of: Contribution, path: str = "spec") -> Any:
    if isinstance(tree, Mapping):
        return {name: _marked(value, of, f"{path}.{name}") for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_marked(value, of, f"{path}[{index}]") for index, value in enumerate(tree)]
    return None if tree is None else _Leaf(tree, of.title + BY_DEFAULT if path in of.filled else of.title)


def _leaves(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for name, value in tree.items():
            yield from _leaves(value, f"{path}.{name}")
    elif isinstance(tree, (list, tuple)) and tree:
        for index, value in enumerate(tree):
            yield from _leaves(value, f"{path}[{index}]")
    elif isinstance(tree, _Leaf) or not isinstance(tree, (Mapping, list, tuple)):
        yield path, tree


def _sources(contributions: Sequence[Contribution]) -> dict[str, _Leaf]:
    """The leaf at each path of the merged spec, before rendering."""
    marked = [_marked(contribution.spec, contribution) for contribution in contributions]
    merged = reduce(merge_written, marked)
    return {path: leaf for path, leaf in _leaves(merged, "spec") if isinstance(leaf, _Leaf)}


def filled(spec: Any, written: Any) -> frozenset[str]:
    """Paths of the leaves that a spec has only since the schema's defaults were laid under what was written."""
    there = {path for path, value in _leaves(written, "spec") if value is not None}
    return frozenset(path for path, _ in _leaves(spec, "spec")) - there


def owner_of(path: str, contributions: Sequence[Contribution]) -> str:
    """Whose value stands at a path such as `spec.template.containers[0].image`; empty when nobody's."""
    leaf = _sources(contributions).get(path)
    return leaf.source if leaf is not None else ""


def explain(spec: Mapping[str, Any], contributions: Sequence[Contribution]) -> list[tuple[str, str]]:
    """(path, source) of every leaf of a combined spec, in its order."""
    sources = _sources(contributions)

    def source(path: str, value: Any) -> str:
        leaf = sources.get(path)
        if leaf is None:
            return CONTROLLER
        rendered = isinstance(leaf.value, str) and "{{" in leaf.value
        return leaf.source if rendered or leaf.value == value else CONTROLLER

    return [(path, source(path, value)) for path, value in _leaves(spec, "spec") if value is not None]
