"""When traffic moves from the v1alpha2 to the v1 InferencePool: one pure decision (MIG-1).

    NoRoute -> Initial -> (Shifting ->) Migrated, and Held while somebody has to act

The lock is read first and apart from every pool read, so nothing that fails can move traffic back. What is not known
never changes anything. `decide` sees facts only and takes the first line of `RULES` that holds; `plan/migration_facts.py`
gathers the facts, and `plan/route.py` writes the outcome, weights and lock in one write. Every state has one stable reason, the same in condition, event, metric and
command line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final

from aioctl.api import names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Served
from aioctl.plan.evidence import Support
from aioctl.plan.policy import Strategy


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
    GATEWAY_SERVES_V1 = "GatewayServesV1"
    EXTERNAL_POOL_FOUND = "ExternalPoolFound"
    V1_NOT_SERVED = "V1NotServed"
    V1_POOL_MISSING = "V1PoolMissing"
    V1_POOL_NOT_READY = "V1PoolNotReady"
    NOT_KNOWN = "NotKnown"
    GATEWAY_ASKED = "GatewayAsked"
    GATEWAY_REFUSES_V1 = "GatewayRefusesV1"
    GATEWAY_SERVES_NO_POOL = "GatewayServesNoPool"
    MIXED_REFERENCES_REFUSED = "MixedReferencesRefused"
    PAUSED = "Paused"
    STRATEGY_HOLD = "StrategyHold"
    WAITS_FOR_BUDGET = "WaitsForBudget"


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
    v1alpha2_refused: Refusal = Refusal.NONE
    """How many gateways refuse the v1alpha2 reference that carries the live route's traffic, or would. SOME: all have spoken
    of it, and others serve it. What the v1alpha2 pool's status says does not matter: it outlives the gateway that wrote it."""
    refuses_v1alpha2: bool = False
    """Some gateway does, whatever is known of the others."""
    v1_by: Support = Support.UNKNOWN
    """Whether every gateway of the route is known to serve v1; NO when one of them is known not to."""
    v1_doubted: bool = False
    """Some gateway has refused it where both generations stand in one rule, and is not known to serve it alone."""
    v1_shown: bool = False
    """Every gateway has resolved a v1 reference on a route, and not only accepted the pool."""
    picker_available: bool = False
    """The endpoint picker can be asked: what gateways say of a reference does not cover it."""
    v1_awaited: bool = False
    """A gateway that writes the status of pools may still be about to accept the v1 pool."""
    silent: bool = False
    """Nothing keeps the v1 pool from being ready but gateways that write no status of pools (`plan/silent_gateways.py`)."""
    refusers: str = ""
    """The gateways that are known not to serve v1, each with what makes it."""
    strategy: Strategy = Strategy.WEIGHTED
    form: Strategy | None = None
    """`weighted` or `swap` where the strategy alone does not say which (`plan/forms.py`)."""
    asks_both: bool = False
    """The gateways are to be asked whether they take both generations in one rule."""
    form_awaited: bool = False
    """The move waits until it is known in which form it is made."""
    form_until: datetime | None = None
    """When that wait ends though no gateway has said anything; None: it does not."""
    paused: bool = False
    turn: str = ""
    """What a service waits for that would move; empty when it may."""
    problem: str = ""
    """An annotation of the migration has a value that cannot be used; says which and what is allowed."""

    @property
    def v1alpha2_fails(self) -> bool:
        """Traffic fails on v1alpha2 where it is. Where there is no route yet, it has no place that it would lose: that one gateway
        refuses v1alpha2 is enough."""
        refused = self.v1alpha2_refused is Refusal.ALL
        return refused or (self.refuses_v1alpha2 and not self.route_exists)

    @property
    def shape(self) -> Strategy:
        """How rules with our pools are written."""
        return self.form or self.strategy

    @property
    def alone(self) -> bool:
        """A rule refers to one generation at a time."""
        return self.shape is Strategy.SWAP


@dataclass(frozen=True, slots=True)
class Decision:
    """What to generate. `locked`: weights 100/0 and the annotation; `keep`: weights as they are in the live route."""

    state: State
    locked: bool
    reason: Reason
    strategy: Strategy = Strategy.WEIGHTED
    keep: bool = False
    only: str = ""
    """The one pool group that the route may name, as the cluster does not serve the other; empty where both may stand."""
    problem: str = ""
    """What somebody has to do, in a sentence; empty when nothing."""

    @property
    def moves(self) -> bool:
        """True when this decision is the one that moves traffic (and not one that finds it moved)."""
        return self.state is State.SHIFTING


def decide(facts: MigrationFacts) -> Decision:
    """The state, the lock and the reason: the first rule that holds. Depends on nothing but the facts and never raises."""
    rule = next(rule for rule in RULES if rule.holds(facts))
    state = rule.state if facts.route_exists or rule.state is not State.INITIAL else State.NO_ROUTE
    keep = facts.route_exists and rule.keeps(facts)
    problem = "; ".join(filter(None, (rule.cure(facts, keep), facts.problem)))
    only = "" if keep else _only_group(facts, locked=rule.locks)
    return Decision(state, rule.locks, rule.reason, facts.shape, keep, only, problem)


def _only_group(facts: MigrationFacts, *, locked: bool) -> str:
    """Both are named while it is not known what is served; the lock outlives the CRD of the v1 pool."""
    if facts.v1alpha2_served is Served.NO and facts.v1_served is not Served.NO:
        return POOL_GROUP_V1
    if facts.v1_served is Served.NO and facts.v1alpha2_served is not Served.NO and not locked:
        return POOL_GROUP_V1ALPHA2
    return ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the decision. `when` says in words what `holds` checks, knowing that no rule above it held."""

    when: str
    holds: Callable[[MigrationFacts], bool]
    state: State
    """Initial is NoRoute while there is no route yet."""
    reason: Reason
    cure: Callable[[MigrationFacts, bool], str] = lambda _facts, _keep: ""
    """What somebody has to do, in a sentence, given whether the weights are kept; empty when nothing."""
    keeps: Callable[[MigrationFacts], bool] = lambda _facts: False
    """The weights stay as they are in the live route."""

    @property
    def locks(self) -> bool:
        """True when traffic is on v1, or goes there with the write that this rule asks for."""
        return self.state in (State.SHIFTING, State.MIGRATED)


def _refused_whole(facts: MigrationFacts) -> bool:
    """Every parent refuses a route that refers to both generations: some gateways then serve none of it."""
    return facts.mixed and facts.refusal is Refusal.ALL


def _locked(facts: MigrationFacts) -> bool:
    """The copy in the status is of our own pools; a user's pool has no lock but the route's."""
    return facts.route_locked or (facts.status_locked and not facts.external)


def _can_stay(facts: MigrationFacts) -> bool:
    """A hold keeps traffic where it is; where there is no v1alpha2 side at all there is nowhere to keep it."""
    gone = facts.v1alpha2_served is Served.NO or (facts.external and facts.v1alpha2 is PoolState.ABSENT)
    return not gone


def _hurts_to_go_back(facts: MigrationFacts) -> bool:
    """Held with the weights on v1, by hand or since the lock was taken away: not undone while only v1 may take the traffic."""
    v1_may_serve = facts.v1 in (PoolState.READY, PoolState.UNKNOWN)
    return v1_may_serve and facts.v1alpha2 is not PoolState.READY


def _v1_pool_exists(facts: MigrationFacts) -> bool:
    return facts.v1 in (PoolState.NOT_READY, PoolState.READY)


def _only_v1_is_served(facts: MigrationFacts) -> bool:
    """Traffic fails where it is, and is known to be served where it would go."""
    return facts.v1alpha2_fails and facts.v1_by is Support.YES and _v1_pool_exists(facts)


def _is_divided(facts: MigrationFacts) -> bool:
    """No generation is known to be served by all gateways. As long as there is no route, it may still be asked."""
    known = facts.route_exists or facts.v1_by is Support.NO
    return known and facts.v1alpha2_refused is Refusal.SOME and facts.v1_by is not Support.YES


def _shown_to_serve_v1(facts: MigrationFacts) -> bool:
    """A route that does not exist yet has no traffic that a missing picker could hurt."""
    ready_to_move = not facts.route_exists or (facts.picker_available and not facts.v1_awaited)
    shown = facts.v1_by is Support.YES and facts.v1_shown
    if facts.v1 is PoolState.READY and facts.refusal is Refusal.NONE:
        return False  # moves as well, for the plainer reason: V1PoolReady, below
    return (facts.alone or facts.silent) and shown and ready_to_move


def _where(facts: MigrationFacts, keep: bool) -> str:  # noqa: FBT001 - the shape of every cure
    """Where traffic stays, in words."""
    old = "the v1alpha2 InferencePool"
    if not facts.v1_has_traffic:
        return old
    until = f", until {old} is ready" if keep else ""
    return f"the v1 InferencePool, where the HTTPRoute has it{until}"


_SWAP: Final = f"annotation {names.MIGRATION_STRATEGY}: swap keeps one reference per rule"


def _resume(facts: MigrationFacts, keep: bool) -> str:  # noqa: FBT001
    return f"annotation {names.MIGRATION}: paused keeps traffic on {_where(facts, keep)}; remove it to go on"


def _other_strategy(facts: MigrationFacts, keep: bool) -> str:  # noqa: FBT001
    return (
        f"strategy hold keeps traffic on {_where(facts, keep)}; set annotation "
        f"{names.MIGRATION_STRATEGY} to auto, weighted or swap to go on"
    )


def _swap_for_both(_facts: MigrationFacts, _keep: bool) -> str:  # noqa: FBT001
    return (
        "every parent of the HTTPRoute refuses references to both InferencePool generations "
        f"(ResolvedRefs InvalidKind); {_SWAP}"
    )


def _serve_some(facts: MigrationFacts, _keep: bool) -> str:  # noqa: FBT001
    return f"neither InferencePool generation is served, so every request fails: {facts.refusers}"


def _serve_v1(facts: MigrationFacts, keep: bool) -> str:  # noqa: FBT001
    return f"traffic stays on {_where(facts, keep)}: {facts.refusers}"


def _serve_one_everywhere(facts: MigrationFacts, keep: bool) -> str:  # noqa: FBT001
    what = (
        facts.refusers or "some gateway of the HTTPRoute refuses v1alpha2 and has not shown that it serves v1"
    )
    return f"no InferencePool generation is known to be served by every gateway; traffic stays on {_where(facts, keep)}: {what}"


def _swap_for_v1(facts: MigrationFacts, keep: bool) -> str:  # noqa: FBT001
    return (
        "some parent of the HTTPRoute refuses a kind it refers to (ResolvedRefs InvalidKind), so traffic stays on "
        f"{_where(facts, keep)}; {_SWAP}"
    )


def _always(_facts: MigrationFacts) -> bool:
    return True


RULES: Final = (
    Rule("the route is not ours to write", lambda f: not f.managed, State.NO_ROUTE, Reason.NO_MANAGED_ROUTE),
    Rule(
        "no scheduler: the route points at the workload",
        lambda f: not f.scheduler,
        State.INITIAL,
        Reason.NO_SCHEDULER,
    ),
    Rule(
        "locked, and every parent refuses a route with both generations",
        lambda f: _locked(f) and _refused_whole(f) and not f.alone,
        State.MIGRATED,
        Reason.MIXED_REFERENCES_REFUSED,
        _swap_for_both,
    ),
    Rule("locked: migrated once and for ever", _locked, State.MIGRATED, Reason.LOCKED),
    Rule(
        f"annotation `{names.MIGRATION}: paused`, and there is a v1alpha2 side",
        lambda f: f.paused and _can_stay(f),
        State.HELD,
        Reason.PAUSED,
        _resume,
        _hurts_to_go_back,
    ),
    Rule(
        "strategy `hold`, and there is a v1alpha2 side",
        lambda f: f.strategy is Strategy.HOLD and _can_stay(f),
        State.HELD,
        Reason.STRATEGY_HOLD,
        _other_strategy,
        _hurts_to_go_back,
    ),
    # A user's own pool counts as v1 once a v1 pool of that name is found, ready or not.
    Rule(
        "`pool.ref` names a pool, and no v1 pool of that name exists",
        lambda f: f.external and (f.v1_served is Served.NO or f.v1 is PoolState.ABSENT),
        State.INITIAL,
        Reason.V1_POOL_MISSING,
    ),
    Rule(
        "`pool.ref` names a pool, and it could not be read",
        lambda f: f.external and f.v1 is PoolState.UNKNOWN,
        State.INITIAL,
        Reason.NOT_KNOWN,
        keeps=_always,
    ),
    Rule(
        "`pool.ref` names a pool, and a v1 pool of that name exists",
        lambda f: f.external,
        State.SHIFTING,
        Reason.EXTERNAL_POOL_FOUND,
    ),
    Rule("the v1 CRD is absent", lambda f: f.v1_served is Served.NO, State.INITIAL, Reason.V1_NOT_SERVED),
    Rule(
        "the v1alpha2 CRD is absent: v1 is all there is",
        lambda f: f.v1alpha2_served is Served.NO,
        State.SHIFTING,
        Reason.V1ALPHA2_NOT_SERVED,
    ),
    Rule(
        "every parent refuses the v1alpha2 reference that carries the traffic, or one would before there is a route, and every "
        "gateway serves v1",
        _only_v1_is_served,
        State.SHIFTING,
        Reason.V1ALPHA2_REFUSED,
    ),
    Rule(
        "every parent refuses the v1alpha2 reference that carries the traffic, and some gateway refuses v1, too",
        lambda f: f.v1alpha2_refused is Refusal.ALL and f.v1_by is Support.NO,
        State.HELD,
        Reason.GATEWAY_SERVES_NO_POOL,
        _serve_some,
        _hurts_to_go_back,
    ),
    Rule(
        # Above this line traffic has no other place to go, and waits for nobody.
        "others are on the move, as many as `AIOCTL_MIGRATION_BUDGET` allows, or `AIOCTL_MIGRATION_WINDOW` is closed",
        lambda f: bool(f.turn) and f.route_exists,
        State.INITIAL,
        Reason.WAITS_FOR_BUDGET,
        keeps=_always,
    ),
    Rule(
        "the v1 pool could not be read",
        lambda f: f.v1 is PoolState.UNKNOWN,
        State.INITIAL,
        Reason.NOT_KNOWN,
        keeps=_always,
    ),
    Rule(
        "the v1 pool does not exist yet",
        lambda f: f.v1 is PoolState.ABSENT,
        State.INITIAL,
        Reason.V1_POOL_MISSING,
    ),
    Rule(
        "every gateway serves both, and is asked whether it takes both in one rule, or has yet to resolve the route that has both",
        lambda f: f.form_awaited,
        State.INITIAL,
        Reason.GATEWAY_ASKED,
    ),
    Rule(
        "one reference at a time, or gateways that write no status of pools: every gateway resolves a v1 reference, none is about to "
        "accept the pool, and the endpoint picker is available",
        _shown_to_serve_v1,
        State.SHIFTING,
        Reason.GATEWAY_SERVES_V1,
    ),
    Rule(
        "some gateway refuses the v1alpha2 reference that another serves, and v1 is not known to be served by all; before there is a "
        "route: refused by one",
        _is_divided,
        State.HELD,
        Reason.GATEWAY_REFUSES_V1,
        _serve_one_everywhere,
        _hurts_to_go_back,
    ),
    Rule(
        "some gateway of the route has not accepted the v1 pool",
        lambda f: f.v1 is PoolState.NOT_READY,
        State.INITIAL,
        Reason.V1_POOL_NOT_READY,
    ),
    # From here on the v1 pool is ready everywhere; only a refused kind may still stand in the way.
    Rule(
        "the v1 pool is ready for every gateway of the route, and one of them refuses references to it",
        lambda f: f.v1_by is Support.NO,
        State.HELD,
        Reason.GATEWAY_REFUSES_V1,
        _serve_v1,
        _hurts_to_go_back,
    ),
    Rule(
        "the v1 pool is ready for every gateway of the route, and no reference is refused",
        lambda f: f.refusal is Refusal.NONE,
        State.SHIFTING,
        Reason.V1_POOL_READY,
    ),
    Rule(
        "the v1 pool is ready for every gateway of the route, and the v1alpha2 pool is not",
        lambda f: f.v1alpha2 in (PoolState.NOT_READY, PoolState.ABSENT),
        State.SHIFTING,
        Reason.V1_POOL_READY,
    ),
    Rule(
        "a reference is refused, and the v1alpha2 pool could not be read",
        lambda f: f.v1alpha2 is PoolState.UNKNOWN,
        State.INITIAL,
        Reason.NOT_KNOWN,
        keeps=_always,
    ),
    Rule(
        # Only the v1alpha2 reference is there to be refused; that says nothing of the v1 reference that is to come.
        "one reference at a time: the v1 pool is ready for every gateway of the route",
        lambda f: f.alone and not f.mixed,
        State.SHIFTING,
        Reason.V1_POOL_READY,
    ),
    Rule(
        "every parent refuses a route with both generations, and both pools are ready",
        _refused_whole,
        State.HELD,
        Reason.MIXED_REFERENCES_REFUSED,
        _swap_for_both,
    ),
    Rule(
        "some parent refuses a reference of the route, and both pools are ready",
        _always,
        State.HELD,
        Reason.GATEWAY_REFUSES_V1,
        _swap_for_v1,
    ),
)
"""The decision, in order: the first rule that holds is it. docs/reference.md shows this table."""
