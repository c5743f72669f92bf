"""The migration of services whose pools others make: external ones and those of inline rules (MIG-3, MIG-6)."""

import copy
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from tests.plan.router_world import (
    ALPHA,
    EXTERNAL,
    GATEWAY,
    MODEL,
    NS,
    POOL,
    ROUTE,
    SCHEDULER,
    V1,
    RouterWorld,
    accepted,
    parent,
    pool_ref,
)

EXTERNAL_V1 = ObjectRef(kinds.POOL_V1, NS, "my-pool")


def external_pool(kind: kinds.Kind, conditions: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    field = "parents" if kind == kinds.POOL_V1 else "parent"
    status = {field: [parent(*GATEWAY, conditions)]} if conditions else {}
    return {"metadata": {"namespace": NS, "name": "my-pool", "generation": 1}, "spec": {}, "status": status}


def test_scenario_26_an_external_v1_pool_locks_whether_it_is_ready_or_not() -> None:
    world = RouterWorld(copy.deepcopy(EXTERNAL))
    world.put(kinds.POOL_V1, external_pool(kinds.POOL_V1))
    world.reconcile()
    assert {write.ref for write in world.writes} == {MODEL, ROUTE}
    assert {ref["name"] for ref in world.refs()} == {"my-pool"}
    assert (world.w, world.a) == ((100, 0), "v1")
    assert world.status_of("InferencePoolReady") == "False"
    assert world.copy_of_lock is None


def test_scenario_27_an_external_pool_of_the_old_generation_only_stays_there() -> None:
    world = RouterWorld(copy.deepcopy(EXTERNAL))
    world.put(kinds.POOL_V1ALPHA2, external_pool(kinds.POOL_V1ALPHA2, accepted()))
    world.reconcile()
    assert {ref["name"] for ref in world.refs()} == {"my-pool"}
    assert (world.w, world.a) == ((0, 100), None)
    assert world.status_of("InferencePoolReady") == "True"


def test_scenario_28_an_external_pool_that_becomes_ready_shows_in_the_condition() -> None:
    world = RouterWorld(copy.deepcopy(EXTERNAL))
    world.put(kinds.POOL_V1, external_pool(kinds.POOL_V1))
    world.reconcile()
    world.put(kinds.POOL_V1, external_pool(kinds.POOL_V1, accepted()))
    assert world.reconcile() == []
    assert world.status_of("InferencePoolReady") == "True"


def inline(*refs: dict[str, Any], **more: Any) -> dict[str, Any]:
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/x"}}], "backendRefs": list(refs), **more}
    return {"route": {"http": {"spec": {"rules": [rule]}}}, "scheduler": SCHEDULER}


@pytest.mark.parametrize("given", [kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2])
@pytest.mark.parametrize("strategy", ["weighted", "swap"])
def test_scenario_32_the_group_of_a_single_inline_reference_is_ours_and_the_rest_is_kept(
    given: str, strategy: str
) -> None:
    timeouts = {"request": "30s", "backendRequest": "30s"}
    world = RouterWorld(inline(pool_ref(given, weight=7), timeouts=timeouts))
    world.annotate(names.MIGRATION_STRATEGY, strategy)
    idle = strategy == "weighted"

    def refs(v1: int, v1alpha2: int) -> list[dict[str, Any]]:
        both = {kinds.POOL_GROUP_V1: v1, kinds.POOL_GROUP_V1ALPHA2: v1alpha2}
        return [pool_ref(group, weight=weight) for group, weight in both.items() if weight or idle]

    world.reconcile()
    assert world.refs() == refs(0, 7)
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.refs() == refs(7, 0)
    assert world.live["spec"]["rules"][0]["timeouts"] == timeouts
    assert world.a == "v1"


def test_scenario_33_pools_of_others_keep_their_weights() -> None:
    refs = [pool_ref(kinds.POOL_GROUP_V1, "a", weight=80), pool_ref(kinds.POOL_GROUP_V1, "b", weight=20)]
    world = RouterWorld(inline(*refs))
    world.reconcile()
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.refs() == refs
    assert world.a == "v1"


@pytest.mark.parametrize(("exists", "weights", "lock"), [(True, (100, 0), "v1"), (False, (0, 100), None)])
def test_switching_to_an_external_pool_asks_whether_a_v1_pool_of_that_name_exists(
    exists: bool, weights: tuple[int, int], lock: str | None
) -> None:
    world = RouterWorld().migrated()
    if exists:
        world.put(kinds.POOL_V1, external_pool(kinds.POOL_V1))
    world.edit_router(EXTERNAL)
    world.reconcile()
    assert {ref["name"] for ref in world.refs()} == {"my-pool"}
    assert (world.w, world.a, world.copy_of_lock) == (weights, lock, None)


def test_the_lock_of_an_external_pool_outlives_that_pool() -> None:
    world = RouterWorld(copy.deepcopy(EXTERNAL))
    world.put(kinds.POOL_V1, external_pool(kinds.POOL_V1))
    world.reconcile()
    del world.objects[EXTERNAL_V1]
    assert world.reconcile() == []
    assert world.w == (100, 0)


def test_a_switch_to_an_external_pool_that_cannot_be_read_waits() -> None:
    world = RouterWorld().migrated()
    world.unknown[EXTERNAL_V1] = "connection refused"
    world.edit_router(EXTERNAL)
    world.reconcile()
    assert world.retry
    assert {ref["name"] for ref in world.refs()} == {POOL}


def test_an_external_pool_that_has_our_default_name_is_left_alone() -> None:
    router = {"route": {}, "scheduler": {"pool": {"ref": {"name": POOL}}}}
    world = RouterWorld(router)
    for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
        world.put(kind, {"metadata": {"namespace": NS, "name": POOL}, "spec": {"mine": True}})
    world.reconcile()
    assert world.objects[V1]["spec"] == world.objects[ALPHA]["spec"] == {"mine": True}
    assert world.w == (100, 0)
