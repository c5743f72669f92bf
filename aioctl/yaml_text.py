"""YAML documents out of a text that somebody wrote, read without trusting it, and objects as text for people."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from aioctl.golang.libyaml import EventComposer, TooDeep

MAX_VALUES: Final = 1_000_000
"""Values in one text with every alias written out. A hundred times what all presets together hold; aliases of aliases make
billions of some lines."""
DEEPEST: Final = 200
"""Levels of lists and maps in each other; our CRDs have 70."""


_TEXT: Final = "tag:yaml.org,2002:str"
_DATE: Final = "tag:yaml.org,2002:timestamp"


class _Loader(EventComposer, SafeConstructor, Resolver):
    """As PyYAML's safe loader, but that keys are texts, and that dates and `10:30` are, and without numbers that JSON lacks.

    So kubectl makes JSON of YAML.
    """

    def __init__(self, text: str) -> None:
        EventComposer.__init__(self, text, DEEPEST)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """See PyYAML."""
        tag = str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]
        if kind is yaml.ScalarNode and implicit[0] and (tag == _DATE or (":" in value and tag in _NUMBERS)):
            return _TEXT
        return tag

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  PyYAML's shape
        """See PyYAML."""
        found = super().construct_object(node, deep)
        if isinstance(found, float) and not math.isfinite(found):
            said = f"{node.value} is no number of JSON"
            raise yaml.constructor.ConstructorError(None, None, said, node.start_mark)
        return found

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  PyYAML's shape
        """See PyYAML."""
        found = super().construct_mapping(node, deep)
        if all(isinstance(key, str) for key in found):
            return found
        return {key if isinstance(key, str) else _key(key, node): value for key, value in found.items()}


_NUMBERS: Final = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def _key(key: object, node: yaml.Node) -> str:
    """As JSON writes it."""
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, int | float):
        return str(key)
    raise yaml.constructor.ConstructorError(None, None, f"{key!r} cannot be a key", node.start_mark)


def documents(text: str) -> list[Any]:
    """All documents of the text. Raises ValueError with the place or the reason why it cannot be read, on one line."""
    try:
        found = list(_documents(_Loader(text)))
        values = _count(found, {})
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"is no YAML: {where}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"is no YAML: {' '.join(str(error).split())}") from error
    except TooDeep as error:
        raise ValueError(f"it is nested too deeply: more than {DEEPEST} levels") from error
    if values > MAX_VALUES:
        raise ValueError(f"with its aliases written out it has more than {MAX_VALUES} values")
    return found


def _documents(loader: _Loader) -> Iterator[Any]:
    while loader.check_data():  # type: ignore[no-untyped-call]
        yield loader.get_data()


def _count(tree: Any, known: dict[int, int]) -> int:
    """Values below and at the tree. What aliases share is counted each time it stands there, and walked once."""
    if not isinstance(tree, dict | list):
        return 1
    if id(tree) not in known:
        known[id(tree)] = MAX_VALUES + 1  # what holds itself has no end
        parts = tree.values() if isinstance(tree, dict) else tree
        known[id(tree)] = 1 + sum(_count(part, known) for part in parts)
    return known[id(tree)]


def as_yaml(objects: Iterable[Mapping[str, Any]]) -> str:
    """Documents for people: keys in the given order, scripts line by line."""
    return yaml.dump_all(objects, Dumper=_Readable, sort_keys=False, width=120, explicit_start=True)


class _Readable(yaml.SafeDumper):
    """Texts of several lines as blocks, and nothing by reference: equal labels are written out wherever they stand."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Readable.add_representer(str, _text)
