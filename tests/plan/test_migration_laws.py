"""Laws of the migration and of the status: on random facts, and on random histories of one cluster.

Rules: MIG-1, MIG-2, MIG-4.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioctl.api import kinds, names
from aioctl.api.kinds import Served
from aioctl.plan.evidence import Support
from aioctl.plan.migration import (
    RULES,
    Decision,
    MigrationFacts,
    PoolState,
    Reason,
    Refusal,
    State,
    decide,
)
from aioctl.plan.policy import Strategy
from aioctl.plan.weights import weights
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    POOL,
    ROUTE,
    V1,
    RouterWorld,
    condition,
    parent,
)

FACTS = st.builds(
    MigrationFacts,
    managed=st.booleans(),
    scheduler=st.booleans(),
    external=st.booleans(),
    route_exists=st.booleans(),
    route_locked=st.booleans(),
    status_locked=st.booleans(),
    v1_served=st.sampled_from(Served),
    v1alpha2_served=st.sampled_from(Served),
    v1=st.sampled_from(PoolState),
    v1alpha2=st.sampled_from(PoolState),
    refusal=st.sampled_from(Refusal),
    mixed=st.booleans(),
    v1alpha2_refused=st.sampled_from(Refusal),
    refuses_v1alpha2=st.booleans(),
    v1_by=st.sampled_from(Support),
    v1_shown=st.booleans(),
    picker_available=st.booleans(),
    strategy=st.sampled_from(Strategy),
    form=st.sampled_from((Strategy.WEIGHTED, Strategy.SWAP)),
    form_awaited=st.booleans(),
    paused=st.booleans(),
    turn=st.sampled_from(("", "others move")),
)


@given(FACTS)
def test_some_rule_always_decides(facts: MigrationFacts) -> None:
    assert RULES[-1].holds(facts)
    assert decide(facts).reason in {rule.reason for rule in RULES}


@given(FACTS)
def test_waiting_for_a_turn_keeps_the_traffic_and_undoes_nothing(facts: MigrationFacts) -> None:
    """MIG-10: whoever waits has not moved, and whoever has moved, or must, does not wait."""
    decided, free = decide(facts), decide(replace(facts, turn=""))
    if decided.reason is Reason.WAITS_FOR_BUDGET:
        assert (decided.state, decided.locked, decided.keep) == (State.INITIAL, False, True)
        assert free.state is not State.MIGRATED
    else:
        assert decided == free


@given(
    FACTS,
    st.sampled_from([state for state in PoolState if state is not PoolState.READY]),
)
def test_traffic_on_a_ready_v1_pool_does_not_go_back_to_one_that_is_not(
    facts: MigrationFacts, v1alpha2: PoolState
) -> None:
    """MIG-4: whoever put it there, or took the lock away."""
    there = replace(
        facts,
        managed=True,
        scheduler=True,
        external=False,
        route_exists=True,
        v1_has_traffic=True,
        v1_served=Served.YES,
        v1alpha2_served=Served.YES,
        v1=PoolState.READY,
        v1alpha2=v1alpha2,
    )
    decided = decide(there)
    assert decided.locked or decided.keep


def test_every_rule_decides_for_some_facts() -> None:
    """In all combinations of what pools and gateways say, each with one other thing at most that is not as usual."""
    unusual: list[dict[str, Any]] = [
        {},
        {"managed": False},
        {"scheduler": False},
        {"external": True},
        {"route_locked": True},
        {"paused": True},
        {"strategy": Strategy.HOLD},
        {"v1_served": Served.NO},
        {"v1alpha2_served": Served.NO},
    ]
    values: dict[str, tuple[Any, ...]] = {
        "strategy": (Strategy.WEIGHTED, Strategy.SWAP),
        "v1": tuple(PoolState),
        "v1alpha2": tuple(PoolState),
        "refusal": tuple(Refusal),
        "mixed": (True, False),
        "v1alpha2_refused": tuple(Refusal),
        "v1_by": tuple(Support),
    }
    usual = MigrationFacts(v1_shown=True, picker_available=True)
    said = [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]
    every = (replace(usual, **{**each, **one}) for one in unusual for each in said)
    waiting = MigrationFacts(turn="others move", v1=PoolState.READY)
    asking = MigrationFacts(form_awaited=True, v1=PoolState.READY)
    deciding = {
        next(number for number, rule in enumerate(RULES) if rule.holds(facts))
        for facts in (*every, waiting, asking)
    }
    assert deciding == set(range(len(RULES)))


@given(FACTS, FACTS)
def test_the_lock_does_not_depend_on_any_read_of_pools_or_gateways(
    facts: MigrationFacts, other: MigrationFacts
) -> None:
    locked = replace(facts, managed=True, scheduler=True, route_locked=True)
    changed = replace(
        locked,
        v1=other.v1,
        v1alpha2=other.v1alpha2,
        v1_served=other.v1_served,
        v1alpha2_served=other.v1alpha2_served,
        refusal=other.refusal,
        paused=other.paused,
        strategy=other.strategy,
        status_locked=other.status_locked,
    )
    assert decide(changed).locked
    assert decide(changed).state is State.MIGRATED


@given(st.lists(FACTS, max_size=8))
def test_once_locked_a_sequence_of_facts_never_unlocks(history: list[MigrationFacts]) -> None:
    """As long as the route is managed and has a scheduler: both decisions of the user take the lock off."""
    locked = False
    for facts in history:
        decision = decide(replace(facts, managed=True, scheduler=True, external=False, route_locked=locked))
        assert decision.locked or not locked
        locked = decision.locked


@given(FACTS)
def test_nothing_unknown_moves_traffic(facts: MigrationFacts) -> None:
    """Replacing an unknown by what it may turn out to be can only add knowledge: no move rests on it."""
    decision = decide(facts)
    if not decision.moves:
        return
    if facts.v1 is PoolState.UNKNOWN:
        assert facts.v1alpha2_served is Served.NO
    if facts.v1alpha2 is PoolState.UNKNOWN:
        options = [state for state in PoolState if state is not PoolState.UNKNOWN]
        assert all(decide(replace(facts, v1alpha2=state)).moves for state in options)


@given(FACTS)
def test_a_move_needs_a_pool_that_takes_the_traffic_or_nobody_left_to_take_it_from(
    facts: MigrationFacts,
) -> None:
    decision = decide(facts)
    if decision.moves and not facts.external and facts.v1alpha2_served is not Served.NO:
        assert facts.v1 is PoolState.READY or (
            facts.v1 is PoolState.NOT_READY and facts.v1_by is Support.YES
        ), "a lock needs positive evidence"
        assert facts.v1_by is not Support.NO


@given(FACTS)
def test_every_state_has_its_reason_and_held_states_say_what_to_do(facts: MigrationFacts) -> None:
    decision = decide(facts)
    assert isinstance(decision.reason, Reason)
    if decision.state is State.HELD:
        assert decision.problem
    assert decision.locked == (decision.state in (State.SHIFTING, State.MIGRATED))
    assert not (decision.keep and decision.locked)


REFS = st.fixed_dictionaries(
    {
        "group": st.sampled_from([kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2, "", "other"]),
        "kind": st.sampled_from(["InferencePool", "Service"]),
        "name": st.sampled_from([POOL, "mine"]),
        "weight": st.integers(0, 100),
    }
)
ROUTE_RULES = st.lists(st.fixed_dictionaries({"backendRefs": st.lists(REFS, max_size=4)}), max_size=3)
POOLS = frozenset({POOL})


def ours(ref: dict[str, Any]) -> bool:
    return (
        ref["kind"] == "InferencePool"
        and ref["name"] == POOL
        and ref["group"] in (kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2)
    )


@given(ROUTE_RULES, st.sampled_from(Strategy), st.booleans())
def test_weights_touches_our_pool_only_and_what_it_made_of_pairs_is_the_same_when_made_again(
    rules: list[dict[str, Any]], strategy: Strategy, locked: bool
) -> None:
    decision = Decision(State.MIGRATED if locked else State.INITIAL, locked, Reason.LOCKED, strategy)
    before = copy.deepcopy(rules)
    made = weights(rules, decision, POOLS)
    assert rules == before
    for rule, changed in zip(rules, made, strict=True):
        foreign = [ref for ref in rule["backendRefs"] if not ours(ref)]
        assert [ref for ref in changed["backendRefs"] if not ours(ref)] == foreign
        had_ours = any(ours(ref) for ref in rule["backendRefs"])
        assert any(ours(ref) for ref in changed["backendRefs"]) == had_ours
    # References of one generation are a form of their own; what was made of both is the same when made again.
    pairs = [rule for rule in rules if len({ref["group"] for ref in rule["backendRefs"] if ours(ref)}) != 1]
    of_pairs = weights(pairs, decision, POOLS)
    assert weights(of_pairs, decision, POOLS) == of_pairs


def _nothing(world: RouterWorld) -> None:
    world.reconcile()


def _v1_turns(ready: str) -> Callable[[RouterWorld], None]:
    def change(world: RouterWorld) -> None:
        if V1 in world.objects:
            world.pool_status(V1, [condition("Accepted", ready), condition("ResolvedRefs", ready)])

    return change


def _alpha_turns(ready: str) -> Callable[[RouterWorld], None]:
    def change(world: RouterWorld) -> None:
        if ALPHA in world.objects:
            world.pool_status(ALPHA, [condition("Accepted", ready), condition("ResolvedRefs", ready)])

    return change


def _refuse(world: RouterWorld) -> None:
    if ROUTE in world.objects:
        generation = world.live["metadata"]["generation"]
        bad = condition("ResolvedRefs", "False", "InvalidKind", observedGeneration=generation)
        world.route_status(parent(*GATEWAY, [condition("Accepted"), bad]))


def _accept(world: RouterWorld) -> None:
    if ROUTE in world.objects:
        world.accept_route()


def _unreadable(world: RouterWorld) -> None:
    world.unknown = {} if world.unknown else {V1: "connection refused", ALPHA: "connection refused"}


def _alpha_crd(world: RouterWorld) -> None:
    if kinds.POOL_V1ALPHA2 in world.unserved:
        world.unserved -= {kinds.POOL_V1ALPHA2}
    else:
        world.unserved |= {kinds.POOL_V1ALPHA2}
        world.objects.pop(ALPHA, None)


def _discovery(world: RouterWorld) -> None:
    world.unsure = frozenset() if world.unsure else frozenset({kinds.POOL_V1ALPHA2, kinds.POOL_V1})


def _drop_route(world: RouterWorld) -> None:
    world.objects.pop(ROUTE, None)


def _drop_pool(world: RouterWorld) -> None:
    world.objects.pop(V1, None)


def _pause(world: RouterWorld) -> None:
    paused = names.MIGRATION in world.service["metadata"]["annotations"]
    world.annotate(names.MIGRATION, None if paused else "paused")


def _lose_status(world: RouterWorld) -> None:
    """The controller was killed before the status write."""
    if ROUTE in world.objects:
        world.service.pop("status", None)


EVENTS = [
    _nothing,
    _v1_turns("True"),
    _v1_turns("False"),
    _alpha_turns("True"),
    _alpha_turns("False"),
    _refuse,
    _accept,
    _unreadable,
    _alpha_crd,
    _discovery,
    _drop_route,
    _drop_pool,
    _pause,
    _lose_status,
]


def _usable(world: RouterWorld) -> tuple[bool, bool]:
    """Whether (v1, v1alpha2) could take the traffic, as the pools themselves say; unknown counts as it truly is."""
    found = []
    for ref, field in ((V1, "parents"), (ALPHA, "parent")):
        conditions = [
            each
            for entry in world.objects.get(ref, {}).get("status", {}).get(field, [])
            for each in entry["conditions"]
        ]
        found.append(bool(conditions) and all(each["status"] == "True" for each in conditions))
    return found[0], found[1]


ON_V1 = ((100, 0), (100,))
"""Weights of a rule whose traffic goes to the v1 pool; alone where the v1alpha2 kind is not served."""


HISTORIES = st.lists(st.sampled_from(EVENTS), max_size=14)


@settings(max_examples=40)
@given(HISTORIES)
def test_whatever_happens_the_lock_is_one_way_and_no_write_hurts(
    events: list[Callable[[RouterWorld], None]],
) -> None:
    _one_way_without_harm(events)


@pytest.mark.thorough
@settings(max_examples=150)
@given(HISTORIES)
def test_whatever_happens_in_more_histories_the_lock_is_one_way_and_no_write_hurts(
    events: list[Callable[[RouterWorld], None]],
) -> None:
    _one_way_without_harm(events)


def _one_way_without_harm(events: list[Callable[[RouterWorld], None]]) -> None:
    world = RouterWorld()
    locked = False
    for event in events:
        event(world)
        v1, alpha = _usable(world)
        before = world.w if ROUTE in world.objects else None
        for write in world.reconcile():
            if write.ref != ROUTE or before is None:
                continue
            if before == (0, 100) and world.w in ON_V1:
                assert v1 or not alpha
            assert not (before in ON_V1 and world.w == (0, 100))
        if ROUTE in world.objects:
            assert (world.w in ON_V1) == (world.a == "v1")
            assert world.a == "v1" or not locked
            locked = world.a == "v1"
        assert world.reconcile() == []


def test_equal_facts_end_in_an_equal_status_whatever_the_order() -> None:
    """In every order, with and without a look of the controller after each event."""
    expected = _told_in_order()
    for order in permutations([_v1_turns("False"), _alpha_turns("True"), _refuse]):
        for looks in product([False, True], repeat=len(order) - 1):
            shuffled = RouterWorld()
            shuffled.reconcile()
            for event, look in zip(order, (*looks, True), strict=True):
                event(shuffled)
                if look:
                    shuffled.reconcile()
            assert _shown(shuffled) == expected
            shuffled.reconcile()
            assert _shown(shuffled) == expected, "it rests"


def _told_in_order() -> dict[str, Any]:
    """The status when the controller looks once, after the last event."""
    world = RouterWorld()
    world.reconcile()
    for event in (_v1_turns("False"), _alpha_turns("True"), _refuse):
        event(world)
    world.reconcile()
    return _shown(world)


def _shown(world: RouterWorld) -> dict[str, Any]:
    """The status without times."""
    status = copy.deepcopy(world.service["status"])
    for entry in status["conditions"]:
        entry.pop("lastTransitionTime")
    return dict(status)


def test_a_gateway_that_has_accepted_everything_ends_the_history() -> None:
    world = RouterWorld()
    world.reconcile()
    for event in (_v1_turns("True"), _alpha_turns("True"), _accept):
        event(world)
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")
