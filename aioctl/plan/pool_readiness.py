"""Whether gateways have accepted a pool, of either generation, and how it is said that they have not (POOL-6).

Acceptance alone counts: what a pool refers to is for the route's readiness and for the migration, which is stricter.
Only what the service's own gateways said counts, and of those only their present controllers: statuses outlive their authors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api.kinds import POOL_V1, Kind, ObjectKey
from aioctl.api.objects import Object, generation_of, key_of, namespace_of, sequence, text
from aioctl.plan.gateways import READY, Judgement
from aioctl.plan.readiness import Condition, cut, find_condition, holds, is_stale, quote

Controller = Callable[[ObjectKey], str]
"""The controllerName that a gateway's class gives; empty where it is not known."""

_ACCEPTED: Final = "Accepted"
WAITING: Final = "WaitingForGateway"
NOT_READY: Final = "InferencePoolNotReady"


@dataclass(frozen=True, slots=True)
class _Entry:
    gateway: ObjectKey
    controller: str
    accepted: Condition | None


def judge(pool: Object, kind: Kind, gateways: Sequence[ObjectKey], controller: Controller) -> Judgement:
    """Ready when each of the gateways has accepted the pool as it is; without gateways, when any gateway has."""
    where = f"Inference Pool {key_of(pool)}"
    entries = _entries(pool, kind)
    ours = [entry for entry in entries if entry.gateway in gateways] if gateways else entries
    if not ours:
        message = f"{where} exists but no Gateway controller has accepted it yet"
        return Judgement(ready=False, reason=WAITING, message=message)
    speaking = [entry for gateway in gateways or _spoken(ours) for entry in _of(gateway, ours, controller)]
    silent = [gateway for gateway in gateways if gateway not in _spoken(speaking)]
    if silent:
        message = f"{where} is not yet accepted by gateway {silent[0]}"
        return Judgement(ready=False, reason=WAITING, message=message)
    generation = generation_of(pool)
    standing = [entry for entry in speaking if not _holds(entry, generation)]
    if not standing or (not gateways and len(standing) < len(speaking)):
        return READY
    said = next((entry.accepted for entry in standing if entry.accepted is not None), None)
    message = (
        f"The inference pool {key_of(pool)} is not ready"
        if said is None
        else f"{key_of(pool)}: {_quoted(said, generation)}"
    )
    return Judgement(ready=False, reason=NOT_READY, message=message)


def _entries(pool: Object, kind: Kind) -> list[_Entry]:
    """What gateways said. The CRD's own default entry is of kind Status; Istio names its own API group, so that is not compared."""
    field = "parents" if kind == POOL_V1 else "parent"
    return [
        _entry(entry, pool)
        for entry in sequence(pool, "status", field)
        if text(entry, "parentRef", "kind") in ("", "Gateway")
    ]


def _entry(entry: Any, pool: Object) -> _Entry:
    gateway = ObjectKey(
        text(entry, "parentRef", "namespace") or namespace_of(pool), text(entry, "parentRef", "name")
    )
    accepted = find_condition(sequence(entry, "conditions"), _ACCEPTED)
    return _Entry(gateway, text(entry, "controllerName"), accepted)


def _of(gateway: ObjectKey, entries: Sequence[_Entry], controller: Controller) -> list[_Entry]:
    """The gateway's entries; of several controllers those of its class's, where that one has spoken."""
    found = [entry for entry in entries if entry.gateway == gateway]
    if len({entry.controller for entry in found}) > 1:
        named = controller(gateway)
        found = [entry for entry in found if entry.controller == named] or found
    return found


def _spoken(entries: Sequence[_Entry]) -> list[ObjectKey]:
    return list(dict.fromkeys(entry.gateway for entry in entries))


def _holds(entry: _Entry, generation: int) -> bool:
    return entry.accepted is not None and holds(entry.accepted, generation)


def _quoted(said: Condition, generation: int) -> str:
    """The condition as KServe quotes it; a stale one says so, for its words would mislead."""
    status, reason, message = (quote(cut(str(said.get(key, "")))) for key in ("status", "reason", "message"))
    quoted = f"{_ACCEPTED}={status} (reason {reason}, message {message})"
    if not is_stale(said, generation):
        return quoted
    observed = said.get("observedGeneration")
    return f"{quoted} is stale: it is of generation {observed}, the pool is at generation {generation}"
