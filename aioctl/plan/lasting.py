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
_STATUS: Final = ("annotations", "observedGeneration", "addresses")
"""Of the status: what was decided once and stands, and what others know the service by."""


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
    """The same for services of which the same lasts; which generation was observed does not count."""
    return digest_of(_unobserved(part(service)))


def digest_of(*values: Any) -> bytes:
    """The same for the same values, as they would be written in JSON."""
    return blake2b(to_json(values), digest_size=16).digest()


def uncounted(service: Object) -> dict[str, Any]:
    """The part that lasts but for the `counts` of its spec and the generation, which counts every edit."""
    lasts = _unobserved(part(service))
    if isinstance(metadata := lasts.get("metadata"), Mapping):
        lasts["metadata"] = {name: value for name, value in metadata.items() if name != "generation"}
    if isinstance(spec := lasts.get("spec"), Mapping):
        lasts["spec"] = without_counts(spec)
    return lasts


def _unobserved(lasts: dict[str, Any]) -> dict[str, Any]:
    if isinstance(lasts.get("status"), Mapping):
        lasts["status"].pop("observedGeneration", None)
    return lasts


def without_counts(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec without its `counts`."""
    kept = {name: value for name, value in spec.items() if name != "replicas"}
    if isinstance(prefill := kept.get("prefill"), Mapping):
        kept["prefill"] = {name: value for name, value in prefill.items() if name != "replicas"}
    return kept


def counts(spec: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """The numbers of a spec that change alone, and that only the workloads look at, by their path; as they are where they are
    of the wrong type."""
    prefill = spec.get("prefill")
    inner = prefill.get("replicas") if isinstance(prefill, Mapping) else None
    return {("replicas",): spec.get("replicas"), ("prefill", "replicas"): inner}


def _combined(conditions: object) -> list[dict[str, Any]]:
    """Whether an earlier controller could combine the spec (FORM-1)."""
    return [
        {"type": entry["type"], "status": entry.get("status")}
        for entry in (conditions if isinstance(conditions, list) else ())
        if isinstance(entry, Mapping) and entry.get("type") == c.PRESETS_COMBINED
    ]
