"""Which InferencePool generation the routing sidecar of a model server watches (SIDE-1).

The sidecar allows requests to the pods of the pool it is told (`--inference-pool`, `--pool-group`), and reads it all its life, so
what it is told must be served, and its release must be able to read it:

| llm-d-routing-sidecar | v1 | v1alpha2 |
|---|---|---|
| up to 0.9 | reads the selector flat: nobody is allowed, 403 | works |
| 0.10 | works | works |
| later | works | exits |

Both pools of a service select the same pods, so nothing follows the lock: a pod template that is made, or changed for another reason,
names what fits then, and running model servers keep what they have (FORM-1), unless its presets or its user say v1 now, or
`aioctl finish` takes the service's processes off v1alpha2 (docs/decisions/0020-what-sidecars-are-told.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Served
from aioctl.api.objects import sequence, text
from aioctl.plan.epp_rewriting import image_version
from aioctl.plan.finished import is_leaving, v1alpha2_served
from aioctl.plan.model import Context
from aioctl.plan.workload.pods import SIDECAR, Pod

NEEDS_OLD_POOL: Final = "SidecarNeedsV1alpha2Pool"
_FLAGS: Final = ("--pool-group", "-pool-group")
_GROUPS: Final = (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)
_FIELDS: Final = ("command", "args")
_BOTH_FROM: Final = (0, 10, 0, False)
_V1_ALONE_FROM: Final = (0, 11, 0, False)


def tell_generation(ctx: Context, pod: Pod, live: Iterable[Mapping[str, Any]]) -> None:
    """Names in the sidecar's flag the generation that fits; no flag is added. `live`: the pod specs as they run now."""
    running = next((group for each in live for found in _sidecars(each) if (group := _told(found))), "")
    for found in _sidecars(pod):
        told = _told(found)
        if told:
            _tell(found, told, _fitting(ctx, found, told, running))


def notices(ctx: Context, pods: Iterable[Pod | None]) -> tuple[tuple[str, str], ...]:
    """(reason, message) of the Warning about a sidecar that can read nothing the cluster serves."""
    if v1alpha2_served(ctx) is not Served.NO:
        return ()
    found = (each for pod in pods if pod is not None for each in _sidecars(pod))
    images = [
        text(each, "image") for each in found if _told(each) and _readable(each) == {POOL_GROUP_V1ALPHA2}
    ]
    if not images:
        return ()
    message = (
        f"{SIDECAR} {images[0]} can read v1alpha2 InferencePools only, which are not served here, and refuses every request "
        "between prefill and decode; use version 0.10 or later"
    )
    return ((NEEDS_OLD_POOL, message),)


def _fitting(ctx: Context, sidecar: Mapping[str, Any], told: str, running: str) -> str:
    if v1alpha2_served(ctx) is Served.NO:
        return POOL_GROUP_V1
    readable = _readable(sidecar)
    if POOL_GROUP_V1 in readable and (told == POOL_GROUP_V1 or is_leaving(ctx)):
        return POOL_GROUP_V1
    if running in readable:
        return running
    return told if told in readable else next(iter(readable))


def can_read_v1(sidecar: Mapping[str, Any]) -> bool:
    """True for a release that can, and for one that is not known."""
    return POOL_GROUP_V1 in _readable(sidecar)


def _readable(sidecar: Mapping[str, Any]) -> frozenset[str]:
    """The generations that its release can read; both where the image's tag names none."""
    version = image_version(text(sidecar, "image"))
    if version is None or _BOTH_FROM <= version < _V1_ALONE_FROM:
        return frozenset(_GROUPS)
    return frozenset({POOL_GROUP_V1ALPHA2 if version < _BOTH_FROM else POOL_GROUP_V1})


def _sidecars(pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (each for each in sequence(pod, "initContainers") if text(each, "name") == SIDECAR)


def _told(sidecar: Mapping[str, Any]) -> str:
    """The generation that its flag names; empty without one, or for another group."""
    for field in _FIELDS:
        before: Any = None
        for arg in sequence(sidecar, field):
            flag, separator, value = arg.partition("=") if isinstance(arg, str) else ("", "", "")
            named = value if flag in _FLAGS and separator else arg if before in _FLAGS else ""
            if named in _GROUPS:
                return str(named)
            before = arg
    return ""


def _tell(sidecar: dict[str, Any], told: str, group: str) -> None:
    for field in _FIELDS:
        if sequence(sidecar, field):
            sidecar[field] = list(_regrouped(sequence(sidecar, field), told, group))


def _regrouped(args: Sequence[Any], told: str, group: str) -> Iterator[Any]:
    before: Any = None
    for arg in args:
        flag, separator, value = arg.partition("=") if isinstance(arg, str) else ("", "", "")
        if flag in _FLAGS and separator and value == told:
            yield f"{flag}={group}"
        else:
            yield group if before in _FLAGS and arg == told else arg
        before = arg
