"""When traffic moves from the v1alpha2 to the v1 InferencePool: one pure decision (spec 50 section 4, design section 4).

    NoRoute -> Initial -> (Shifting ->) Migrated, and Held while somebody has to act

The lock is read first and apart from every pool read, so nothing that fails can move traffic back. What is not known
never changes anything. `decide` sees facts only; `plan/migration_facts.py` gathers them and `plan/route.py` writes the
outcome, weights and lock in one write. Every state has one stable reason, the same in condition, event, metric and
command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any

from aioctl.api import names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import sequence
from aioctl.plan.model import Served, Strategy
from aioctl.plan.routing import is_pool_ref


class State(StrEnum):
    """Where a service is. Shifting: decided, and the write that does it is not seen yet."""

    NO_ROUTE = "NoRoute"
    INITIAL = "Initial"
    SHIFTING = "Shifting"
    MIGRATED = "Migrated"
    HELD = "Held"


class Reason(StrEnum):
    """Why a service is where it is. Values are part of the public face: metrics and conditions carry them."""

    NO_MANAGED_ROUTE = "NoManagedRoute"
    NO_SCHEDULER = "NoScheduler"
    LOCKED = "Locked"
    V1_POOL_READY = "V1PoolReady"
    V1ALPHA2_NOT_SERVED = "V1alpha2NotServed"
    V1ALPHA2_REFUSED = "V1alpha2Refused"
    EXTERNAL_POOL_FOUND = "ExternalPoolFound"
    V1_NOT_SERVED = "V1NotServed"
    V1_POOL_MISSING = "V1PoolMissing"
    V1_POOL_NOT_READY = "V1PoolNotReady"
    NOT_KNOWN = "NotKnown"
    GATEWAY_REFUSES_V1 = "GatewayRefusesV1"
    MIXED_REFERENCES_REFUSED = "MixedReferencesRefused"
    PAUSED = "Paused"
    STRATEGY_HOLD = "StrategyHold"


class PoolState(Enum):
    """What is known of one generation's pool. READY already includes the gateways of the route."""

    UNKNOWN = "unknown"
    ABSENT = "absent"
    NOT_READY = "not-ready"
    READY = "ready"


class Refusal(Enum):
    """How far the parents of the live route answer ResolvedRefs=False/InvalidKind, of the current generation only."""

    NONE = "none"
    SOME = "some"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class MigrationFacts:
    """Everything the decision depends on."""

    managed: bool = True
    """The HTTPRoute is ours to write."""
    scheduler: bool = True
    external: bool = False
    """`pool.ref` names a pool of the user."""
    route_exists: bool = True
    route_locked: bool = False
    """The live route carries the lock, in either spelling, for the pool now in use (see `migration_facts`)."""
    status_locked: bool = False
    """The copy of the lock in the status of the service."""
    v1_served: Served = Served.YES
    v1alpha2_served: Served = Served.YES
    v1: PoolState = PoolState.ABSENT
    v1alpha2: PoolState = PoolState.ABSENT
    refusal: Refusal = Refusal.NONE
    mixed: bool = True
    """The live route refers to both generations."""
    v1_has_traffic: bool = False
    """Some reference of the live route to the v1 pool has a weight above zero."""
    strategy: Strategy = Strategy.WEIGHTED
    paused: bool = False
    problem: str = ""
    """An annotation of the migration has a value that cannot be used; says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to generate. `locked`: weights 100/0 and the annotation; `keep`: weights as they are in the live route."""

    state: State
    locked: bool
    reason: Reason
    strategy: Strategy = Strategy.WEIGHTED
    keep: bool = False
    problem: str = ""
    """What somebody has to do, in a sentence; empty when nothing."""
    gateways: frozenset[str] = frozenset()
    """`namespace/name` of the gateways the route hangs on; filled in for metrics only."""

    @property
    def moves(self) -> bool:
        """True when this decision is the one that moves traffic (and not one that finds it moved)."""
        return self.state is State.SHIFTING


def decide(facts: MigrationFacts) -> Decision:
    """The state, the lock and the reason. Depends on nothing but the facts and never raises."""
    state, locked, reason = _decide(facts)
    keep = facts.route_exists and (reason is Reason.NOT_KNOWN or _hurts_to_go_back(facts, reason))
    problem = "; ".join(filter(None, (_sentence(facts, reason, keep=keep), facts.problem)))
    return Decision(state, locked, reason, facts.strategy, keep, problem)


def _hurts_to_go_back(facts: MigrationFacts, reason: Reason) -> bool:
    """Held by somebody who moved the weights to v1 by hand: not undone while only v1 may be able to take the traffic."""
    held = reason in (Reason.PAUSED, Reason.STRATEGY_HOLD)
    v1_may_serve = facts.v1 in (PoolState.READY, PoolState.UNKNOWN)
    return held and v1_may_serve and facts.v1alpha2 is not PoolState.READY


def _decide(facts: MigrationFacts) -> tuple[State, bool, Reason]:
    if not facts.managed:
        return State.NO_ROUTE, False, Reason.NO_MANAGED_ROUTE
    if not facts.scheduler:
        return _unmoved(facts), False, Reason.NO_SCHEDULER
    if facts.route_locked or (facts.status_locked and not facts.external):
        return (
            State.MIGRATED,
            True,
            Reason.MIXED_REFERENCES_REFUSED if _refused_whole(facts) else Reason.LOCKED,
        )
    held = _hold(facts)
    if held is not None:
        return State.HELD, False, held
    verdict = _external(facts) if facts.external else _own(facts)
    if verdict in _MOVES:
        return State.SHIFTING, True, verdict
    if verdict in (Reason.GATEWAY_REFUSES_V1, Reason.MIXED_REFERENCES_REFUSED):
        return State.HELD, False, verdict
    return _unmoved(facts), False, verdict


_MOVES = frozenset(
    {
        Reason.V1_POOL_READY,
        Reason.V1ALPHA2_NOT_SERVED,
        Reason.V1ALPHA2_REFUSED,
        Reason.EXTERNAL_POOL_FOUND,
    }
)


def _unmoved(facts: MigrationFacts) -> State:
    return State.INITIAL if facts.route_exists else State.NO_ROUTE


def _hold(facts: MigrationFacts) -> Reason | None:
    """A hold keeps traffic where it is; where there is no v1alpha2 side at all there is nowhere to keep it."""
    gone = facts.v1alpha2_served is Served.NO or (facts.external and facts.v1alpha2 is PoolState.ABSENT)
    if gone:
        return None
    if facts.paused:
        return Reason.PAUSED
    return Reason.STRATEGY_HOLD if facts.strategy is Strategy.HOLD else None


def _external(facts: MigrationFacts) -> Reason:
    """An external pool counts as v1 once a v1 pool of that name is found, ready or not (4.3, 4.5)."""
    if facts.v1_served is Served.NO or facts.v1 is PoolState.ABSENT:
        return Reason.V1_POOL_MISSING
    return Reason.NOT_KNOWN if facts.v1 is PoolState.UNKNOWN else Reason.EXTERNAL_POOL_FOUND


def _own(facts: MigrationFacts) -> Reason:
    """The gates of 4.4."""
    if facts.v1_served is Served.NO:
        return Reason.V1_NOT_SERVED
    if facts.v1alpha2_served is Served.NO:
        return Reason.V1ALPHA2_NOT_SERVED
    if _single_reference_refused(facts):
        return Reason.V1ALPHA2_REFUSED
    match facts.v1:
        case PoolState.UNKNOWN:
            return Reason.NOT_KNOWN
        case PoolState.ABSENT:
            return Reason.V1_POOL_MISSING
        case PoolState.NOT_READY:
            return Reason.V1_POOL_NOT_READY
        case PoolState.READY:
            return _refused(facts)


def _single_reference_refused(facts: MigrationFacts) -> bool:
    """Swap: a gateway that knows v1 only never reports on a pool that no route names, but refuses the v1alpha2 reference."""
    return (
        facts.strategy is Strategy.SWAP
        and not facts.mixed
        and facts.refusal is Refusal.ALL
        and facts.v1 in (PoolState.NOT_READY, PoolState.READY)
        and facts.v1alpha2 in (PoolState.NOT_READY, PoolState.ABSENT)
    )


def _refused(facts: MigrationFacts) -> Reason:
    """The v1 pool is ready everywhere: only a refused kind may still stand in the way, and only if v1alpha2 works."""
    if facts.refusal is Refusal.NONE or facts.v1alpha2 in (PoolState.NOT_READY, PoolState.ABSENT):
        return Reason.V1_POOL_READY
    if facts.v1alpha2 is PoolState.UNKNOWN:
        return Reason.NOT_KNOWN
    if facts.strategy is Strategy.SWAP and not facts.mixed:
        # Only the v1alpha2 reference is there to be refused; that says nothing of the v1 reference that is to come.
        return Reason.V1_POOL_READY
    return Reason.MIXED_REFERENCES_REFUSED if _refused_whole(facts) else Reason.GATEWAY_REFUSES_V1


def _refused_whole(facts: MigrationFacts) -> bool:
    """Every parent refuses a route that refers to both generations: some gateways then serve none of it."""
    return facts.mixed and facts.refusal is Refusal.ALL


def _sentence(facts: MigrationFacts, reason: Reason, *, keep: bool) -> str:
    swap = f"annotation {names.MIGRATION_STRATEGY}: swap keeps one reference per rule"
    where = "the v1alpha2 InferencePool"
    if facts.v1_has_traffic:
        until = f", until {where} is ready" if keep else ""
        where = f"the v1 InferencePool, where the HTTPRoute has it{until}"
    if reason is Reason.PAUSED:
        return f"annotation {names.MIGRATION}: paused keeps traffic on {where}; remove it to go on"
    if reason is Reason.STRATEGY_HOLD:
        return (
            f"strategy hold keeps traffic on {where}; set annotation "
            f"{names.MIGRATION_STRATEGY} to weighted or swap to go on"
        )
    if reason is Reason.GATEWAY_REFUSES_V1:
        return (
            "some parent of the HTTPRoute refuses a kind it refers to (ResolvedRefs InvalidKind), so traffic stays on "
            f"{where}; {swap}"
        )
    if reason is Reason.MIXED_REFERENCES_REFUSED:
        return (
            "every parent of the HTTPRoute refuses references to both InferencePool generations "
            f"(ResolvedRefs InvalidKind); {swap}"
        )
    return ""


def weights(rules: Sequence[Any], decision: Decision, pools: frozenset[str]) -> list[Any]:
    """The rules with the pool references set as decided (4.6). References to anything but `pools` are left alone.

    Both generations in a rule: 100/0 when locked, as given before; with strategy swap only the active one stays.
    Only v1alpha2: its group becomes v1 when locked, the weight stays. Only v1: the user asked for v1.
    """
    return [_rule(rule, decision, pools) for rule in rules]


def _rule(rule: Any, decision: Decision, pools: frozenset[str]) -> Any:
    if not isinstance(rule, Mapping):
        return rule
    refs = list(sequence(rule, "backendRefs"))
    groups = {ref["group"] for ref in refs if is_pool_ref(ref, pools)}
    if POOL_GROUP_V1ALPHA2 not in groups:
        return rule
    if POOL_GROUP_V1 in groups:
        changed = _both(refs, decision, pools)
    elif decision.locked:
        changed = [{**ref, "group": POOL_GROUP_V1} if is_pool_ref(ref, pools) else ref for ref in refs]
    else:
        return rule
    return {**rule, "backendRefs": changed}


def _both(refs: Sequence[Any], decision: Decision, pools: frozenset[str]) -> list[Any]:
    active = POOL_GROUP_V1 if decision.locked else POOL_GROUP_V1ALPHA2
    changed: list[Any] = []
    for ref in refs:
        if not is_pool_ref(ref, pools):
            changed.append(ref)
        elif decision.strategy is Strategy.SWAP and ref["group"] != active:
            continue
        elif decision.locked:
            changed.append({**ref, "weight": 100 if ref["group"] == POOL_GROUP_V1 else 0})
        else:
            changed.append(ref)
    return changed
