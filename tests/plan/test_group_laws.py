"""What holds of the route of a member in every state of it, of its pools and of the pools of another member.

Rules: GROUP-2, GROUP-5.
"""

import copy
from itertools import product
from typing import Any, Final

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectRef
from aioctl.plan.lock import has_lock
from tests.plan.group_world import accept_pools, grouped, join, peer
from tests.plan.router_world import NS, ROUTE, SCHEDULER, RouterWorld

POOLS: Final = ("absent", "waiting", "accepted")
LIVE: Final = ("none", "v1alpha2", "both", "locked")
"""The route as it stands. `both`: as KServe leaves it, by path in v1alpha2 and shared in v1."""


def pool_groups(route: Any, rules: slice = slice(None)) -> set[str]:
    return {
        ref["group"]
        for rule in route["spec"]["rules"][rules]
        for ref in rule["backendRefs"]
        if ref["kind"] == "InferencePool"
    }


def set_pool(world: RouterWorld, service: str, state: str) -> None:
    ref = ObjectRef(kinds.POOL_V1, NS, names.default_pool_name(service))
    if state == "absent":
        world.objects.pop(ref, None)
    elif state == "accepted" and ref in world.objects:
        accept_pools(world, service)


def put_live(world: RouterWorld, live: str) -> None:
    """The route in one of its states, written by ourselves and then changed by hand."""
    world.reconcile()
    if live == "none":
        del world.objects[ROUTE]
        return

    def change(route: Any) -> None:
        for rule in route["spec"]["rules"][0 if live == "locked" else 1 :]:
            for ref in rule["backendRefs"]:
                if ref["kind"] == "InferencePool" and live != "v1alpha2":
                    ref["group"] = POOL_GROUP_V1
        if live == "locked":
            route["metadata"].setdefault("annotations", {})[names.MIGRATED] = "v1"

    world.edit(ROUTE, change)


@pytest.mark.parametrize("live", LIVE)
@pytest.mark.parametrize("strategy", ["weighted", "swap", "hold"])
@pytest.mark.parametrize("scheduler", [SCHEDULER, None], ids=["scheduler", "no-scheduler"])
def test_a_route_has_one_generation_and_moves_only_with_every_pool(
    live: str, strategy: str, scheduler: Any
) -> None:
    begun = join(grouped(scheduler=scheduler), peer("two"))
    begun.annotate(names.MIGRATION_STRATEGY, strategy)
    put_live(begun, live)
    for own, other, old_exists in product(POOLS, POOLS, (True, False)):
        world = copy.deepcopy(begun)
        if scheduler is not None:
            set_pool(world, "svc", own)
        set_pool(world, "two", other)
        if not old_exists:
            del world.objects[ObjectRef(kinds.POOL_V1ALPHA2, NS, "two-inference-pool")]
        case = (own, other, old_exists)
        written = [write.body for write in world.plan_route() if write.body is not None]
        left = [world.objects[ROUTE]] if ROUTE in world.objects else []
        for route in written or left:
            groups = pool_groups(route)
            assert all(len(pool_groups(route, slice(at, at + 1))) <= 1 for at in range(3)), case
            # What is held stays where somebody put it while only v1 can take the traffic.
            kept = strategy == "hold" and live == "both" and route == world.objects[ROUTE]
            assert kept or len(groups) <= 1, case
            assert kept or has_lock(route) or groups <= {POOL_GROUP_V1ALPHA2}, case
            if has_lock(route) and live != "locked":
                ready = [other] if scheduler is None else [own, other]
                assert set(ready) == {"accepted"}, case
                assert strategy != "hold", case
            shared = {
                tuple((ref["name"], ref["weight"]) for ref in rule["backendRefs"])
                for rule in route["spec"]["rules"][1:]
            }
            assert len(shared) == 1, case
            assert all(dict(each).get("two-inference-pool", 30) == 30 for each in shared), case


@pytest.mark.parametrize("unserved", [kinds.POOL_V1, kinds.POOL_V1ALPHA2])
def test_a_cluster_that_serves_one_generation_alone_gets_no_reference_of_the_other(unserved: Any) -> None:
    world = grouped()
    world.unserved |= {unserved}
    join(world, peer("two"))
    world.objects = {ref: obj for ref, obj in world.objects.items() if ref.kind != unserved}
    world.reconcile()
    served = POOL_GROUP_V1 if unserved == kinds.POOL_V1ALPHA2 else POOL_GROUP_V1ALPHA2
    assert pool_groups(world.live) == {served}
    assert [ref["name"] for ref in world.refs(1)] == ["svc-inference-pool", "two-inference-pool"]
    shown = world.service["status"]["router"]["group"]["members"]
    assert {member["backendRef"]["group"] for member in shown} == {served}
