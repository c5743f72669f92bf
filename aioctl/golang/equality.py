"""The two comparisons of the Go controller: derivative and full semantic equality (EQ-2, EQ-1)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aioctl.golang import quantity

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
