"""What users decide of the migration: pause and strategies, on a cluster in a dictionary (MIG-1)."""

from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    INVALID_KIND,
    ROUTE,
    V1,
    RouterWorld,
    accepted,
    parent,
    pool_ref,
    set_weights,
)


def test_paused_holds_a_service_before_the_lock_and_says_how_to_go_on() -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION, "paused")
    world.reconcile()
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.w == (0, 100)
    held = world.condition("InferencePoolMigration")
    assert (held["status"], held["reason"], held["severity"]) == ("False", "Paused", "Info")
    assert names.MIGRATION in held["message"]
    world.annotate(names.MIGRATION, None)
    world.reconcile()
    assert world.w == (100, 0)
    assert world.condition("InferencePoolMigration") == {}


def test_paused_does_not_undo_the_lock() -> None:
    world = RouterWorld().migrated()
    world.annotate(names.MIGRATION, "paused")
    assert world.reconcile() == []


@pytest.mark.parametrize(
    ("strategy", "shape"),
    [("weighted", "weights"), ("hold", "weights"), ("swap", "weights"), ("swap", "group")],
)
def test_held_traffic_that_somebody_moved_is_not_moved_back_to_a_pool_that_cannot_take_it(
    strategy: str, shape: str
) -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION, "paused")
    world.annotate(names.MIGRATION_STRATEGY, strategy)
    world.reconcile()
    world.pool_status(V1, accepted())
    moved = [(POOL_GROUP_V1, 100), (POOL_GROUP_V1ALPHA2, 0)] if shape == "weights" else [(POOL_GROUP_V1, 100)]

    def move(live: Any) -> None:
        for rule in live["spec"]["rules"][:2]:
            template = rule["backendRefs"][0]
            rule["backendRefs"] = [{**template, "group": group, "weight": weight} for group, weight in moved]

    assert (
        "keeps traffic on the v1alpha2 InferencePool" in world.condition("InferencePoolMigration")["message"]
    )
    world.edit(ROUTE, move)
    assert world.reconcile() == []
    assert (
        "keeps traffic on the v1 InferencePool, where the HTTPRoute has it, until the v1alpha2 InferencePool is ready"
        in world.condition("InferencePoolMigration")["message"]
    )
    world.unknown[V1] = "connection refused"
    assert world.plan_route() == []
    world.unknown.clear()
    world.pool_status(ALPHA, accepted())
    assert [write.ref for write in world.reconcile()] == [ROUTE]
    live = [(ref["group"], ref["weight"]) for ref in world.refs() if ref["weight"]]
    assert (live, world.a) == ([(POOL_GROUP_V1ALPHA2, 100)], None)
    assert (
        "keeps traffic on the v1alpha2 InferencePool" in world.condition("InferencePoolMigration")["message"]
    )


def test_an_unreadable_pool_keeps_references_that_another_strategy_would_drop() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit(ROUTE, set_weights(50, 50))
    world.annotate(names.MIGRATION_STRATEGY, "swap")
    world.unknown[V1] = "connection refused"
    assert world.plan_route() == []


def test_strategy_hold_keeps_both_pools_and_leaves_traffic() -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION_STRATEGY, "hold")
    world.reconcile()
    world.pool_status(V1, accepted())
    world.reconcile()
    assert {V1, ALPHA} <= set(world.objects)
    assert world.w == (0, 100)
    assert world.condition("InferencePoolMigration")["reason"] == "StrategyHold"


def test_strategy_swap_has_one_reference_and_switches_its_group() -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION_STRATEGY, "swap")
    world.reconcile()
    assert world.refs() == [pool_ref(kinds.POOL_GROUP_V1ALPHA2, weight=100)]
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.refs() == [pool_ref(kinds.POOL_GROUP_V1, weight=100)]
    assert world.a == "v1"


def test_strategy_swap_follows_a_gateway_that_refuses_the_old_generation() -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION_STRATEGY, "swap")
    world.reconcile()
    world.route_status(parent(*GATEWAY, INVALID_KIND))
    world.reconcile()
    # That the old one is refused does not say that the new one is served.
    assert world.refs() == [pool_ref(kinds.POOL_GROUP_V1ALPHA2, weight=100)]
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.refs() == [pool_ref(kinds.POOL_GROUP_V1, weight=100)]


def test_an_unknown_strategy_keeps_the_default_and_is_named() -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION_STRATEGY, "slowly")
    world.reconcile()
    assert world.w == (0, 100)
    assert (
        '"slowly" is none of auto, weighted, swap, hold'
        in world.condition("InferencePoolMigration")["message"]
    )
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.w == (100, 0)
