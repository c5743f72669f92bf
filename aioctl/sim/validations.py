"""The CEL rules of a structural schema (`x-kubernetes-validations`), as one rule for an object: each where its node is.

Rules about the object before (`oldSelf`) are for updates, and are left out; texts are those of apiextensions-apiserver 0.34
(pkg/apiserver/schema/cel/validation.go).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aioctl.cel.errors import EvaluationError
from aioctl.cel.program import Program, compiled
from aioctl.sim.errors import Cause


@dataclass(frozen=True, slots=True)
class _Rule:
    program: Program
    text: str
    message: str

    def broken(self, value: Any) -> str:
        """What is said of the value; empty where the rule holds."""
        try:
            return "" if self.program({"self": value}) is True else self.message
        except EvaluationError as error:
            if str(error).startswith("no such overload"):
                return f"'{error}': call arguments did not match a supported operator, function or macro signature for rule: {self.text}"
            return f"{error} evaluating rule: {self.text}"


@dataclass(frozen=True, slots=True)
class _Node:
    """A schema node that has rules, or below which there are some."""

    type: str
    rules: tuple[_Rule, ...]
    properties: Mapping[str, "_Node"]
    items: "_Node | None"
    extra: "_Node | None"


class Validations:
    """All rules of a schema, compiled. Raises `cel.errors.SyntaxFault` for one that cannot be."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self._made: dict[int, _Node | None] = {}
        """Of subtrees that several nodes share there is one."""
        self._root = self._node(source)

    def __call__(self, new: Mapping[str, Any], _old: Mapping[str, Any] | None) -> list[Cause]:
        """What each broken rule says."""
        return list(_causes(self._root, new, "")) if self._root is not None else []

    def _node(self, source: Any) -> _Node | None:
        if not isinstance(source, Mapping):
            return None
        if id(source) not in self._made:
            self._made[id(source)] = self._compiled(source)
        return self._made[id(source)]

    def _compiled(self, source: Mapping[str, Any]) -> _Node | None:
        rules = tuple(
            _Rule(compiled(rule["rule"]), rule["rule"], rule.get("message") or f"failed rule: {rule['rule']}")
            for rule in source.get("x-kubernetes-validations") or ()
            if "oldSelf" not in rule["rule"]
        )
        below = {name: self._node(sub) for name, sub in (source.get("properties") or {}).items()}
        properties = {name: node for name, node in below.items() if node is not None}
        items, extra = self._node(source.get("items")), self._node(source.get("additionalProperties"))
        if not (rules or properties or items or extra):
            return None
        return _Node(str(source.get("type", "object")), rules, properties, items, extra)


def _causes(node: _Node, value: Any, path: str) -> Iterator[Cause]:
    if value is None:
        return
    for rule in node.rules:
        if said := rule.broken(value):
            yield Cause(path, f'Invalid value: "{node.type}": {said}')
    if isinstance(value, dict):
        for name, item in value.items():
            if (below := node.properties.get(name, node.extra)) is not None:
                yield from _causes(below, item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and node.items is not None:
        for index, item in enumerate(value):
            yield from _causes(node.items, item, f"{path}[{index}]")
