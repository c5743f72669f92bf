"""What a carrier annotation may hold: the same as the field it stands for.

Carriers are ours, but every client can write annotations, and the API server does not check what a conversion makes of
them. A value that the field's schema refuses would be stored all the same, and then no write of the object would pass.
So conversion asks `fits` before it carries or applies a value, and admission refuses what does not fit, by `problems`.

The parts that checks are built from are in `schema_checks`, the fields that only v1alpha2 has in `carried_fields`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from aioctl.api.carried_fields import SPEC, SPEC_FIELDS, STATUS, STATUS_FIELDS, carrier
from aioctl.api.names import CRITICALITY
from aioctl.api.objects import Object, annotations_of
from aioctl.api.schema_checks import Check, by_index, integer, listed, one_of, record, shortened, text, wrong

UPSTREAM_CRITICALITY: Final = "internal.serving.kserve.io/model-criticality"
LORA_CRITICALITIES: Final = "internal.serving.kserve.io/lora-criticalities"
TARGET_PORTS: Final = "internal.serving.kserve.io/target-ports"
CARRIERS: Final = (
    CRITICALITY,
    UPSTREAM_CRITICALITY,
    LORA_CRITICALITIES,
    TARGET_PORTS,
    SPEC_FIELDS,
    STATUS_FIELDS,
)

LEVELS: Final = ("Critical", "Standard", "Sheddable")
MAX_TARGET_PORTS: Final = 8
"""As in the schema of InferencePool v1 (Gateway API Inference Extension 1.0), which the CRD repeats."""
_LARGEST_PORT: Final = 65535


def decode(text: str | None) -> Any:
    """The carried value; None for no text and for text that is no JSON (such an annotation is ignored)."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


target_ports: Final = listed(
    record(number=integer(1, _LARGEST_PORT)), least=1, most=MAX_TARGET_PORTS, unique="number"
)
lora_criticalities: Final = by_index(text)
criticality: Final = one_of(*LEVELS)

_JSON: Final[Mapping[str, Check]] = {
    LORA_CRITICALITIES: lora_criticalities,
    TARGET_PORTS: target_ports,
    SPEC_FIELDS: carrier(SPEC),
    STATUS_FIELDS: carrier(STATUS),
}
_PLAIN: Final[Mapping[str, Check]] = {CRITICALITY: criticality, UPSTREAM_CRITICALITY: criticality}


def field(key: str) -> str:
    """How messages name an annotation."""
    return f"metadata.annotations[{key}]"


def problems(new: Object, old: Object | None = None) -> Iterator[tuple[str, str, str]]:
    """(annotation, the beginning of its text, what is wrong) for each carrier of an object that does not fit, in a fixed order.

    What the old object had already, letter for letter, is no news: such an object can still be changed.
    """
    found, before = annotations_of(new), {} if old is None else annotations_of(old)
    for key in CARRIERS:
        value = found.get(key)
        if value is None or before.get(key) == value:
            continue
        problem = _PLAIN[key](value, "") if key in _PLAIN else _json_problem(_JSON[key], value)
        if problem:
            yield key, shortened(value), f"{problem}; leave the annotation out, it is the controller's own"


def _json_problem(check: Check, value: str) -> str:
    carried = decode(value)
    return wrong(value, "", "JSON") if carried is None else check(carried, "")
