"""Label and field selectors of list, watch and deletecollection.

Parsed once per request into plain predicates. Field selectors reach any scalar path that the resource declares
selectable; the real server refuses all others, and so do we.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from aioctl.api.objects import dig
from aioctl.sim.errors import bad_request

Labels = Mapping[str, str]
LabelMatch = Callable[[Labels], bool]

_SET: Final = re.compile(r"^(?P<key>[^\s!=,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUALITY: Final = re.compile(r"^(?P<key>[^\s!=,()]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=,()]*)$")
_REQUIREMENT: Final = re.compile(r"(?:\([^()]*+\)|[^,])++")
_EXISTS: Final = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=,()]+)$")


def _split(source: str) -> list[str]:
    """Commas separate requirements, except inside the parentheses of a set."""
    return [part.strip() for part in _REQUIREMENT.findall(source) if part.strip()]


def _requirement(part: str) -> LabelMatch:
    if match := _SET.match(part):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUALITY.match(part):
        key, value = match["key"], match["value"]
        if match["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.match(part):
        key = match["key"]
        if match["no"]:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    raise bad_request(f"unable to parse requirement: {part}")


def parse_labels(source: str) -> LabelMatch | None:
    """None when everything matches. Raises StatusError 400 for a text that is no selector."""
    requirements = [_requirement(part) for part in _split(source)]
    if not requirements:
        return None
    return lambda labels: all(requirement(labels) for requirement in requirements)


class FieldMatch:
    """A parsed field selector; `name` and `namespace` are taken out because they need no decoding."""

    def __init__(self, source: str, selectable: frozenset[str]) -> None:
        self.name: str | None = None
        self.namespace: str | None = None
        self._rest: list[tuple[tuple[str, ...], str, bool]] = []
        for part in _split(source):
            match = _EQUALITY.match(part)
            if match is None:
                raise bad_request(f"invalid field selector: {part}")
            self._add(match["key"], match["value"], match["op"] != "!=", selectable)

    def _add(self, key: str, value: str, equal: bool, selectable: frozenset[str]) -> None:  # noqa: FBT001
        if key == "metadata.name" and equal:
            self.name = value
        elif key == "metadata.namespace" and equal:
            self.namespace = value
        elif key in selectable or key.startswith("metadata.name"):
            self._rest.append((tuple(key.split(".")), value, equal))
        else:
            raise bad_request(f"field label not supported: {key}")

    @property
    def is_set(self) -> bool:
        """False: everything fits."""
        return self.name is not None or self.namespace is not None or self.needs_object

    @property
    def needs_object(self) -> bool:
        return bool(self._rest)

    def matches_key(self, namespace: str, name: str) -> bool:
        return self.name in {None, name} and self.namespace in {None, namespace}

    def matches_object(self, obj: Mapping[str, Any]) -> bool:
        return all((str(dig(obj, *path) or "") == value) is equal for path, value, equal in self._rest)
