"""What lasts of a stored service between its versions: all that the parts of a plan may look at (ARCH-11).

Every write of a status makes a new version, and most of them change nothing that a plan is made of. What a plan is given is this part
and no more, so that whatever it looks at is in the digest.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api.encoding import to_json
from aioctl.api.objects import Object

_PASSING: Final = frozenset({"resourceVersion", "managedFields", "finalizers"})
"""Of the metadata. Whether our finalizer is there is looked at before the parts."""
_STATUS: Final = ("annotations", "addresses")
"""Of the status: what was decided once and stands, and what others know the service by."""
COUNTS: Final = (("replicas",), ("prefill", "replicas"))
"""Of the spec: the numbers that change alone, and that only the workloads look at (`memo.count`)."""


def part(service: Object) -> dict[str, Any]:
    """The part that lasts; fields of the wrong type stay as they are, so that whoever looks at them says so."""
    lasts = dict(service)
    if isinstance(metadata := service.get("metadata"), Mapping):
        lasts["metadata"] = {name: value for name, value in metadata.items() if name not in _PASSING}
    if isinstance(status := service.get("status"), Mapping):
        lasts["status"] = {name: status[name] for name in _STATUS if name in status}
        if combined := _combined(status.get("conditions")):
            lasts["status"]["conditions"] = combined
    return lasts


def digest(service: Object) -> bytes:
    """The same for services of which the same lasts."""
    return digest_of(part(service))


def digest_of(*values: Any) -> bytes:
    """The same for the same values, as they would be written in JSON."""
    return blake2b(to_json(values), digest_size=16).digest()


def uncounted(service: Object) -> dict[str, Any]:
    """The part that lasts but for `COUNTS` and the generation, which counts every edit."""
    lasts = part(service)
    if isinstance(metadata := lasts.get("metadata"), Mapping):
        lasts["metadata"] = {name: value for name, value in metadata.items() if name != "generation"}
    if isinstance(spec := lasts.get("spec"), Mapping):
        lasts["spec"] = without_counts(spec)
    return lasts


def without_counts(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without `COUNTS`."""
    kept = {name: value for name, value in spec.items() if name != "replicas"}
    if isinstance(prefill := kept.get("prefill"), Mapping):
        kept["prefill"] = {name: value for name, value in prefill.items() if name != "replicas"}
    return kept


def counts(spec: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """What `without_counts` leaves out, by its path; fields of the wrong type as they are."""
    prefill = spec.get("prefill")
    found = {("replicas",): spec.get("replicas")}
    found["prefill", "replicas"] = prefill.get("replicas") if isinstance(prefill, Mapping) else None
    return found


def _combined(conditions: object) -> list[dict[str, Any]]:
    """Whether an earlier controller could combine the spec (FORM-1)."""
    return [
        {"type": entry["type"], "status": entry.get("status")}
        for entry in (conditions if isinstance(conditions, list) else ())
        if isinstance(entry, Mapping) and entry.get("type") == c.PRESETS_COMBINED
    ]
