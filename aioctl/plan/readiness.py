"""What conditions say: whether they hold for the current generation, how they are quoted, and whether a pool is ready (POOL-5).

The two pool generations differ on purpose: a v1 pool is ready when every parent says so, a v1alpha2 pool when any parent
does. Where gateways are given only their entries count, for or against; of a v1 pool each must then have spoken. Nothing
is decided here about traffic; that is `plan/migration.py`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api.kinds import POOL_V1, Kind, ObjectKey
from aioctl.api.objects import Object, generation_of, namespace_of, sequence, text

Condition = Mapping[str, Any]

_REQUIRED: Final = ("Accepted", "ResolvedRefs")


@dataclass(frozen=True, slots=True)
class Readiness:
    """`failing` is the first condition that stands in the way; None when ready or when nothing was said at all.

    `why` says who said what of which generation, or who has yet to speak, and what is awaited; empty when ready.
    """

    ready: bool
    failing: Condition | None = None
    why: str = ""


READY: Final = Readiness(ready=True)


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


def quoted(condition: Condition) -> str:
    """`"<status>" (reason "<reason>", message "<message>")`, as today's KServe quotes the conditions of others."""
    status, reason, message = (
        quote(cut(str(condition.get(key, "")))) for key in ("status", "reason", "message")
    )
    return f"{status} (reason {reason}, message {message})"


def describe(condition: Condition) -> str:
    """The same with its type in front: `<type>="<status>" (...)`."""
    return f"{cut(str(condition.get('type', '')))}={quoted(condition)}"


def explain(condition: Condition | None, type_: str, speaker: str, generation: int) -> str:
    """One condition that stands in the way: quoted, by whom, of which generation, and what is awaited.

    None: the speaker has an entry, but not this condition.
    """
    if condition is None:
        return f'{speaker} has not reported {type_} for generation {generation}; awaited: {type_}="True"'
    return f"{describe(condition)} {source(condition, type_, speaker, generation)}"


def source(condition: Condition, type_: str, speaker: str, generation: int) -> str:
    """By whom a condition that stands in the way is, of which generation, and what is awaited."""
    observed = condition.get("observedGeneration")
    if is_stale(condition, generation):
        return (
            f"from {speaker} is of generation {observed}, the object is at generation {generation}; "
            f"awaited: {type_} for generation {generation}"
        )
    of = f"of generation {generation}" if observed else "that names no generation"
    return f'from {speaker} {of}; awaited: {type_}="True"'


_LONGEST_QUOTE: Final = 1000
"""Characters of somebody else's message that are quoted: theirs may have 32768, and a route has up to 32 parents."""


def cut(raw: str) -> str:
    """Somebody else's words, shortened to what is quoted of them."""
    return raw if len(raw) <= _LONGEST_QUOTE else raw[:_LONGEST_QUOTE] + "..."


_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def quote(raw: str) -> str:
    """A string in double quotes on one line, escaped as Go's %q does for what occurs in messages."""
    shown = (_ESCAPES.get(char) or (char if char.isprintable() else f"\\u{ord(char):04x}") for char in raw)
    return f'"{"".join(shown)}"'


def v1_ready(pool: Object | None, gateways: Collection[ObjectKey] | None = None) -> Readiness:
    """Readiness of a v1 pool.

    With gateways, only their entries count and each must have one. None or no gateways: every entry counts.
    """
    if pool is None:
        return _MISSING
    parents = _entries(pool, "parents", gateways)
    for entry in parents:
        verdict = _of_entry(entry, pool)
        if not verdict.ready:
            return verdict
    spoken = {_gateway_of(entry, pool) for entry in parents}
    missing = [key for key in gateways or () if key not in spoken]
    return READY if parents and not missing else _unspoken(missing, pool)


def v1alpha2_ready(pool: Object | None, gateways: Collection[ObjectKey] | None = None) -> Readiness:
    """Readiness of a v1alpha2 pool: one parent with every required condition is enough, of the gateways where given."""
    if pool is None:
        return _MISSING
    verdicts = [_of_entry(entry, pool) for entry in _entries(pool, "parent", gateways)]
    if any(verdict.ready for verdict in verdicts):
        return READY
    return verdicts[0] if verdicts else _unspoken(list(gateways or ()), pool)


def accepts(pool: Object, kind: Kind, gateway: ObjectKey) -> bool:
    """True when this gateway has an entry in the pool's status that says Accepted of the current generation."""
    generation = generation_of(pool)
    return any(holds(condition, generation) for condition in accepted_by(pool, kind, gateway))


def accepted_by(pool: Object, kind: Kind, gateway: ObjectKey) -> list[Condition]:
    """The Accepted conditions in this gateway's entries of the pool's status, of whatever generation."""
    entries = _entries(pool, "parents" if kind == POOL_V1 else "parent", (gateway,))
    found = (find_condition(sequence(entry, "conditions"), "Accepted") for entry in entries)
    return [condition for condition in found if condition is not None]


def _entries(pool: Object, field: str, gateways: Collection[ObjectKey] | None) -> list[Any]:
    """The entries of the gateways, all where there are none. Istio names its own API group, so groups are not compared."""
    entries = sequence(pool, "status", field)
    if not gateways:
        return list(entries)
    return [
        entry
        for entry in entries
        if text(entry, "parentRef", "kind") in ("", "Gateway") and _gateway_of(entry, pool) in gateways
    ]


def _gateway_of(entry: Any, pool: Object) -> ObjectKey:
    return ObjectKey(
        text(entry, "parentRef", "namespace") or namespace_of(pool), text(entry, "parentRef", "name")
    )


def _of_entry(entry: Any, pool: Object) -> Readiness:
    generation = generation_of(pool)
    for type_ in _REQUIRED:
        condition = find_condition(sequence(entry, "conditions"), type_)
        if condition is None or not holds(condition, generation):
            kind = text(entry, "parentRef", "kind") or "Gateway"
            speaker = f"{kind} {_gateway_of(entry, pool)}"
            return Readiness(
                ready=False, failing=condition, why=explain(condition, type_, speaker, generation)
            )
    return READY


def _unspoken(gateways: Collection[ObjectKey], pool: Object) -> Readiness:
    """Nobody stands in the way, but these gateways (none given: any gateway) have yet to speak."""
    speaker = ", ".join(f"Gateway {key}" for key in gateways) or "no Gateway"
    awaited = " and ".join(f'{type_}="True"' for type_ in _REQUIRED)
    verb = "has reported" if not gateways else "has not reported"
    return Readiness(
        ready=False, why=f"{speaker} {verb} on generation {generation_of(pool)}; awaited: {awaited}"
    )


_MISSING: Final = Readiness(ready=False, why="it does not exist")
