"""The acceptance scenarios of spec 50 section 15 on routes, gateways, conditions and authentication, by number."""

import copy
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan import status
from aioctl.plan.model import Outcome, Part, Plan, Policy, Step, Verb
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    MANAGED,
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
)

USER = ObjectRef(kinds.HTTP_ROUTE, NS, "mine")
REFERENCED: dict[str, Any] = {"route": {"http": {"refs": [{"name": "mine"}]}}, "scheduler": SCHEDULER}
NOT_CONTROLLED = (
    f"failed to reconcile HTTPRoute {NS}/svc-kserve-route: failed to update v1.HTTPRoute {NS}/svc-kserve-route: "
    f"it is not controlled by v1alpha2.LLMInferenceService {NS}/{SVC}"
)
AUTH_MISSING = (
    "failed to validate Gateway on OpenShift: AuthPolicy CRD is not available, "
    "please install Red Hat Connectivity Link"
)


def user_route(*conditions: dict[str, Any], **status_more: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": NS, "name": "mine", "generation": 1},
        "spec": {"parentRefs": [{"name": GATEWAY[1], "namespace": GATEWAY[0]}]},
        "status": {"parents": [parent(*GATEWAY, list(conditions), **status_more)] if conditions else []},
    }


def with_gateway_refs(*refs: str) -> dict[str, Any]:
    return {**copy.deepcopy(MANAGED), "gateway": {"refs": [{"name": ref} for ref in refs]}}


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
    assert {ref["namespace"] for ref in world.parents} == {NS}
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


def test_scenario_36_a_missing_route_that_comes_replaces_refs_invalid_by_its_readiness() -> None:
    world = RouterWorld(copy.deepcopy(REFERENCED))
    world.reconcile()
    found = world.condition("HTTPRoutesReady")
    assert (found["reason"], found["message"]) == ("RefsInvalid", f"HTTPRoute {NS}/mine does not exist")
    world.put(kinds.HTTP_ROUTE, user_route(condition("Accepted", "False", "NoMatchingParent")))
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == (
        f'The following HTTPRoutes are not ready: [{NS}/mine: Accepted="False" '
        '(reason "NoMatchingParent", message "")]'
    )


def test_scenario_37_without_authpolicy_there_is_no_managed_route() -> None:
    world = RouterWorld().migrated()
    world.policy = Policy()
    world.unserved |= {kinds.AUTH_POLICY}
    world.reconcile()
    assert ROUTE not in world.objects
    assert V1 in world.objects
    found = world.condition("HTTPRoutesReady")
    assert (found["reason"], found["message"]) == ("HTTPRouteReconcileError", AUTH_MISSING)
    world.unserved -= {kinds.AUTH_POLICY}
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


def test_without_authpolicy_a_service_without_managed_route_is_left_in_peace() -> None:
    world = RouterWorld({"scheduler": SCHEDULER}, policy=Policy(), unserved=frozenset({kinds.AUTH_POLICY}))
    world.reconcile()
    assert world.error == ""


def test_a_delete_that_fails_in_the_auth_check_is_named_after_the_reason() -> None:
    world = RouterWorld().migrated()
    world.policy = Policy()
    world.unserved |= {kinds.AUTH_POLICY}
    plan = world.plan()
    assert plan.steps[-1].part is Part.AUTH
    (write,) = plan.steps[-1].writes
    failed = Outcome(failed=plan.steps[-1], error=f"{write.error}boom")
    made = status.conclude(plan, failed, world.facts, world.policy, world.now)
    entry = next(each for each in made["conditions"] if each["type"] == "HTTPRoutesReady")
    assert entry["message"] == f"{AUTH_MISSING}: failed to delete v1.HTTPRoute {NS}/{ROUTE.name}: boom"


@pytest.mark.parametrize("managed", [True, False])
def test_scenario_38_a_route_without_enforced_policy_is_not_ready(*, managed: bool) -> None:
    world = RouterWorld(copy.deepcopy(MANAGED if managed else REFERENCED), policy=Policy())
    world.put(kinds.HTTP_ROUTE, user_route(*accepted()))
    world.reconcile()
    if managed:
        world.accept_route()
        world.reconcile()
    at = f"{NS}/{ROUTE.name}" if managed else f"{NS}/mine"
    assert world.condition("HTTPRoutesReady")["message"] == (
        f'The following HTTPRoutes are not ready: [{at}: kuadrant.io/AuthPolicyAffected="False" '
        '(reason "Authentication is not enforced", message "Either disable authentication with '
        'security.opendatahub.io/enable-auth=false annotation or install Red Hat Connectivity Link")]'
    )


@pytest.mark.parametrize(("state", "ready"), [("True", "True"), ("False", "False")])
def test_scenario_38_the_policy_controller_says_whether_authentication_is_enforced(
    state: str, ready: str
) -> None:
    world = RouterWorld(policy=Policy())
    world.reconcile()
    policy = [condition("kuadrant.io/AuthPolicyAffected", state)]
    world.route_status(
        parent(*GATEWAY, accepted()), parent(*GATEWAY, policy, controllerName="kuadrant.io/policy-controller")
    )
    world.reconcile()
    assert world.status_of("HTTPRoutesReady") == ready


@pytest.mark.parametrize("value", ["false", "FALSE", "False"])
def test_scenario_39_the_annotation_switches_authentication_off_in_any_case(value: str) -> None:
    world = RouterWorld(policy=Policy(), unserved=frozenset({kinds.AUTH_POLICY}))
    world.annotate(names.ENABLE_AUTH, value)
    world.reconcile()
    world.accept_route()
    world.reconcile()
    assert world.status_of("HTTPRoutesReady") == "True"


def test_scenario_40_a_failed_discovery_deletes_nothing_and_makes_no_route() -> None:
    world = RouterWorld().migrated()
    world.accept_route()
    world.reconcile()
    world.policy = Policy()
    world.unsure |= {kinds.AUTH_POLICY}
    before = copy.deepcopy(world.service["status"])
    assert world.reconcile() == []
    assert world.retry
    assert status.status_equal(world.service["status"], before)
    fresh = RouterWorld(policy=Policy(), unsure=frozenset({kinds.AUTH_POLICY}))
    fresh.reconcile()
    assert ROUTE not in fresh.objects


def test_scenario_42_the_first_address_of_the_gateway_fills_url_and_addresses() -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY))
    world.reconcile()
    assert not {"url", "addresses"} & set(world.service["status"])
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1"))
    world.reconcile()
    assert world.service["status"]["url"] == f"http://203.0.113.1/{NS}/{SVC}"
    assert world.service["status"]["addresses"] == [{"url": f"http://203.0.113.1/{NS}/{SVC}"}]


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
        f"The following Gateways are not ready: [{NS}/a {NS}/z]",
    )
    before = copy.deepcopy(world.service)
    world.reconcile()
    assert world.service == before


@pytest.mark.parametrize(("router", "ready"), [("True", "Unknown"), ("False", "False")])
def test_scenario_45_a_combination_that_fails_leaves_the_mark_of_the_new_generation(
    router: str, ready: str
) -> None:
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
    assert (by_type["Ready"]["status"], by_type["Ready"]["reason"]) == (ready, "NewObservedGenFailure")


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


def test_a_gateway_that_does_not_exist_stops_the_router_before_anything_is_written() -> None:
    world = RouterWorld(with_gateway_refs("nowhere", "there"))
    world.reconcile()
    assert world.writes == []
    found = world.condition("GatewaysReady")
    assert (found["reason"], found["message"]) == (
        "RefsInvalid",
        f"Gateway {NS}/nowhere does not exist; Gateway {NS}/there does not exist",
    )
    assert world.condition("Ready")["message"] == found["message"]


def test_the_effective_parents_are_validated_not_those_that_gateway_refs_replace() -> None:
    world = RouterWorld(with_gateway_refs("a"))
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1"))
    del world.objects[ObjectRef(kinds.GATEWAY, *GATEWAY)]
    world.reconcile()
    assert world.error == ""
    assert ROUTE in world.objects


def test_a_managed_route_to_a_missing_gateway_is_named() -> None:
    world = RouterWorld()
    del world.objects[ObjectRef(kinds.GATEWAY, *GATEWAY)]
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == (
        "Managed HTTPRoute references non-existent Gateway kserve/kserve-ingress-gateway"
    )


@pytest.mark.parametrize(
    ("parents", "text"),
    [
        ([], f"HTTPRoute {NS}/mine has no parent gateway references"),
        ([{"name": "gone"}], f"HTTPRoute {NS}/mine references non-existent Gateway {NS}/gone"),
    ],
)
def test_parents_of_referenced_routes_are_validated(parents: list[Any], text: str) -> None:
    world = RouterWorld(copy.deepcopy(REFERENCED))
    world.put(kinds.HTTP_ROUTE, {**user_route(), "spec": {"parentRefs": parents}})
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == f"HTTPRoute target validation failed: {text}"


def test_a_read_that_is_unknown_in_the_validation_makes_the_reconcile_wait() -> None:
    world = RouterWorld()
    world.unknown[ObjectRef(kinds.GATEWAY, *GATEWAY)] = "not synced"
    assert world.reconcile() == []
    assert world.retry
    assert world.condition("HTTPRoutesReady") == {}
    assert world.status_of("RouterReady") == "Unknown"


@pytest.mark.parametrize(
    ("router", "text"),
    [
        (
            {"route": {}, "gateway": {"refs": "kserve"}},
            "spec.router.gateway.refs: expected a list, got string",
        ),
        (
            {"route": {}, "gateway": {"refs": [{"name": 1}]}},
            "spec.router.gateway.refs[0].name: expected a string",
        ),
        (
            {"route": {"http": {"refs": ["mine"]}}},
            "spec.router.route.http.refs[0]: expected an object, got string",
        ),
        ({"gateway": []}, "spec.router.gateway: expected an object, got list"),
        (
            {"route": {}, "scheduler": {"pool": {"spec": {"targetPorts": [{"number": "x"}]}}}},
            "spec.router.scheduler.pool.spec.targetPorts[0].number: expected an integer, got string",
        ),
        (
            {"route": {}, "scheduler": {"pool": {"spec": {"targetPorts": [8000]}}}},
            "spec.router.scheduler.pool.spec.targetPorts[0]: expected an object, got integer",
        ),
    ],
)
def test_a_field_of_the_wrong_type_is_named_in_a_condition(router: dict[str, Any], text: str) -> None:
    world = RouterWorld(router)
    world.reconcile()
    assert text in world.condition("Ready")["message"]


def test_a_route_nobody_speaks_of_is_shown_with_its_status() -> None:
    world = RouterWorld()
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == (
        f"The following HTTPRoutes are not ready: [{NS}/{ROUTE.name}: {{}}]"
    )


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ([], f"Neither v1 nor v1alpha2 InferencePool {NS}/{POOL} is ready"),
        (
            [condition("Accepted", "False", "No", message="not mine")],
            (
                f'Neither v1 nor v1alpha2 InferencePool is ready. v1 status: {NS}/{POOL}: Accepted="False" '
                '(reason "No", message "not mine")'
            ),
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
    assert world.condition("InferencePoolReady").get("reason", "") == (
        "" if ready else "InferencePoolFetchError"
    )
    assert world.condition("RouterReady").get("reason", "") == ("" if ready else "InferencePoolFetchError")


def test_without_a_router_the_addresses_are_those_of_the_workload() -> None:
    world = RouterWorld(None)
    world.reconcile()
    assert world.service["status"]["addresses"] == [
        {"url": f"https://svc-kserve-workload-svc.{NS}.svc.cluster.local"}
    ]
    assert "url" not in world.service["status"]
    assert [world.status_of(type_) for type_ in ("HTTPRoutesReady", "InferencePoolReady", "RouterReady")] == [
        "True"
    ] * 3


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
    assert ROUTE in world.objects
    assert world.condition("HTTPRoutesReady")["message"] == (
        f"Failed to reconcile HTTPRoute: failed to discover URL for route {NS}/{ROUTE.name}: failed to discover "
        'gateways: failed to get GatewayClass "none" for gateway kserve/kserve-ingress-gateway: '
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
