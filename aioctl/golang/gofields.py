"""JSON texts as Go's encoding/json reads them into structs: the names of fields count in any case.

The objects of an API server are spelled as its schema says; this is for texts inside of values, which no schema sees.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Fields(Mapping[str, Any]):
    """An object whose fields are found in any case; of several spellings of one name the last counts."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, Any]]) -> None:
        self._values = {name.casefold(): value for name, value in pairs}

    def __getitem__(self, name: str) -> Any:
        return self._values[name.casefold()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read(text: str) -> Any:
    """The value of a JSON text, its objects as `Fields`. Raises ValueError, RecursionError."""
    return json.loads(text, object_pairs_hook=Fields, parse_constant=_no_json)


def _no_json(word: str) -> None:
    """Python reads Infinity and NaN as numbers, Go does not."""
    raise ValueError(f"{word} is no JSON")
