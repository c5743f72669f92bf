"""The two comparisons of the Go controller: derivative and full semantic equality (EQ-2, EQ-1)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aioctl.golang import gourl, quantity
from aioctl.golang.gotypes import GoType, Shape

_QUANTITY_PARENTS: Final = frozenset({"limits", "requests", "capacity"})
_MAPPINGS: Final = (dict, Mapping)
_PLAIN: Final = frozenset({str, bool, int})
_QUANTITY_FIELDS: Final = frozenset({"sizeLimit", "divisor", "storage"})


def _empty(value: Any) -> bool:
    return not value and (value is None or isinstance(value, (str, dict, list, tuple, Mapping)))


def _scalars_equal(wanted: Any, live: Any, *, as_quantity: bool) -> bool:
    if type(wanted) is type(live) and wanted == live:
        return True
    if as_quantity:
        try:
            return quantity.parse(str(wanted)) == quantity.parse(str(live))
        except ValueError:
            return False
    numbers = (int, float)
    if isinstance(wanted, bool) or isinstance(live, bool):
        return False
    return isinstance(wanted, numbers) and isinstance(live, numbers) and wanted == live


def derivative(wanted: Any, live: Any, *, _field: str = "", _parent: str = "") -> bool:
    """True when everything set in `wanted` is in `live` (EQ-2).

    Absent, null and empty values of `wanted` equal anything; a list may be a prefix; surplus keys of `live` are ignored.
    """
    if type(wanted) in _PLAIN and type(wanted) is type(live) and wanted == live:
        return True
    if _empty(wanted):
        return True
    if isinstance(wanted, (list, tuple)):
        if not isinstance(live, (list, tuple)) or len(wanted) > len(live):
            return False
        for mine, theirs in zip(wanted, live, strict=False):
            if not derivative(mine, theirs, _field=_field, _parent=_parent):
                return False
        return True
    if isinstance(wanted, _MAPPINGS):
        if not isinstance(live, _MAPPINGS):
            return False
        for key, value in wanted.items():
            theirs = live.get(key)
            if type(value) is str and value == theirs:
                continue
            if not derivative(value, theirs, _field=key, _parent=_field):
                return False
        return True
    return _scalars_equal(
        wanted, live, as_quantity=_parent in _QUANTITY_PARENTS or _field in _QUANTITY_FIELDS
    )


def derivative_as(type_: GoType, wanted: Any, live: Any) -> bool:
    """As `derivative`, of values of a Go type: it says what can be unset at all, and what is compared by its value.

    A pointer that is set is not equal to one that is not, whatever is behind it; a number, a boolean or a URL that is no pointer is
    always set. Fields that the type does not have are compared by `derivative`.
    """
    match type_.shape:
        case Shape.POINTER:
            return wanted is None or (live is not None and derivative_as(type_.of, wanted, live))
        case Shape.STRUCT if _are(_MAPPINGS, wanted, live):
            return _struct_is_derivative(type_, wanted or {}, live or {})
        case Shape.MAP if _are(_MAPPINGS, wanted, live):
            theirs = live or {}
            return all(
                key in theirs and derivative_as(type_.of, value, theirs[key])
                for key, value in (wanted or {}).items()
            )
        case Shape.LIST if _are((list, tuple), wanted, live):
            mine, theirs = wanted or (), live or ()
            return len(mine) <= len(theirs) and all(
                derivative_as(type_.of, one, other) for one, other in zip(mine, theirs, strict=False)
            )
        case Shape.URL:
            return bool(_printed(wanted) == _printed(live))
        case Shape.ANY:
            return wanted is None or equal(wanted, live)
        case Shape.QUANTITY | Shape.INT | Shape.INT_OR_STRING | Shape.BOOL:
            zero = False if type_.shape is Shape.BOOL else 0
            mine, theirs = (zero if value is None else value for value in (wanted, live))
            return _scalars_equal(mine, theirs, as_quantity=type_.shape is Shape.QUANTITY)
        case _:
            return derivative(wanted, live)


def _are(kinds: tuple[type, ...], *values: Any) -> bool:
    return all(value is None or isinstance(value, kinds) for value in values)


def _struct_is_derivative(type_: GoType, wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    fields = {field.json: field.type for field in type_.struct.fields}
    unknown = (key for key in wanted if key not in fields)
    return all(
        derivative_as(field, wanted.get(name), live.get(name)) for name, field in fields.items()
    ) and all(derivative(wanted[key], live.get(key)) for key in unknown)


def _printed(url: Any) -> Any:
    """A URL as Go prints it; one that it cannot read stays as it is."""
    try:
        return gourl.go_string(url) if isinstance(url, str) else url or ""
    except gourl.UrlError:
        return url


def equal(wanted: Any, live: Any) -> bool:
    """Full semantic equality: null, absent and empty are the same, quantities go by value (EQ-1)."""
    return _identical(wanted, live) or _equal(wanted, live)


def _identical(wanted: Any, live: Any) -> bool:
    """The short way for what is equal to the letter, as nearly everything of a settled service is.

    Python takes True for 1; JSON does not, and it is written at a fraction of the cost of a walk.
    """
    try:
        return bool(wanted == live) and _letters(wanted) == _letters(live)
    except (TypeError, ValueError, OverflowError):
        return False  # no JSON of a size that fits: the walk decides


def _letters(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _equal(wanted: Any, live: Any, *, _field: str = "", _parent: str = "") -> bool:
    if type(wanted) in _PLAIN and type(wanted) is type(live) and wanted == live:
        return True
    if _empty(wanted) and _empty(live):
        return True
    if isinstance(wanted, _MAPPINGS) and isinstance(live, _MAPPINGS):
        return all(
            _identical(wanted.get(key), live.get(key))
            or _equal(wanted.get(key), live.get(key), _field=key, _parent=_field)
            for key in wanted.keys() | live.keys()
        )
    if isinstance(wanted, (list, tuple)) and isinstance(live, (list, tuple)):
        return len(wanted) == len(live) and all(
            _equal(mine, theirs, _field=_field, _parent=_parent)
            for mine, theirs in zip(wanted, live, strict=True)
        )
    return _scalars_equal(
        wanted, live, as_quantity=_parent in _QUANTITY_PARENTS or _field in _QUANTITY_FIELDS
    )
