"""Gateways and routes that are referred to are validated before anything is written (COND-5).

Rules: REF-1.
"""

import copy
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan.model import Verb
from tests.plan.router_world import (
    GATEWAY,
    NS,
    REFERENCED,
    ROUTE,
    RouterWorld,
    condition,
    gateway,
    user_route,
    with_gateway_refs,
)


def test_scenario_36_a_missing_route_that_comes_replaces_refs_invalid_by_its_readiness() -> None:
    world = RouterWorld(copy.deepcopy(REFERENCED))
    world.reconcile()
    found = world.condition("HTTPRoutesReady")
    assert (found["reason"], found["message"]) == ("RefsInvalid", f"HTTPRoute {NS}/mine does not exist")
    world.put(kinds.HTTP_ROUTE, user_route(condition("Accepted", "False", "NoMatchingParent")))
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == (
        f'The following HTTPRoutes are not ready: [{NS}/mine: "False" (reason "NoMatchingParent", message "")]. '
        f"{NS}/mine: Accepted from Gateway kserve/kserve-ingress-gateway that names no generation; "
        'awaited: Accepted="True"'
    )


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


@pytest.mark.parametrize("router", [None, REFERENCED], ids=["no router", "routes of the user"])
def test_a_managed_route_that_is_not_wanted_goes_and_a_failure_says_so_once(router: Any) -> None:
    world = RouterWorld()
    world.put(kinds.HTTP_ROUTE, user_route())
    world.reconcile()
    world.edit_router(copy.deepcopy(router))
    world.reconcile()
    (removal,) = (each for each in world.writes if (each.verb, each.ref) == (Verb.DELETE, ROUTE))
    assert removal.error == f"failed to delete {kinds.HTTP_ROUTE.type_name} {ROUTE.namespace}/{ROUTE.name}: "
