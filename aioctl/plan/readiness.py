"""Whether an InferencePool is ready, generation by generation (spec 50 section 3 with its Decisions).

The two generations differ on purpose: a v1 pool is ready when every parent says so (optionally only the parents of the
route's gateways, each of which must then have spoken), a v1alpha2 pool when any parent does. Nothing is decided here
about traffic; that is `plan/migration.py`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, generation_of, namespace_of, sequence, text

Condition = Mapping[str, Any]

_REQUIRED = ("Accepted", "ResolvedRefs")


@dataclass(frozen=True, slots=True)
class Readiness:
    """`failing` is the first condition that stands in the way; None when ready or when nothing was said at all."""

    ready: bool
    failing: Condition | None = None


NOT_READY = Readiness(ready=False)
READY = Readiness(ready=True)


def find_condition(conditions: Iterable[Any], type_: str) -> Condition | None:
    """The first condition of that type."""
    for condition in conditions:
        if isinstance(condition, Mapping) and condition.get("type") == type_:
            return condition
    return None


def is_stale(condition: Condition, generation: int) -> bool:
    """True when the condition speaks of an older generation; one that names none is taken as current."""
    observed = condition.get("observedGeneration")
    return isinstance(observed, int) and 0 < observed < generation


def holds(condition: Condition, generation: int) -> bool:
    """True and current."""
    return condition.get("status") == "True" and not is_stale(condition, generation)


def describe(condition: Condition) -> str:
    """`<type>="<status>" (reason "<reason>", message "<message>")`, as conditions quote other conditions (6.2)."""
    status, reason, message = (quote(str(condition.get(key, ""))) for key in ("status", "reason", "message"))
    return f"{condition.get('type', '')}={status} (reason {reason}, message {message})"


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quote(raw: str) -> str:
    """A string in double quotes on one line, escaped as Go's %q does for what occurs in messages."""
    shown = (_ESCAPES.get(char) or (char if char.isprintable() else f"\\u{ord(char):04x}") for char in raw)
    return f'"{"".join(shown)}"'


def v1_ready(pool: Object | None, gateways: Collection[ObjectKey] | None = None) -> Readiness:
    """Readiness of a v1 pool.

    With gateways, only their entries count and each must have one: the rule for moving traffic. None or no gateways:
    every entry counts, the rule of InferencePoolReady.
    """
    if pool is None:
        return NOT_READY
    parents = list(sequence(pool, "status", "parents"))
    if gateways:
        parents = [parent for parent in parents if _gateway_of(parent, pool) in gateways]
        if {_gateway_of(parent, pool) for parent in parents} != set(gateways):
            return _all_hold(parents, pool, otherwise=NOT_READY)
    return _all_hold(parents, pool, otherwise=READY) if parents else NOT_READY


def v1alpha2_ready(pool: Object | None) -> Readiness:
    """Readiness of a v1alpha2 pool: one parent with every required condition is enough."""
    if pool is None:
        return NOT_READY
    verdicts = [_all_hold([parent], pool, otherwise=READY) for parent in sequence(pool, "status", "parent")]
    if any(verdict.ready for verdict in verdicts):
        return READY
    return verdicts[0] if verdicts else NOT_READY


def _gateway_of(parent: Any, pool: Object) -> ObjectKey:
    return ObjectKey(
        text(parent, "parentRef", "namespace") or namespace_of(pool), text(parent, "parentRef", "name")
    )


def _all_hold(parents: Iterable[Any], pool: Object, *, otherwise: Readiness) -> Readiness:
    for parent in parents:
        for type_ in _REQUIRED:
            condition = find_condition(sequence(parent, "conditions"), type_)
            if condition is None or not holds(condition, generation_of(pool)):
                return Readiness(ready=False, failing=condition)
    return otherwise
