"""YAML documents out of a text that somebody wrote, read without trusting it, and objects as text for people."""

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


class _Loader(EventComposer, SafeConstructor, Resolver):
    """As PyYAML's safe loader."""

    def __init__(self, text: str) -> None:
        EventComposer.__init__(self, text, DEEPEST)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)


def documents(text: str) -> list[Any]:
    """All documents of the text. Raises ValueError with the place or the reason why it cannot be read."""
    try:
        found = list(_documents(_Loader(text)))
        values = _count(found, {})
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
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
