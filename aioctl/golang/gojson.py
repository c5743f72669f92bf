"""Values inside error texts, spelled as Go's encoder spells its structs: declared field order, its fillers, `\\u003c`.

The types are those of the table; the ones that admission quotes (ADM-2) have names here. What is not known keeps the
order it came in, after what is. Nothing compares these texts but people and recordings.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from aioctl.golang.errors import FieldError
from aioctl.golang.gotypes import GoType, go_type
from aioctl.golang.roundtrip import round_trip

PARALLELISM: Final = go_type("kserve.ParallelismSpec")
ROUTE: Final = go_type("kserve.HTTPRouteSpec")
ROUTE_SPEC: Final = go_type("gateway.HTTPRouteSpec")
POD_SPEC: Final = go_type("core.PodSpec")


def _written(value: Any, type_: GoType | None) -> Any:
    """The value as Go's encoder writes it. What Go could not decode, and what has no type, keeps its own form and order."""
    if type_ is not None and isinstance(value, Mapping):
        try:
            return round_trip(value, type_)
        except FieldError:
            return value
    return value


def dump(value: Any, type_: GoType | None = None) -> str:
    """Compact JSON as Go writes it; absent is `null`, and `<`, `>` and `&` are escaped."""
    text = json.dumps(_written(value, type_), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
