"""What lasts of a stored service between its versions: all that the parts of a plan may look at (ARCH-11).

Every write of a status makes a new version, and most of them change nothing that a plan is made of. What a plan is given is this part
and no more, so that whatever it looks at is in the digest.
"""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api.encoding import to_json
from aioctl.api.objects import Object, dig, replaced

_PASSING: Final = frozenset({"resourceVersion", "managedFields", "finalizers"})
"""Of the metadata. Whether our finalizer is there is looked at before the parts."""
_STATUS: Final = ("annotations", "observedGeneration", "addresses")
"""Of the status: what was decided once and stands, and what others know the service by."""
_TOO_MANY: Final = 2**31
"""Replicas that no schema takes."""


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


def unnumbered_digest(service: Object) -> bytes:
    """As `digest`, and the same whatever the service's `numbers` are."""
    return digest(unnumbered(service))


def unnumbered(service: Object) -> dict[str, Any]:
    """The service as it would be with 0 for each of its `numbers`."""
    return with_numbers(service, dict.fromkeys(numbers(service), 0))


def numbers(service: Object) -> dict[tuple[str, ...], int]:
    """The numbers in a service that an edit of `counts` changes, by their path; those that any schema takes, and no others."""
    spec = service.get("spec")
    found = {
        ("spec", *path): number for path, number in counts(spec if isinstance(spec, Mapping) else {}).items()
    }
    found["metadata", "generation"] = dig(service, "metadata", "generation")
    return {path: number for path, number in found.items() if type(number) is int and 0 <= number < _TOO_MANY}


def own_counts(service: Object) -> dict[tuple[str, ...], int]:
    """Those of the `numbers` that are in the spec, by their path in it: they stand in any combined spec of the service as well."""
    return {path[1:]: number for path, number in numbers(service).items() if path[0] == "spec"}


def with_numbers(tree: Mapping[str, Any], given: Mapping[tuple[str, ...], int]) -> dict[str, Any]:
    """A copy of a tree with these numbers, each at a path that is there already; the rest is shared."""
    made = dict(tree)
    for path, number in given.items():
        made = replaced(made, path, number)
    return made


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
