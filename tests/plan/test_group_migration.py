"""Traffic groups: of which generation a route's pools are, and how it moves when it leads to the pools of others.

Rules: GROUP-4, GROUP-5.
"""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectRef
from aioctl.plan.policy import Strategy
from tests.plan.group_world import OWN, TWO, accept_pools, degraded, grouped, join, peer, shares
from tests.plan.router_world import (
    GATEWAY,
    INVALID_KIND,
    NS,
    ROUTE,
    RouterWorld,
    accepted,
    condition,
    parent,
)
from tests.plan.test_hearsay import others_route


def test_the_route_moves_when_the_pool_of_every_member_is_ready_and_locks_then() -> None:
    world = join(grouped(), peer("two"), peer("three", stopped=True))
    world.reconcile()
    assert (shares(world), world.a) == ([OWN, TWO], None)
    accept_pools(world, "svc")
    assert world.plan_route() == [], "the pool of another member cannot take its part yet"
    accept_pools(world, "two")
    world.reconcile()
    assert {kind for rule in (0, 1, 2) for kind, _, _ in shares(world, rule)} == {"v1"}
    assert world.a == "v1"
    assert [weight for _, _, weight in shares(world)] == [70, 30]


@pytest.mark.parametrize("strategy", ["weighted", "swap", "hold"])
def test_no_rule_of_a_group_has_both_generations(strategy: str) -> None:
    world = join(grouped(), peer("two"))
    world.annotate(names.MIGRATION_STRATEGY, strategy)
    world.reconcile()
    for rule in (0, 1, 2):
        assert {kind for kind, _, _ in shares(world, rule)} == {"x"}


def test_a_member_that_joins_a_route_that_has_moved_enters_with_v1_in_one_write() -> None:
    world = grouped()
    world.reconcile()
    accept_pools(world, "svc")
    world.reconcile()
    assert world.a == "v1"
    join(world, peer("two"))
    assert [write.ref for write in world.reconcile()] == [ROUTE]
    assert shares(world) == [("v1", "svc-inference-pool", 70), ("v1", "two-inference-pool", 30)]


def test_a_member_without_a_pool_of_the_generation_is_left_out_and_named() -> None:
    world = grouped()
    world.reconcile()
    accept_pools(world, "svc")
    world.reconcile()
    join(world, peer("two"))
    del world.objects[ObjectRef(kinds.POOL_V1, NS, "two-inference-pool")]
    world.reconcile()
    assert shares(world) == [("v1", "svc-inference-pool", 70)]
    said = "member two has no InferencePool of group inference.networking.k8s.io"
    assert degraded(world) == ("True", "MemberPoolGeneration", said)
    join(world, peer("other", models=("o",)))
    world.reconcile()
    assert degraded(world)[1] == "MemberDivergence"


def test_where_v1alpha2_is_refused_a_route_waits_for_no_member_whose_v1_pool_is_not_there() -> None:
    """It would have nothing to lose with the others: every request fails where they are."""
    world = join(grouped(), peer("two"), peer("ext", external="ext"))
    world.policy = replace(world.policy, strategy=Strategy.AUTO)
    world.reconcile()
    del world.objects[ObjectRef(kinds.POOL_V1, NS, "ext")]
    world.route_status(parent(*GATEWAY, INVALID_KIND))
    world.put(kinds.HTTP_ROUTE, others_route([(POOL_GROUP_V1, 1)], accepted()))
    world.reconcile()
    assert (shares(world), world.a) == ([ONLY, ("v1", "two-inference-pool", 30)], "v1")
    assert degraded(world)[:2] == ("True", "MemberPoolGeneration")


def alone_in_v1alpha2(world: RouterWorld) -> None:
    """Adds member `two`, behind a pool that its user has made in v1alpha2 alone."""
    join(world, peer("two", external="ext", pool=False))
    del world.objects[ObjectRef(kinds.POOL_V1, NS, "ext")]


def moved() -> RouterWorld:
    world = grouped()
    world.reconcile()
    accept_pools(world, "svc")
    world.reconcile()
    assert world.a == "v1"
    return world


BOTH_WAYS = [(POOL_GROUP_V1, 0), (POOL_GROUP_V1ALPHA2, 1)]

EXT = ("x", "ext", 30)

ONLY = ("v1", "svc-inference-pool", 70)


@pytest.mark.parametrize(
    ("others", "members"),
    [
        (None, [ONLY]),
        (others_route(BOTH_WAYS, accepted()), [ONLY, EXT]),
        (others_route(BOTH_WAYS, INVALID_KIND), [ONLY]),
        (others_route([(POOL_GROUP_V1ALPHA2, 1)], accepted()), [ONLY]),
    ],
)
def test_a_member_in_the_other_generation_takes_part_where_every_gateway_is_known_to_take_both(
    others: dict[str, Any] | None, members: list[Any]
) -> None:
    world = moved()
    if others is not None:
        world.put(kinds.HTTP_ROUTE, others)
    alone_in_v1alpha2(world)
    world.reconcile()
    assert shares(world) == members
    assert (degraded(world)[1] == "") == (EXT in members)
    assert world.plan_route() == []


def test_it_stays_until_the_gateway_refuses_what_the_route_has_and_comes_back_when_that_is_known_again() -> (
    None
):
    world = moved()
    word = others_route(BOTH_WAYS, accepted())
    world.put(kinds.HTTP_ROUTE, word)
    alone_in_v1alpha2(world)
    world.reconcile()
    del world.objects[ObjectRef(kinds.HTTP_ROUTE, "elsewhere", "other-kserve-route")]
    for said in (None, accepted(), [condition("ResolvedRefs", "False", "BackendNotFound")]):
        world.route_status(*([parent(*GATEWAY, said)] if said else []))
        assert world.plan_route() == [], said
    world.route_status(parent(*GATEWAY, INVALID_KIND))
    world.reconcile()
    assert shares(world) == [ONLY]
    assert degraded(world)[1] == "MemberPoolGeneration"
    world.put(kinds.HTTP_ROUTE, word)
    world.route_status(parent(*GATEWAY, accepted()))
    world.reconcile()
    assert shares(world) == [ONLY, EXT]


@pytest.mark.parametrize(("says", "members"), [(accepted(), [OWN, ("v1", "ext", 30)]), (INVALID_KIND, [OWN])])
def test_so_does_one_in_v1_alone_on_a_route_that_has_not_moved(says: Any, members: list[Any]) -> None:
    world = grouped()
    world.annotate(names.MIGRATION, "paused")
    world.put(kinds.HTTP_ROUTE, others_route(BOTH_WAYS, says))
    join(world, peer("two", external="ext", pool=False))
    del world.objects[ObjectRef(kinds.POOL_V1ALPHA2, NS, "ext")]
    world.reconcile()
    assert (shares(world), world.a) == (members, None)
    assert (degraded(world)[1] == "MemberPoolGeneration") == (members == [OWN])
    accept_pools(world, "svc")
    world.route_status(parent(*GATEWAY, accepted()))
    assert world.reconcile() == [], "what others of the group have says nothing of where this one is"
    world.annotate(names.MIGRATION, None)
    world.pool_status(ObjectRef(kinds.POOL_V1, NS, "ext"), accepted())
    world.reconcile()
    assert (shares(world), world.a) == ([ONLY, ("v1", "ext", 30)], "v1")


def test_the_gateways_are_asked_whether_they_take_both_for_the_sake_of_a_member() -> None:
    """The question goes when the route itself says so; it stays as long as the answer is no."""
    world = moved()
    question = ObjectRef(kinds.HTTP_ROUTE, NS, "svc-aioctl-probe-mixed")
    assert question not in world.objects
    alone_in_v1alpha2(world)
    world.reconcile()
    assert shares(world) == [ONLY]
    asked = world.objects[question]
    (rule,) = asked["spec"]["rules"]
    assert [ref["group"] for ref in rule["backendRefs"]] == [POOL_GROUP_V1, POOL_GROUP_V1ALPHA2]
    world.objects[question] = {**asked, "status": {"parents": [parent(*GATEWAY, INVALID_KIND)]}}
    world.reconcile()
    assert (shares(world), question in world.objects) == ([ONLY], True)
    world.objects[question] = {**asked, "status": {"parents": [parent(*GATEWAY, accepted())]}}
    world.reconcile()
    assert (shares(world), question in world.objects) == ([ONLY, EXT], False)
    assert world.plan_route() == []


def test_a_member_that_has_asked_for_a_scheduler_is_reached_past_it_until_its_pool_is_there() -> None:
    world = join(grouped(), peer("two", pool=False), pools=False)
    world.reconcile()
    assert shares(world) == [OWN, ("svc", "two-kserve-workload-svc", 30)]
    join(world, peer("two", pool=False))
    world.reconcile()
    assert shares(world) == [OWN, TWO]


def test_a_service_without_scheduler_moves_with_the_pools_of_others() -> None:
    world = join(grouped(scheduler=None), peer("two"))
    world.reconcile()
    own = ("svc", "svc-kserve-workload-svc", 70)
    assert shares(world) == [own, TWO]
    accept_pools(world, "two")
    world.reconcile()
    assert (shares(world), world.a) == ([own, ("v1", "two-inference-pool", 30)], "v1")


def test_a_pool_of_the_user_waits_for_those_of_the_others_where_it_can_stay() -> None:
    world = join(grouped(scheduler={"pool": {"ref": {"name": "my-pool"}}}), peer("two"))
    for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
        world.put(kind, {"metadata": {"namespace": NS, "name": "my-pool", "generation": 1}, "spec": {}})
    world.reconcile()
    assert (shares(world), world.a) == ([("x", "my-pool", 70), TWO], None)
    accept_pools(world, "two")
    world.reconcile()
    assert (shares(world), world.a) == ([("v1", "my-pool", 70), ("v1", "two-inference-pool", 30)], "v1")


def test_a_route_that_was_made_by_others_with_two_generations_is_brought_to_one() -> None:
    """KServe leaves x in the rules by path and has v1 in the shared ones before a service moves."""
    world = join(grouped(), peer("two"))
    world.reconcile()

    def upstream(route: Any) -> None:
        for rule in route["spec"]["rules"][1:]:
            rule["backendRefs"] = [{**ref, "group": POOL_GROUP_V1} for ref in rule["backendRefs"]]

    world.edit(ROUTE, upstream)
    world.reconcile()
    assert shares(world) == [OWN, TWO]
    world.edit(ROUTE, upstream)
    accept_pools(world, "svc", "two")
    world.reconcile()
    assert {kind for rule in (0, 1, 2) for kind, _, _ in shares(world, rule)} == {"v1"}
    assert world.a == "v1"


def test_what_is_not_known_moves_nothing() -> None:
    world = join(grouped(), peer("two"))
    world.reconcile()
    accept_pools(world, "svc", "two")
    world.unknown[ObjectRef(kinds.POOL_V1, NS, "two-inference-pool")] = "connection refused"
    assert world.plan_route() == []
    assert shares(world) == [OWN, TWO]
