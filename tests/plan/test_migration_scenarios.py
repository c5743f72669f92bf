"""The migration in scenarios (MIG-3, MIG-7), on a cluster in a dictionary."""

import copy
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.plan.model import Verb
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    INVALID_KIND,
    MANAGED,
    MODEL,
    NS,
    POOL,
    ROUTE,
    SCHEDULER,
    SVC,
    V1,
    RouterWorld,
    accepted,
    condition,
    gateway,
    parent,
    set_weights,
)


def route_writes(world: RouterWorld) -> list[Verb]:
    return [write.verb for write in world.writes if write.ref == ROUTE]


def drop_annotation(route: dict[str, Any]) -> None:
    del route["metadata"]["annotations"]


def test_scenario_01_a_new_service_gets_both_pools_and_a_route_on_v1alpha2() -> None:
    world = RouterWorld()
    world.reconcile()
    assert [write.ref for write in world.writes] == [MODEL, ALPHA, V1, ROUTE]
    assert all(write.paced for write in world.writes if write.ref in (ALPHA, V1))
    assert (world.w, world.a) == ((0, 100), None)
    assert world.parents == [
        {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": GATEWAY[1], "namespace": GATEWAY[0]}
    ]
    assert world.live["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "name": SVC,
            "uid": "uid-svc",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_scenario_02_without_pool_status_the_route_is_not_written_again() -> None:
    world = RouterWorld()
    world.reconcile()
    assert world.reconcile() == []


def test_scenario_03_accepted_alone_moves_nothing() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted("Accepted"))
    assert world.reconcile() == []
    assert world.w == (0, 100)
    assert world.status_of("InferencePoolReady") == "True", "accepted is all that the condition speaks of"


def test_scenario_04_a_ready_v1_pool_moves_weights_and_lock_in_one_write() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted())
    (write,) = world.reconcile()
    assert write.announce == ("InferencePoolMigrated", f"Traffic moved to v1 InferencePool {NS}/{POOL}")
    assert (world.w, world.a, world.copy_of_lock) == ((100, 0), "v1", "v1")


def test_scenario_05_a_ready_v1alpha2_pool_makes_ready_but_moves_nothing() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(ALPHA, accepted())
    world.reconcile()
    assert world.status_of("InferencePoolReady") == "True"
    assert world.w == (0, 100)


def test_scenario_06_conditions_of_an_older_generation_do_not_count() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit(V1, lambda pool: pool["metadata"].update(generation=2))
    world.pool_status(V1, accepted(observedGeneration=1))
    world.reconcile()
    assert world.w == (0, 100)


def test_scenario_07_a_pool_that_is_ready_before_the_route_exists_needs_one_write() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted())
    del world.objects[ROUTE]
    world.writes.clear()
    world.reconcile()
    assert route_writes(world) == [Verb.CREATE]
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_08_with_only_the_v1alpha2_crd_the_service_becomes_ready_through_it() -> None:
    world = RouterWorld()
    world.unserved |= {kinds.POOL_V1}
    world.reconcile()
    world.pool_status(ALPHA, accepted())
    world.reconcile()
    assert world.error == ""
    assert V1 not in world.objects
    assert world.w == (100,)
    assert {ref["group"] for ref in world.refs()} == {kinds.POOL_GROUP_V1ALPHA2}
    assert world.status_of("InferencePoolReady") == "True"


def test_scenario_09_with_only_the_v1_crd_traffic_starts_on_v1() -> None:
    world = RouterWorld()
    world.unserved |= {kinds.POOL_V1ALPHA2, kinds.MODEL}
    world.reconcile()
    assert world.error == ""
    assert {write.ref for write in world.writes} == {V1, ROUTE}
    assert (world.w, world.a) == ((100,), "v1")
    assert {ref["group"] for ref in world.refs()} == {kinds.POOL_GROUP_V1}


def test_scenario_10_a_v1_crd_that_appears_brings_the_v1_pool_and_then_the_migration() -> None:
    world = RouterWorld()
    world.unserved |= {kinds.POOL_V1}
    world.reconcile()
    world.unserved -= {kinds.POOL_V1}
    assert {write.ref for write in world.reconcile()} == {V1, ROUTE, MODEL}
    assert world.w == (0, 100)
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.w == (100, 0)


def refusal_of(group: str) -> list[dict[str, Any]]:
    said = f'referencing unsupported backendRef: group "{group}" kind "InferencePool"'
    return [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidKind", message=said)]


def test_scenario_11_an_invalid_kind_of_the_idle_v1_reference_keeps_traffic_on_v1alpha2() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted())
    world.pool_status(ALPHA, accepted())
    world.route_status(parent(*GATEWAY, refusal_of(kinds.POOL_GROUP_V1)))
    world.reconcile()
    assert (world.w, world.a) == ((0, 100), None)
    assert world.condition("InferencePoolMigration")["reason"] == "GatewayRefusesV1"


@pytest.mark.parametrize("conditions", [INVALID_KIND, refusal_of(kinds.POOL_GROUP_V1ALPHA2)])
@pytest.mark.parametrize("strategy", ["weighted", "swap", "auto"])
def test_an_upgraded_gateway_that_knows_v1_only_moves_traffic_whatever_old_statuses_say(
    conditions: list[dict[str, Any]], strategy: str
) -> None:
    """Nobody takes back what the old version wrote to the v1alpha2 pool."""
    world = RouterWorld()
    world.annotate(names.MIGRATION_STRATEGY, strategy)
    world.reconcile()
    world.pool_status(ALPHA, accepted())
    world.route_status(parent(*GATEWAY, accepted()))
    world.reconcile()
    assert (world.a, world.copy_of_lock) == (None, None)
    world.pool_status(V1, accepted())
    world.route_status(parent(*GATEWAY, conditions))
    world.reconcile()
    assert world.a == "v1"
    assert world.w == ((100, 0) if strategy == "weighted" else (100,))
    assert world.refs()[0]["group"] == kinds.POOL_GROUP_V1


@pytest.mark.parametrize("held", [(names.MIGRATION, "paused"), (names.MIGRATION_STRATEGY, "hold")])
def test_a_held_service_whose_reference_is_refused_is_not_ready(held: tuple[str, str]) -> None:
    world = RouterWorld()
    world.annotate(*held)
    world.reconcile()
    for pool in (V1, ALPHA):
        world.pool_status(pool, accepted())
    world.route_status(parent(*GATEWAY, refusal_of(kinds.POOL_GROUP_V1ALPHA2)))
    world.reconcile()
    assert (world.w, world.a) == ((0, 100), None)
    assert world.status_of("HTTPRoutesReady") == "False"
    assert world.condition("InferencePoolMigration")["status"] == "False"


@pytest.mark.parametrize("strategy", ["weighted", "swap", "auto"])
def test_refusal_of_v1alpha2_alone_locks_nothing(strategy: str) -> None:
    world = RouterWorld()
    world.annotate(names.MIGRATION_STRATEGY, strategy)
    world.reconcile()
    world.route_status(parent(*GATEWAY, refusal_of(kinds.POOL_GROUP_V1ALPHA2)))
    world.reconcile()
    assert (world.a, world.copy_of_lock) == (None, None)
    assert world.status_of("HTTPRoutesReady") == "False"


def test_a_gateway_that_serves_no_pool_holds_the_service_and_says_what_to_switch_on() -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, cls="istio"))
    istio = {"metadata": {"name": "istio"}, "spec": {"controllerName": "istio.io/gateway-controller"}}
    world.put(kinds.GATEWAY_CLASS, istio)
    world.annotate(names.MIGRATION_STRATEGY, "swap")
    world.reconcile()
    unsupported = [condition("Accepted", "False", "NotSupportedByParent")]
    world.pool_status(V1, unsupported)
    world.route_status(parent(*GATEWAY, refusal_of(kinds.POOL_GROUP_V1ALPHA2)))
    world.reconcile()
    found = world.condition("InferencePoolMigration")
    assert (world.a, found["reason"]) == (None, "GatewayServesNoPool")
    assert "Gateway kserve/kserve-ingress-gateway" in found["message"]
    assert "set ENABLE_GATEWAY_API_INFERENCE_EXTENSION=true in istiod" in found["message"]
    assert world.status_of("HTTPRoutesReady") == "False"


def test_scenario_11_a_refusal_of_the_idle_reference_alone_leaves_the_service_ready() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted())
    world.pool_status(ALPHA, accepted())
    said = 'referencing unsupported backendRef: group "inference.networking.k8s.io" kind "InferencePool"'
    refusal = condition("ResolvedRefs", "False", "InvalidKind", message=said)
    world.route_status(parent(*GATEWAY, [condition("Accepted"), refusal]))
    world.reconcile()
    assert (world.w, world.a) == ((0, 100), None)
    assert world.status_of("RouterReady") == "True"


def test_scenario_11_a_stale_invalid_kind_does_not_hold_the_migration() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit(ROUTE, lambda route: None)
    world.pool_status(V1, accepted())
    world.pool_status(ALPHA, accepted())
    stale = [condition("ResolvedRefs", "False", "InvalidKind", observedGeneration=1)]
    world.route_status(parent(*GATEWAY, stale))
    world.reconcile()
    assert world.w == (100, 0)


def test_scenario_12_a_gateway_that_knows_only_v1_migrates_in_spite_of_invalid_kind() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted())
    world.route_status(parent(*GATEWAY, INVALID_KIND))
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


@pytest.mark.parametrize(("alpha_ready", "ready"), [(True, "True"), (False, "False")])
def test_scenario_13_a_migrated_service_stays_when_its_v1_pool_turns_unready(
    alpha_ready: bool, ready: str
) -> None:
    world = RouterWorld().migrated()
    world.pool_status(V1, [condition("Accepted", "False")])
    if alpha_ready:
        world.pool_status(ALPHA, accepted())
    assert world.reconcile() == []
    assert (world.w, world.a) == ((100, 0), "v1")
    assert world.status_of("InferencePoolReady") == ready


def test_scenario_14_a_deleted_v1_pool_comes_back_and_the_route_never_moves() -> None:
    world = RouterWorld().migrated()
    del world.objects[V1]
    assert [write.ref for write in world.reconcile()] == [V1]
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_15_a_failed_read_of_the_v1_pool_leaves_a_migrated_route_alone() -> None:
    world = RouterWorld().migrated()
    world.unknown[V1] = "connection refused"
    assert world.reconcile() == []
    assert world.retry


def test_scenario_15_a_failed_read_leaves_the_weights_of_an_unmigrated_route_alone() -> None:
    world = RouterWorld({"route": {}, "scheduler": SCHEDULER})
    world.reconcile()
    world.edit(ROUTE, set_weights(30, 70))
    world.edit(ROUTE, lambda route: route["metadata"].update(labels={}))
    world.unknown[V1] = "connection refused"
    (write,) = world.plan_route()
    assert write.body is not None
    assert [ref["weight"] for ref in write.body["spec"]["rules"][0]["backendRefs"]] == [30, 70]


@pytest.mark.parametrize("weights", [(50, 50), (100, 100), (0, 0)])
def test_scenario_16_edited_weights_of_a_migrated_route_are_put_back(weights: tuple[int, int]) -> None:
    world = RouterWorld().migrated()
    world.edit(ROUTE, set_weights(*weights))
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_17_edited_weights_of_an_unmigrated_route_are_put_back() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit(ROUTE, set_weights(100, 0))
    world.reconcile()
    assert (world.w, world.a) == ((0, 100), None)


def test_scenario_18_a_removed_lock_comes_back_without_a_second_announcement() -> None:
    world = RouterWorld().migrated()
    world.edit(ROUTE, drop_annotation)
    (write,) = world.reconcile()
    assert write.announce is None
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_19_removing_both_copies_of_the_lock_is_the_manual_rollback() -> None:
    world = RouterWorld().migrated()
    world.pool_status(V1, [condition("Accepted", "False")])
    world.reconcile()
    world.edit(ROUTE, drop_annotation)
    del world.service["status"]["annotations"]
    world.reconcile()
    assert (world.w, world.a, world.copy_of_lock) == ((0, 100), None, None)


def test_scenario_20_a_deleted_route_comes_back_migrated() -> None:
    world = RouterWorld().migrated()
    world.pool_status(V1, [condition("Accepted", "False")])
    del world.objects[ROUTE]
    (write,) = world.reconcile()
    assert write.announce is None
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_21_the_other_spelling_of_the_lock_counts_and_stays() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit(
        ROUTE, lambda r: r["metadata"].update(annotations={names.MIGRATED_MERGED_SPELLING: "v1", "a": "b"})
    )
    world.reconcile()
    assert world.live["metadata"]["annotations"] == {
        names.MIGRATED: "v1",
        names.MIGRATED_MERGED_SPELLING: "v1",
        "a": "b",
    }
    assert world.w == (100, 0)


def test_scenario_22_after_any_prefix_of_the_writes_a_new_process_ends_the_same() -> None:
    whole = RouterWorld()
    whole.reconcile()
    count = len(whole.writes)
    for survived in range(count):
        world = RouterWorld()
        world.reconcile()
        for write in world.writes[survived:]:
            del world.objects[write.ref]
        world.service.pop("status", None)
        world.reconcile()
        assert len(world.writes) == count + (count - survived)
        assert set(world.objects) == set(whole.objects)
        assert world.live["spec"] == whole.live["spec"]


def test_scenario_23_killed_after_the_migration_write_only_the_status_catches_up() -> None:
    world = RouterWorld().migrated()
    world.service["status"] = {}
    assert world.reconcile() == []
    assert world.copy_of_lock == "v1"


def test_scenario_29_without_a_scheduler_every_rule_points_at_the_workload() -> None:
    world = RouterWorld({"route": {}})
    world.reconcile()
    assert {ref["name"] for rule in range(3) for ref in world.refs(rule)} == {"svc-kserve-workload-svc"}
    assert {ref["kind"] for rule in range(3) for ref in world.refs(rule)} == {"Service"}
    assert world.w == (0, 100)
    assert [write.ref for write in world.writes] == [ROUTE]
    assert world.status_of("InferencePoolReady") == "", "there is no pool to wait for"


def test_scenario_31_refs_and_back_again_keeps_the_lock() -> None:
    world = RouterWorld().migrated()
    user = {"metadata": {"namespace": NS, "name": "mine"}, "spec": {"parentRefs": world.parents}}
    world.put(kinds.HTTP_ROUTE, user)
    world.edit_router({"route": {"http": {"refs": [{"name": "mine"}]}}, "scheduler": SCHEDULER})
    world.reconcile()
    assert ROUTE not in world.objects
    world.pool_status(V1, [condition("Accepted", "False")])
    world.edit_router(MANAGED)
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_34_every_gateway_of_the_route_has_to_accept_the_v1_pool() -> None:
    world = RouterWorld({**copy.deepcopy(MANAGED), "gateway": {"refs": [{"name": "a"}, {"name": "b"}]}})
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1"))
    world.put(kinds.GATEWAY, gateway(NS, "b", "203.0.113.2"))
    world.reconcile()
    world.pool_status(V1, accepted(), (NS, "a"))
    world.reconcile()
    assert world.w == (0, 100)
    world.pool_status(V1, accepted(), (NS, "a"), (NS, "b"))
    world.reconcile()
    assert world.w == (100, 0)


def test_scenario_41_a_stopped_service_resumes_migrated() -> None:
    world = RouterWorld().migrated()
    world.annotate(names.STOP, "True")
    world.reconcile()
    assert not {V1, ALPHA, MODEL, ROUTE} & set(world.objects)
    for type_ in ("SchedulerWorkloadReady", "InferencePoolReady", "GatewaysReady", "HTTPRoutesReady"):
        found = world.condition(type_)
        assert (found["status"], found["reason"], found["message"]) == (
            "False",
            "Stopped",
            "Service is stopped",
        )
    assert not {"url", "address", "addresses"} & set(world.service["status"])
    assert world.copy_of_lock == "v1"
    world.annotate(names.STOP, None)
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


def test_scenario_47_at_rest_nothing_is_written() -> None:
    world = RouterWorld().migrated()
    world.accept_route()
    world.reconcile()
    before = copy.deepcopy(world.service)
    for _ in range(10):
        assert world.reconcile() == []
    assert world.service == before


def test_dropping_the_scheduler_takes_the_lock_off_the_route_but_not_out_of_the_status() -> None:
    world = RouterWorld().migrated()
    world.edit_router({"route": {}})
    world.reconcile()
    assert (world.w, world.a, world.copy_of_lock) == ((0, 100), None, "v1")
    assert not {V1, ALPHA, MODEL} & set(world.objects)
    world.edit_router(MANAGED)
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")
