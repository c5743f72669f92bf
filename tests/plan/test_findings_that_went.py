"""What a condition said before goes when it is no longer so, whatever else fails meanwhile."""

import copy

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan.policy import Policy
from tests.plan.router_world import (
    ALPHA,
    MANAGED,
    NS,
    ROUTE,
    SCHEDULER,
    V1,
    RouterWorld,
    gateway,
    with_gateway_refs,
)


def test_a_missing_gateway_that_came_is_not_named_while_a_later_check_fails() -> None:
    world = RouterWorld({**copy.deepcopy(MANAGED), **with_gateway_refs("a"), "scheduler": SCHEDULER})
    world.reconcile()
    assert world.condition("GatewaysReady")["reason"] == "RefsInvalid"
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1"))
    world.edit_router({"route": {"http": {"refs": [{"name": "mine"}]}}, "gateway": {"refs": [{"name": "a"}]}})
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["reason"] == "RefsInvalid"
    assert world.condition("GatewaysReady") == {}


def test_a_missing_route_that_came_is_not_named_while_an_earlier_check_fails() -> None:
    world = RouterWorld({"route": {"http": {"refs": [{"name": "mine"}, {"name": "other"}]}}})
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"].count("does not exist") == 2
    ref = ObjectRef(kinds.HTTP_ROUTE, NS, "mine")
    world.put(
        kinds.HTTP_ROUTE,
        {"metadata": {"namespace": NS, "name": "mine"}, "spec": {"parentRefs": [{"name": "a"}]}},
    )
    world.router = {**(world.router or {}), "gateway": {"refs": [{"name": "nowhere"}]}}
    world.reconcile()
    assert world.condition("GatewaysReady")["reason"] == "RefsInvalid"
    assert world.condition("HTTPRoutesReady")["message"] == f"HTTPRoute {NS}/other does not exist"
    world.put(
        kinds.HTTP_ROUTE, {"metadata": {"namespace": NS, "name": "other"}, "spec": world.objects[ref]["spec"]}
    )
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1"))
    world.reconcile()
    assert world.condition("HTTPRoutesReady") == {}


def test_a_gateway_that_is_programmed_is_not_named_while_another_reference_is_missing() -> None:
    world = RouterWorld(with_gateway_refs("a"))
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1", programmed="False"))
    world.reconcile()
    assert world.condition("GatewaysReady")["reason"] == "GatewaysNotReady"
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1"))
    world.router = {**(world.router or {}), "route": {"http": {"refs": [{"name": "mine"}]}}}
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["reason"] == "RefsInvalid"
    assert world.status_of("GatewaysReady") == "True"


def test_what_cannot_be_read_now_does_not_keep_the_status_from_being_concluded() -> None:
    world = RouterWorld()
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["reason"] == "HTTPRoutesNotReady"
    del world.objects[ROUTE]
    world.unknown = {V1: "not synced", ALPHA: "not synced"}
    world.edit_router(with_gateway_refs("nowhere"))
    world.reconcile()
    assert world.condition("GatewaysReady")["reason"] == "RefsInvalid"
    assert "it does not exist yet; awaited: its creation" in world.condition("HTTPRoutesReady")["message"]


def test_an_authpolicy_crd_that_came_is_not_missed_while_a_reference_is() -> None:
    world = RouterWorld(policy=Policy(auth_disabled=False))
    world.unserved |= {kinds.AUTH_POLICY}
    world.reconcile()
    assert "AuthPolicy CRD is not available" in world.condition("HTTPRoutesReady")["message"]
    world.unserved -= {kinds.AUTH_POLICY}
    world.edit_router(with_gateway_refs("nowhere"))
    world.reconcile()
    assert world.condition("GatewaysReady")["reason"] == "RefsInvalid"
    assert world.condition("HTTPRoutesReady").get("reason") != "HTTPRouteReconcileError"
