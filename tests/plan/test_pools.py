"""Pools, model and their readiness: POOL-1, POOL-3, CRD-1, POOL-5.

Rules: OWN-1, EQ-3, POOL-2.
"""

import copy
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.plan.model import Verb, Write
from aioctl.plan.pools import v1_ready, v1alpha2_ready
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    MANAGED,
    MODEL,
    NS,
    SCHEDULER,
    V1,
    RouterWorld,
    accepted,
    condition,
    parent,
)

EXTERNAL_ROUTER: dict[str, Any] = {"route": {}, "scheduler": {"pool": {"ref": {"name": "mine"}}}}


def with_pool(**spec: Any) -> dict[str, Any]:
    return {"route": {}, "scheduler": {"pool": {"spec": {**SCHEDULER["pool"]["spec"], **spec}}}}


def refs(writes: list[Write]) -> list[tuple[Verb, ObjectRef]]:
    return [(write.verb, write.ref) for write in writes]


def test_both_pools_have_the_same_name_labels_and_owner() -> None:
    world = RouterWorld()
    world.reconcile()
    alpha, v1 = world.objects[ALPHA], world.objects[V1]
    for field in ("name", "namespace", "labels", "ownerReferences"):
        assert alpha["metadata"][field] == v1["metadata"][field]
    assert alpha["spec"] == {
        "selector": names.workload_selector("svc"),
        "targetPortNumber": 8000,
        "extensionRef": {"name": "svc-epp-service", "kind": "Service", "portNumber": 9002},
    }


def test_what_the_combined_spec_does_not_say_of_the_picker_the_pools_do_not_either() -> None:
    """A port is filled in where specs are combined, for those kinds that have one (PRESET-3)."""
    picker = {"name": "p", "kind": "Other", "group": "g"}
    world = RouterWorld(with_pool(endpointPickerRef=picker))
    world.reconcile()
    assert world.objects[V1]["spec"]["endpointPickerRef"] == picker
    assert world.objects[ALPHA]["spec"]["extensionRef"] == picker


def test_group_kind_and_failure_mode_go_to_v1alpha2_only_when_given() -> None:
    picker = {"name": "p", "group": "", "kind": "K", "failureMode": "FailOpen", "port": {"number": 0}}
    world = RouterWorld(with_pool(endpointPickerRef=picker))
    world.reconcile()
    assert world.objects[ALPHA]["spec"]["extensionRef"] == {
        "name": "p",
        "kind": "K",
        "failureMode": "FailOpen",
    }


def test_changing_the_second_target_port_updates_the_v1_pool_only() -> None:
    world = RouterWorld(with_pool(targetPorts=[{"number": 8000}, {"number": 8001}]))
    world.reconcile()
    world.edit_router(with_pool(targetPorts=[{"number": 8000}, {"number": 9001}]))
    assert refs(world.reconcile()) == [(Verb.UPDATE, V1)]
    world.edit_router(with_pool(targetPorts=[{"number": 8000}]))
    assert refs(world.reconcile()) == [(Verb.UPDATE, V1)]
    assert world.objects[V1]["spec"]["targetPorts"] == [{"number": 8000}]


@pytest.mark.parametrize("after", [{"appProtocol": "http"}, {}], ids=["http", "nothing said"])
def test_a_protocol_that_is_taken_back_goes_in_the_v1_pool(after: dict[str, str]) -> None:
    world = RouterWorld(with_pool(appProtocol="kubernetes.io/h2c"))
    world.reconcile()
    assert world.objects[V1]["spec"]["appProtocol"] == "kubernetes.io/h2c"
    world.edit_router(with_pool(**after))
    assert refs(world.reconcile()) == [(Verb.UPDATE, V1)]
    assert "appProtocol" not in world.objects[V1]["spec"]
    world.objects[V1]["spec"]["appProtocol"] = "http"  # the schema's default
    assert world.reconcile() == []


def test_a_protocol_that_somebody_else_writes_into_the_v1_pool_is_put_back() -> None:
    world = RouterWorld(with_pool())
    world.reconcile()
    world.objects[V1]["spec"]["appProtocol"] = "kubernetes.io/h2c"
    assert refs(world.reconcile()) == [(Verb.UPDATE, V1)]


def test_a_selector_label_that_goes_in_the_spec_goes_in_both_pools() -> None:
    world = RouterWorld(with_pool(selector={"matchLabels": {"a": "b", "c": "d"}}))
    world.reconcile()
    world.edit_router(with_pool(selector={"matchLabels": {"a": "b"}}))
    assert refs(world.reconcile()) == [(Verb.UPDATE, ALPHA), (Verb.UPDATE, V1)]


def test_what_the_api_server_fills_in_is_no_difference() -> None:
    world = RouterWorld()
    world.reconcile()
    world.objects[V1]["spec"]["endpointPickerRef"] |= {"group": "", "failureMode": "FailClose"}
    world.objects[V1]["spec"]["appProtocol"] = "http"
    world.objects[ALPHA]["spec"]["extensionRef"] |= {"group": "", "failureMode": "FailClose"}
    assert world.reconcile() == []


@pytest.mark.parametrize("kind", [kinds.POOL_V1, kinds.POOL_V1ALPHA2], ids=["v1", "v1alpha2"])
def test_a_pool_of_somebody_else_is_an_error(kind: kinds.Kind) -> None:
    world = RouterWorld()
    world.put(kind, {"metadata": {"namespace": NS, "name": V1.name}, "spec": {}})
    world.reconcile()
    assert world.condition("SchedulerWorkloadReady")["message"] == (
        f"Failed to reconcile scheduler: failed to update {kind.type_name} {NS}/{V1.name}: "
        f"it is not controlled by v1alpha2.LLMInferenceService {NS}/svc"
    )
    assert world.condition("SchedulerWorkloadReady")["reason"] == "SchedulerReconcileError"


@pytest.mark.parametrize("ports", [[], None])
def test_a_pool_without_ports_is_named_with_its_field(ports: Any) -> None:
    world = RouterWorld(with_pool(targetPorts=ports))
    world.reconcile()
    assert world.error == "spec.router.scheduler.pool.spec.targetPorts is empty"
    assert world.condition("SchedulerWorkloadReady")["reason"] == "SchedulerReconcileError"
    assert not [write for write in world.writes if write.kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)]


def test_without_any_pool_crd_the_cure_is_named() -> None:
    world = RouterWorld(unserved=frozenset({kinds.POOL_V1, kinds.POOL_V1ALPHA2, kinds.MODEL}))
    world.reconcile()
    assert "install the CRDs of the Gateway API Inference Extension" in world.error
    assert world.condition("SchedulerWorkloadReady")["reason"] == "SchedulerReconcileError"


@pytest.mark.parametrize("router", [None, {"route": {}}, {"route": {}, "scheduler": None}])
def test_without_scheduler_pools_and_model_go(router: Any) -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit_router(router)
    world.reconcile()
    assert not {V1, ALPHA, MODEL} & set(world.objects)


def test_an_external_pool_takes_our_pools_but_keeps_the_model() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit_router(EXTERNAL_ROUTER)
    deletes = {write.ref: write.event for write in world.reconcile() if write.verb is Verb.DELETE}
    assert deletes == {
        ALPHA: f"Deleted v1alpha2pool.InferencePool {NS}/{V1.name}",
        V1: f"Deleted v1.InferencePool {NS}/{V1.name}",
    }
    assert world.objects[MODEL]["spec"]["poolRef"]["name"] == "mine"


def test_pools_of_others_are_not_deleted() -> None:
    world = RouterWorld({"route": {}})
    world.put(kinds.POOL_V1, {"metadata": {"namespace": NS, "name": V1.name}})
    world.reconcile()
    assert V1 in world.objects


def test_an_unknown_read_deletes_nothing() -> None:
    world = RouterWorld()
    world.reconcile()
    world.unknown[V1] = "not synced"
    world.edit_router({"route": {}})
    world.reconcile()
    assert {V1, ALPHA} <= set(world.objects)
    assert world.retry


def test_a_new_model_name_replaces_the_model_in_the_same_reconcile() -> None:
    world = RouterWorld()
    world.reconcile()
    world.edit(MODEL, lambda model: model["spec"].update(modelName="old"))
    assert refs(world.reconcile()) == [(Verb.DELETE, MODEL), (Verb.CREATE, MODEL)]
    assert world.objects[MODEL]["spec"]["modelName"] == "m"


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (None, "Critical"),
        ("Sheddable", "Sheddable"),
        ("Standard", "Standard"),
        ("standard", "Critical"),
        ("", "Critical"),
    ],
)
def test_criticality_comes_from_the_annotation(annotation: str | None, expected: str) -> None:
    world = RouterWorld()
    if annotation is not None:
        world.annotate(names.CRITICALITY, annotation)
    world.reconcile()
    model = world.objects[MODEL]
    assert model["spec"]["criticality"] == expected
    assert model["spec"]["poolRef"]["group"] == kinds.POOL_GROUP_V1
    assert "blockOwnerDeletion" not in model["metadata"]["ownerReferences"][0]


def pool(*parents: dict[str, Any], field: str = "parents", generation: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"namespace": NS, "name": "p", "generation": generation},
        "status": {field: list(parents)},
    }


A, B = ("kserve", "a"), ("kserve", "b")
BAD = [condition("Accepted"), condition("ResolvedRefs", "False", "Nope")]


@pytest.mark.parametrize(
    ("parents", "gateways", "ready", "failing"),
    [
        ([], None, False, None),
        ([parent(*A, accepted())], None, True, None),
        ([parent(*A, accepted("Accepted"))], None, False, None),
        ([parent(*A, BAD)], None, False, "ResolvedRefs"),
        ([parent(*A, accepted()), parent(*B, BAD)], None, False, "ResolvedRefs"),
        ([parent(*A, accepted(observedGeneration=1))], None, False, "Accepted"),
        ([parent(*A, accepted(observedGeneration=2))], None, True, None),
        ([parent(*A, accepted(observedGeneration=0))], None, True, None),
        ([parent(*A, accepted()), parent(*B, BAD)], [A], True, None),
        ([parent(*A, accepted())], [A, B], False, None),
        ([parent(*A, accepted()), parent(*B, accepted())], [A, B], True, None),
        ([parent(*A, accepted())], [], True, None),
        ([parent("", "a", accepted())], [(NS, "a")], True, None),
        ([parent(*A, accepted()), parent(*A, BAD)], [A], False, "ResolvedRefs"),
    ],
)
def test_a_v1_pool_is_ready_when_every_parent_that_counts_says_so(
    parents: list[Any], gateways: list[tuple[str, str]] | None, failing: str | None, *, ready: bool
) -> None:
    keys = None if gateways is None else [ObjectKey(*key) for key in gateways]
    verdict = v1_ready(pool(*parents), keys)
    assert verdict.ready is ready
    assert (verdict.failing or {}).get("type") == failing


SYNTHETIC = {
    "parentRef": {"kind": "Status", "name": "default"},
    "conditions": [condition("Accepted", "Unknown", "Pending")],
}


@pytest.mark.parametrize(
    ("parents", "ready"),
    [
        ([], False),
        ([SYNTHETIC], False),
        ([SYNTHETIC, parent(*A, accepted())], True),
        ([parent(*A, BAD), parent(*B, accepted())], True),
        ([parent(*A, accepted("Accepted")), parent(*B, accepted("ResolvedRefs"))], False),
        ([parent(*A, accepted(observedGeneration=1))], False),
    ],
)
def test_a_v1alpha2_pool_is_ready_when_any_parent_says_so(parents: list[Any], *, ready: bool) -> None:
    assert v1alpha2_ready(pool(*parents, field="parent")).ready is ready


def test_each_generation_is_read_from_its_own_status_field() -> None:
    assert not v1_ready(pool(parent(*A, accepted()), field="parent")).ready
    assert not v1alpha2_ready(pool(parent(*A, accepted()))).ready
    assert not v1_ready(None).ready


def test_a_pool_that_is_going_away_does_not_take_traffic() -> None:
    world = RouterWorld(copy.deepcopy(MANAGED))
    world.reconcile()
    world.pool_status(V1, accepted(), GATEWAY)
    world.edit(V1, lambda pool: pool["metadata"].update(deletionTimestamp="2026-11-24T08:00:00Z"))
    world.reconcile()
    assert world.w == (0, 100)


@pytest.mark.parametrize(("version", "stays"), [("0.2.9", True), ("0.3.0", False), ("0.10.0", False)])
def test_the_model_goes_once_its_picker_knows_no_such_kind(version: str, *, stays: bool) -> None:
    world = RouterWorld()
    world.reconcile()
    assert MODEL in world.objects
    world.edit_router(
        {**MANAGED, "scheduler": {**SCHEDULER, "annotations": {"app.kubernetes.io/version": version}}}
    )
    world.reconcile()
    assert (MODEL in world.objects) is stays


@pytest.mark.parametrize(
    ("router", "stay"),
    [
        (None, False),
        ({"route": {}}, False),
        ({**MANAGED, "scheduler": {"pool": {"ref": {"name": "mine"}}}}, False),
        ({**MANAGED, "scheduler": {**SCHEDULER, "template": {"containers": [{"name": "main"}]}}}, True),
        ({**MANAGED, "scheduler": SCHEDULER}, True),
    ],
    ids=["no router", "no scheduler", "a user's pool", "a picker", "no picker"],
)
def test_pools_go_with_the_scheduler_and_not_with_its_template(
    router: dict[str, Any] | None, *, stay: bool
) -> None:
    """The picker may be somebody else's (CHILD-1, docs/decisions/0022)."""
    world = RouterWorld()
    world.reconcile()
    world.edit_router(router)
    world.reconcile()
    assert [ref in world.objects for ref in (V1, ALPHA)] == [stay, stay]
