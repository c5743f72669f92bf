"""Where the key-value cache goes when it has left the accelerator."""

from collections.abc import Generator, Iterator
from typing import Final

from aioctl.api.objects import FieldError, Object, mapping, present, sequence, text, within
from aioctl.api.problems import Problem, invalid, required
from aioctl.api.rules.workload import both
from aioctl.golang import quantity
from aioctl.golang.gotypes import GoType, go_type

_FILE_SYSTEM: Final = go_type("kserve.KVCacheFileSystem")
_CLAIM: Final = go_type("kserve.KVCachePVC")


def kv_cache(service: Object) -> Iterator[Problem]:
    """Only the tiers behind the memory have rules beyond the schema."""
    return both(service, _kv_cache)


def _kv_cache(workload: Object, at: str) -> Iterator[Problem]:
    tiers = sequence(workload, "kvCacheOffloading", "secondary")
    if not tiers:
        return
    at = f"{at}.kvCacheOffloading"
    if _is_zero(workload["kvCacheOffloading"], "cpu", at=at):
        yield required("kv-cpu", f"{at}.cpu", "cpu must be set when secondary tiers are configured")
    for index, tier in enumerate(tiers):
        with within(f"{at}.secondary[{index}]"):
            yield from _tier(tier, f"{at}.secondary[{index}].fileSystem")


def _is_zero(owner: Object, name: str, *, at: str) -> bool:
    value = owner.get(name)
    if value is None:
        return True
    try:
        return quantity.parse(str(value)) == 0
    except ValueError as error:
        raise FieldError(f"{at}.{name}", str(error)) from error


def _tier(tier: Object, at: str) -> Iterator[Problem]:
    if not present(tier, "fileSystem"):
        yield required("kv-tier", at, "only fileSystem tiers are supported; fileSystem must be set")
        return
    files = tier["fileSystem"]
    if (yield from _one_of(files, "emptyDir", "pvc", at, _FILE_SYSTEM)) != "pvc":
        return
    claim, at = mapping(files, "pvc"), f"{at}.pvc"
    if (yield from _one_of(claim, "spec", "ref", at, _CLAIM)) == "ref" and not text(claim, "ref", "name"):
        yield required("kv-ref", f"{at}.ref.name", "name is required")


def _one_of(owner: Object, one: str, other: str, at: str, type_: GoType) -> Generator[Problem, None, str]:
    """The one of two fields that is set; empty, and a problem, where none or both are."""
    chosen = [name for name in (one, other) if owner.get(name) is not None]
    wanted = f"exactly one of {one} or {other} must be set"
    if not chosen:
        yield required("kv-none", at, wanted)
    elif len(chosen) > 1:
        yield invalid("kv-both", at, owner, f"{wanted}; multiple are set", type_)
    else:
        return chosen[0]
    return ""
