"""Routes, gateways and conditions in scenarios (ROUTE-1, ROUTE-5)."""

import copy
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan import status
from aioctl.plan.model import Outcome, Part, Plan, Step, Verb
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    MANAGED,
    NS,
    POOL,
    REFERENCED,
    ROUTE,
    SVC,
    V1,
    RouterWorld,
    accepted,
    condition,
    gateway,
    parent,
    user_route,
    with_gateway_refs,
)

USER = ObjectRef(kinds.HTTP_ROUTE, NS, "mine")
NOT_CONTROLLED = (
    f"failed to reconcile HTTPRoute {NS}/svc-kserve-route: failed to update v1.HTTPRoute {NS}/svc-kserve-route: "
    f"it is not controlled by v1alpha2.LLMInferenceService {NS}/{SVC}"
)


def test_scenario_25_a_route_that_lost_its_owner_is_adopted() -> None:
    world = RouterWorld().migrated()
    world.edit(ROUTE, lambda route: route["metadata"].pop("ownerReferences"))
    (write,) = world.reconcile()
    assert write.verb is Verb.UPDATE
    assert world.live["metadata"]["ownerReferences"][0]["uid"] == "uid-svc"
    assert (world.w, world.a) == ((100, 0), "v1")


@pytest.mark.parametrize("controlled", [True, False])
def test_scenario_25_a_route_of_somebody_else_is_an_error_and_stays(*, controlled: bool) -> None:
    world = RouterWorld()
    stranger: dict[str, Any] = {
        "metadata": {"namespace": NS, "name": ROUTE.name},
        "spec": {"hostnames": ["a.example.org"]},
    }
    if controlled:
        stranger["metadata"] |= {
            "labels": names.labels(SVC, names.ROUTER_COMPONENT),
            "ownerReferences": [{"uid": "other", "controller": True}],
        }
    world.put(kinds.HTTP_ROUTE, stranger)
    world.reconcile()
    assert world.objects[ROUTE] == stranger
    found = world.condition("HTTPRoutesReady")
    assert (found["reason"], found["message"]) == (
        "HTTPRouteReconcileError",
        f"Failed to reconcile HTTPRoute: {NOT_CONTROLLED}",
    )
    assert world.condition("RouterReady")["message"] == found["message"]


def test_scenario_30_a_referenced_route_is_never_touched() -> None:
    world = RouterWorld(copy.deepcopy(REFERENCED))
    world.put(kinds.HTTP_ROUTE, user_route(*accepted()))
    before = copy.deepcopy(world.objects[USER])
    world.reconcile()
    world.pool_status(V1, accepted())
    assert world.reconcile() == []
    assert world.objects[USER] == before
    assert ROUTE not in world.objects
    assert world.copy_of_lock is None
    assert world.status_of("HTTPRoutesReady") == "True"


def test_scenario_35_a_gateway_that_leaves_the_refs_leaves_the_route() -> None:
    world = RouterWorld(with_gateway_refs("a", "b"))
    for name in ("a", "b"):
        world.put(kinds.GATEWAY, gateway(NS, name, "203.0.113.1"))
    world.reconcile()
    assert [ref["name"] for ref in world.parents] == ["a", "b"]
    assert not any("namespace" in ref for ref in world.parents)
    world.edit_router(with_gateway_refs("a"))
    world.reconcile()
    assert [ref["name"] for ref in world.parents] == ["a"]


@pytest.mark.parametrize(
    "surplus",
    [
        lambda spec: spec["rules"].append({"matches": [{"path": {"type": "PathPrefix", "value": "/new"}}]}),
        lambda spec: spec["rules"][0]["backendRefs"].append({"name": "x", "port": 1}),
        lambda spec: spec.update(hostnames=["a.example.org"]),
        lambda spec: spec["parentRefs"].append({"name": "y"}),
    ],
)
def test_what_somebody_adds_to_the_lists_of_the_route_is_taken_out(surplus: Any) -> None:
    world = RouterWorld()
    world.reconcile()
    wanted = copy.deepcopy(world.live["spec"])
    world.edit(ROUTE, lambda route: surplus(route["spec"]))
    world.reconcile()
    assert world.live["spec"] == wanted


def test_metadata_of_others_survives_every_write_of_the_route() -> None:
    world = RouterWorld()
    world.reconcile()
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "c"}

    def change(route: dict[str, Any]) -> None:
        metadata = route["metadata"]
        metadata["annotations"] = {"a": "b"}
        metadata["labels"]["l"] = "m"
        metadata["finalizers"] = ["f/f"]
        metadata["ownerReferences"].append(owner)

    world.edit(ROUTE, change)
    assert world.reconcile() == []
    world.pool_status(V1, accepted())
    world.reconcile()
    metadata = world.live["metadata"]
    assert metadata["annotations"] == {"a": "b", names.MIGRATED: "v1"}
    assert metadata["labels"]["l"] == "m"
    assert metadata["finalizers"] == ["f/f"]
    assert owner in metadata["ownerReferences"]


def test_scenario_42_the_first_address_of_the_gateway_fills_url_and_addresses() -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY))
    world.reconcile()
    assert not {"url", "addresses"} & set(world.service["status"])
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1"))
    world.reconcile()
    assert world.service["status"]["url"] == f"http://203.0.113.1/{NS}/{SVC}"
    assert [each["url"] for each in world.service["status"]["addresses"]] == [
        f"http://203.0.113.1/{NS}/{SVC}"
    ]


def test_scenario_43_the_url_is_the_first_external_address() -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", "10.0.0.1"))
    world.reconcile()
    assert world.service["status"]["url"] == f"http://203.0.113.1/{NS}/{SVC}"
    assert [entry["url"] for entry in world.service["status"]["addresses"]] == [
        f"http://10.0.0.1/{NS}/{SVC}",
        f"http://203.0.113.1/{NS}/{SVC}",
    ]


def test_scenario_44_gateways_that_are_not_ready_are_listed_sorted_and_the_status_rests() -> None:
    world = RouterWorld(with_gateway_refs("z", "a"))
    for name in ("z", "a"):
        world.put(kinds.GATEWAY, gateway(NS, name, programmed="False"))
    world.reconcile()
    found = world.condition("GatewaysReady")
    assert (found["reason"], found["message"]) == (
        "GatewaysNotReady",
        (
            f"The following Gateways are not ready: [{NS}/a {NS}/z]. "
            f'{NS}/a: Programmed="False" (reason "Programmed", message "") from its controller that names no '
            f'generation; awaited: Programmed="True"; '
            f'{NS}/z: Programmed="False" (reason "Programmed", message "") from its controller that names no '
            'generation; awaited: Programmed="True"'
        ),
    )
    before = copy.deepcopy(world.service)
    world.reconcile()
    assert world.service == before


@pytest.mark.parametrize("router", ["True", "False"])
def test_scenario_45_a_combination_that_fails_is_said_by_ready(router: str) -> None:
    world = RouterWorld()
    world.service["metadata"]["generation"] = 2
    world.service["status"] = {
        "observedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": router},
            {"type": "RouterReady", "status": router},
            {"type": "WorkloadsReady", "status": "True"},
        ],
    }
    failed = Step(Part.COMBINE, "failed to combine base-configurations: ", error="no such config")
    outcome = Outcome(failed=failed, error="no such config")
    made = status.conclude(Plan(world.service, (failed,)), outcome, world.facts, world.policy, world.now)
    by_type = {entry["type"]: entry for entry in made["conditions"]}
    assert made["observedGeneration"] == 2
    assert (by_type["PresetsCombined"]["reason"], by_type["PresetsCombined"]["message"]) == (
        "CombineBaseError",
        "no such config",
    )
    assert {field: by_type["Ready"][field] for field in ("status", "reason", "message")} == {
        "status": "False",
        "reason": "CombineBaseError",
        "message": "no such config",
    }


def test_gateways_ready_goes_when_the_refs_go() -> None:
    world = RouterWorld(with_gateway_refs("a"))
    world.put(kinds.GATEWAY, gateway(NS, "a", programmed="False"))
    world.reconcile()
    assert world.status_of("GatewaysReady") == "False"
    world.edit_router(MANAGED)
    world.accept_route()
    world.reconcile()
    assert world.condition("GatewaysReady") == {}
    assert world.status_of("RouterReady") == "False"  # the new parent has not answered, the pool is not ready


def test_a_route_nobody_speaks_of_says_who_has_to() -> None:
    world = RouterWorld()
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == (
        f"The following HTTPRoutes are not ready: [{NS}/{ROUTE.name}: Gateway kserve/kserve-ingress-gateway "
        'has not reported on generation 1; awaited: Accepted="True"]'
    )


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        (
            [],
            f"The inference pool {NS}/{POOL} is not ready",
        ),
        (
            [condition("Accepted", "False", "No", message="not mine")],
            f'{NS}/{POOL}: Accepted="False" (reason "No", message "not mine")',
        ),
    ],
)
def test_pools_that_are_not_ready_are_named(pool: list[Any], message: str) -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, pool)
    world.reconcile()
    found = world.condition("InferencePoolReady")
    assert (found["reason"], found["message"]) == ("InferencePoolNotReady", message)


@pytest.mark.parametrize(("ready", "retry"), [(True, False), (False, True)])
def test_an_external_pool_that_cannot_be_read_is_looked_at_again(*, ready: bool, retry: bool) -> None:
    world = RouterWorld({"scheduler": {"pool": {"ref": {"name": "my-pool"}}}})
    world.unknown[ObjectRef(kinds.POOL_V1, NS, "my-pool")] = "connection refused"
    status_of_pool = {"parent": [parent(*GATEWAY, accepted())]} if ready else {}
    world.put(
        kinds.POOL_V1ALPHA2, {"metadata": {"namespace": NS, "name": "my-pool"}, "status": status_of_pool}
    )
    world.reconcile()
    assert (world.status_of("InferencePoolReady"), world.retry) == (str(ready), retry)
    assert world.condition("InferencePoolReady").get("reason", "") == ("" if ready else "WaitingForGateway")
    assert world.condition("RouterReady").get("reason", "") == ("" if ready else "WaitingForGateway")


def test_without_a_router_the_addresses_are_those_of_the_workload() -> None:
    world = RouterWorld(None)
    world.reconcile()
    assert world.service["status"]["addresses"] == [
        {"url": f"http://svc-kserve-workload-svc.{NS}.svc.cluster.local"}
    ]
    assert "url" not in world.service["status"]
    assert world.status_of("RouterReady") == "True"
    assert world.status_of("HTTPRoutesReady") == "", "there is no route to wait for"
    assert world.status_of("InferencePoolReady") == "", "there is no pool to wait for"


def test_without_workloads_in_the_plan_ready_stays_unknown() -> None:
    world = RouterWorld().migrated()
    world.accept_route()
    world.reconcile()
    assert world.status_of("RouterReady") == "True"
    assert [world.status_of(type_) for type_ in ("Ready", "WorkloadsReady")] == ["Unknown", "Unknown"]


def test_a_gateway_class_that_is_missing_shows_in_the_condition_and_keeps_the_route() -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", cls="none"))
    world.reconcile()
    assert ROUTE not in world.objects  # made once its pools are there
    world.reconcile()
    assert ROUTE in world.objects
    assert world.condition("HTTPRoutesReady")["message"] == (
        f"Failed to reconcile HTTPRoute: failed to discover gateways for route {NS}/{ROUTE.name}: "
        'failed to get GatewayClass "none" for gateway kserve/kserve-ingress-gateway: '
        'GatewayClass.gateway.networking.k8s.io "none" not found'
    )


def test_a_resumed_service_that_fails_early_does_not_go_on_saying_that_it_is_stopped() -> None:
    world = RouterWorld().migrated()
    world.annotate(names.STOP, "true")
    world.reconcile()
    world.annotate(names.STOP, None)
    del world.objects[ObjectRef(kinds.GATEWAY, *GATEWAY)]
    world.reconcile()
    assert world.condition("RouterReady")["reason"] == "RefsInvalid"
    assert "Stopped" not in {
        world.condition(type_).get("reason")
        for type_ in ("GatewaysReady", "HTTPRoutesReady", "InferencePoolReady", "SchedulerWorkloadReady")
    }


def test_a_stopped_service_with_a_router_error_shows_the_error() -> None:
    world = RouterWorld().migrated()
    world.annotate(names.STOP, "true")
    plan = world.plan()
    step = next(each for each in plan.steps if each.part is Part.SCHEDULER)
    made = status.conclude(
        plan, Outcome(failed=step, error="failed to delete x: boom"), world.facts, world.policy, world.now
    )
    by_type = {entry["type"]: entry for entry in made["conditions"]}
    assert (
        by_type["SchedulerWorkloadReady"]["message"]
        == "Failed to reconcile scheduler: failed to delete x: boom"
    )
    assert ALPHA in world.objects


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (
            accepted("Accepted"),
            '"Unknown" (reason "ConditionMissing", message "ResolvedRefs condition not yet reported',
        ),
        (
            [condition("Accepted"), condition("ResolvedRefs", "Unknown", "Pending")],
            '"Unknown" (reason "Pending"',
        ),
        (accepted(), ""),
    ],
)
def test_a_parent_that_accepts_a_route_has_to_say_that_its_references_resolve(
    conditions: list[dict[str, Any]], said: str
) -> None:
    world = RouterWorld()
    world.reconcile()
    world.reconcile()
    world.route_status(parent(*GATEWAY, conditions))
    world.reconcile()
    found = world.condition("HTTPRoutesReady")
    assert found["status"] == ("False" if said else "True")
    assert said in found.get("message", "")


def test_gateway_refs_without_a_route_have_no_gateway_to_wait_for() -> None:
    world = RouterWorld({"gateway": {"refs": [{"name": "off"}]}})
    world.put(kinds.GATEWAY, gateway(NS, "off", programmed="False"))
    world.reconcile()
    assert world.status_of("GatewaysReady") == "True"
