"""Large YAML files written by machines, read at three times the speed of PyYAML's own constructor on libyaml's events.

CRDs and recordings are megabytes, and every process that runs tests parses them. What they are made of is read here: maps with
scalar keys, lists, scalars as YAML 1.1 resolves them, anchors and aliases. Explicit tags and merge keys are refused.
"""

from collections.abc import Iterator
from typing import Any, Final

import yaml

_STRING: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"


class NotPlain(ValueError):
    """The file holds a tag or a merge key."""


def load_all(text: str) -> Iterator[Any]:
    """The documents of a text, as `yaml.load_all` with the safe loader gives them."""
    reader = _Reader(text)
    while isinstance(event := reader.next(), yaml.StreamStartEvent | yaml.DocumentStartEvent):
        if isinstance(event, yaml.DocumentStartEvent):
            yield reader.document()


def load(text: str) -> Any:
    """The only document of a text; None for an empty text. Raises ValueError when there are more."""
    found = list(load_all(text))
    if len(found) > 1:
        raise ValueError(f"{len(found)} documents where one is expected")
    return found[0] if found else None


class _Reader:
    """Values out of a stream of events."""

    def __init__(self, text: str) -> None:
        self._parser: Any = yaml.CSafeLoader(text)
        self.next = self._parser.get_event
        self._plain: dict[str, Any] = {}
        """What plain scalars mean: the same words come again and again."""
        self._anchors: dict[str, Any] = {}

    def document(self) -> Any:
        """The value behind the start of a document, and its end."""
        self._anchors = {}
        found = self._value(self.next())
        self.next()
        return found

    def _value(self, event: Any) -> Any:
        kind = event.__class__
        if kind is yaml.ScalarEvent:
            return self._kept(event, self._scalar(event))
        if kind is yaml.AliasEvent:
            return self._anchors[event.anchor]
        if event.tag is not None:
            raise NotPlain(f"{event.start_mark}: the tag {event.tag}")
        if kind is yaml.MappingStartEvent:
            mapping: dict[Any, Any] = self._kept(event, {})
            while (key := self.next()).__class__ is not yaml.MappingEndEvent:
                mapping[self._value(key)] = self._value(self.next())
            return mapping
        items: list[Any] = self._kept(event, [])
        while (item := self.next()).__class__ is not yaml.SequenceEndEvent:
            items.append(self._value(item))
        return items

    def _kept(self, event: Any, value: Any) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _scalar(self, event: Any) -> Any:
        if event.tag is not None:
            raise NotPlain(f"{event.start_mark}: the tag {event.tag}")
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text not in self._plain:
            self._plain[text] = self._resolved(text, event)
        return self._plain[text]

    def _resolved(self, text: str, event: Any) -> Any:
        tag = self._parser.resolve(yaml.ScalarNode, text, (True, False))
        if tag == _STRING:
            return text
        if tag == _MERGE:
            raise NotPlain(f"{event.start_mark}: a merge key")
        return self._parser.construct_object(yaml.ScalarNode(tag, text))
