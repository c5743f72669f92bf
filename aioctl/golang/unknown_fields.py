"""Fields of an object that its Go types do not have: a typed round trip drops them without a word."""

from collections.abc import Iterator, Mapping
from typing import Any

from aioctl.golang.gotypes import SPEC, GoType, Shape


def unknown_fields(tree: Any, type_: GoType = SPEC, at: str = "spec") -> Iterator[tuple[str, Any]]:
    """Path and value of each field that is dropped, in the order of the tree. Values of a wrong type have none; they fail elsewhere."""
    match type_.shape:
        case Shape.POINTER:
            yield from unknown_fields(tree, type_.of, at)
        case Shape.LIST if isinstance(tree, list):
            for index, item in enumerate(tree):
                yield from unknown_fields(item, type_.of, f"{at}[{index}]")
        case Shape.MAP if isinstance(tree, Mapping):
            for key, value in tree.items():
                yield from unknown_fields(value, type_.of, f"{at}.{key}")
        case Shape.STRUCT if isinstance(tree, Mapping):
            known = {field.json: field.type for field in type_.struct.fields}
            for key, value in tree.items():
                if key in known:
                    yield from unknown_fields(value, known[key], f"{at}.{key}")
                else:
                    yield f"{at}.{key}", value
