"""`status.router` (TOPO-1)."""

import copy
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from tests.plan.router_world import (
    GATEWAY,
    MANAGED,
    NS,
    V1,
    RouterWorld,
    accepted,
    gateway,
    user_route,
)

GROUP = "gateway.networking.k8s.io"
PICKER = {
    "inferencePool": {
        "group": "inference.networking.k8s.io",
        "kind": "InferencePool",
        "name": "svc-inference-pool",
    },
    "service": {"group": "", "kind": "Service", "name": "svc-epp-service"},
}


def reference(kind: str, namespace: str, name: str) -> dict[str, str]:
    return {"group": GROUP, "kind": kind, "name": name, "namespace": namespace}


DEFAULT = {
    **reference("Gateway", *GATEWAY),
    "httpRoutes": [reference("HTTPRoute", NS, "svc-kserve-route")],
}


def topology(world: RouterWorld) -> Any:
    return world.service["status"].get("router")


def test_it_stays_byte_for_byte_the_same_while_traffic_moves() -> None:
    world = RouterWorld()
    world.reconcile()
    world.reconcile()
    before = copy.deepcopy({**world.service["status"], "conditions": []})
    assert topology(world) == {"gateways": [DEFAULT], "scheduler": PICKER}
    world.pool_status(V1, accepted())
    world.accept_route()
    world.reconcile()
    assert world.a == "v1"
    after = copy.deepcopy({**world.service["status"], "conditions": []})
    assert after["annotations"].pop(names.MIGRATED) == "v1"
    assert after == before


@pytest.mark.parametrize(
    ("unserved", "group"),
    [
        (kinds.POOL_V1ALPHA2, "inference.networking.k8s.io"),
        (kinds.POOL_V1, "inference.networking.x-k8s.io"),
    ],
)
def test_the_pool_is_named_in_the_old_group_only_where_nothing_else_is_served(
    unserved: kinds.Kind, group: str
) -> None:
    world = RouterWorld()
    world.unserved |= {unserved}
    world.reconcile()
    assert topology(world)["scheduler"]["inferencePool"]["group"] == group


def test_gateways_and_routes_are_sorted_and_listeners_named_once() -> None:
    world = RouterWorld({"route": {"http": {"refs": [{"name": "mine"}, {"name": "also"}]}}})
    for name, parents in {
        "mine": [{"name": "b", "sectionName": "z"}, {"name": "b", "sectionName": "a"}, {"name": "a"}],
        "also": [{"name": "b", "sectionName": "a"}, {"name": "x", "namespace": "aa"}],
    }.items():
        made = user_route()
        made["metadata"]["name"] = name
        made["spec"]["parentRefs"] = parents
        world.put(kinds.HTTP_ROUTE, made)
    for key in ((NS, "a"), (NS, "b"), ("aa", "x")):
        listeners = [{"name": name, "port": 80, "protocol": "HTTP"} for name in ("a", "z")]
        world.put(kinds.GATEWAY, gateway(*key, listeners=listeners))
    world.reconcile()
    also, mine = (reference("HTTPRoute", NS, name) for name in ("also", "mine"))
    assert topology(world) == {
        "gateways": [
            {**reference("Gateway", "aa", "x"), "httpRoutes": [also]},
            {**reference("Gateway", NS, "a"), "httpRoutes": [mine]},
            {**reference("Gateway", NS, "b"), "listeners": ["a", "z"], "httpRoutes": [also, mine]},
        ]
    }


@pytest.mark.parametrize("ended", ["stopped", "no route", "no router"])
def test_it_goes_with_the_route(ended: str) -> None:
    world = RouterWorld()
    world.migrated()
    if ended == "stopped":
        world.annotate(names.STOP, "true")
    else:
        world.edit_router(None if ended == "no router" else {"scheduler": MANAGED["scheduler"]})
    world.reconcile()
    assert topology(world) is None


def test_the_picker_leaves_with_the_scheduler() -> None:
    world = RouterWorld()
    world.migrated()
    world.edit_router({"route": {}})
    world.reconcile()
    assert topology(world) == {"gateways": [DEFAULT]}


def test_a_pool_of_the_user_is_named_once_it_has_been_seen_and_until_then_nothing_or_what_was() -> None:
    def external(world: RouterWorld) -> None:
        world.edit_router({**MANAGED, "scheduler": {"pool": {"ref": {"name": "ext"}}}})
        world.reconcile()

    new, old = RouterWorld(), RouterWorld()
    old.reconcile()
    for world, before in ((new, None), (old, PICKER)):
        external(world)
        assert topology(world).get("scheduler") == before
    pool = {"metadata": {"namespace": NS, "name": "ext", "generation": 1}, "spec": {}}
    named = {**PICKER, "inferencePool": {**PICKER["inferencePool"], "name": "ext"}}
    for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
        world = RouterWorld()
        external(world)
        world.put(kind, pool)
        world.reconcile()
        seen = topology(world)["scheduler"]["inferencePool"]
        assert seen == named["inferencePool"]
        del world.objects[ObjectRef(kind, NS, "ext")]
        world.reconcile()
        assert topology(world)["scheduler"]["inferencePool"] == seen
