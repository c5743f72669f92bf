"""The question to gateways whether they serve v1, and what follows from the answer (MIG-8)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan import probe
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import Verb
from aioctl.plan.policy import Policy, Probe, Strategy
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    NS,
    OPEN,
    ROUTE,
    SVC,
    V1,
    RouterWorld,
    accepted,
    condition,
    parent,
)

QUESTION = ObjectRef(kinds.HTTP_ROUTE, NS, f"{SVC}-aioctl-probe")
AUTO = replace(OPEN, strategy=Strategy.AUTO)


def refusal(group: str) -> list[dict[str, Any]]:
    said = f'referencing unsupported backendRef: group "{group}" kind "InferencePool"'
    return [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidKind", message=said)]


NO_V1, NO_OLD = refusal(kinds.POOL_GROUP_V1), refusal(kinds.POOL_GROUP_V1ALPHA2)


def started(policy: Policy = AUTO) -> RouterWorld:
    """A service on v1alpha2, of which no gateway has said anything."""
    world = RouterWorld(policy=policy)
    world.reconcile()
    created = world.now.isoformat()
    world.objects[ROUTE]["metadata"]["creationTimestamp"] = created
    return world


def say(world: RouterWorld, ref: ObjectRef, conditions: list[dict[str, Any]]) -> None:
    world.objects[ref] = {**world.objects[ref], "status": {"parents": [parent(*GATEWAY, conditions)]}}


def test_auto_writes_one_reference_to_gateways_it_knows_nothing_of() -> None:
    world = started()
    assert [ref["group"] for ref in world.refs()] == [kinds.POOL_GROUP_V1ALPHA2]
    assert QUESTION not in world.objects


@pytest.mark.parametrize("strategy", [Strategy.AUTO, Strategy.SWAP, Strategy.WEIGHTED])
def test_a_gateway_that_refuses_v1alpha2_is_asked_at_once_and_a_yes_moves_traffic(strategy: Strategy) -> None:
    world = started(replace(OPEN, strategy=strategy))
    say(world, ROUTE, NO_OLD)
    world.reconcile()
    asked = world.objects[QUESTION]
    (rule,) = asked["spec"]["rules"]
    assert [(ref["group"], ref["name"]) for ref in rule["backendRefs"]] == [
        (kinds.POOL_GROUP_V1, "svc-inference-pool")
    ]
    (hostname,) = asked["spec"]["hostnames"]
    assert hostname.endswith(".aioctl-probe.invalid")
    assert asked["metadata"]["labels"][names.PROBE] == "true"
    assert asked["spec"]["parentRefs"] == world.parents
    assert (world.a, world.copy_of_lock) == (None, None)
    assert world.reconcile() == [], "it is asked once"
    say(world, QUESTION, accepted())
    writes = world.reconcile()
    assert (world.a, world.copy_of_lock) == ("v1", "v1")
    assert [(write.verb, write.ref) for write in writes] == [
        (Verb.UPDATE, ROUTE),
        (Verb.DELETE, QUESTION),
    ]


def test_a_gateway_that_refuses_both_is_said_so_and_the_question_stands_until_it_learns_v1() -> None:
    world = started()
    say(world, ROUTE, NO_OLD)
    world.reconcile()
    say(world, QUESTION, NO_V1)
    world.reconcile()
    assert world.condition("InferencePoolMigration")["reason"] == "GatewayServesNoPool"
    assert (world.a, world.copy_of_lock) == (None, None)
    assert QUESTION in world.objects
    say(world, QUESTION, accepted())
    world.reconcile()
    assert world.copy_of_lock == "v1"
    assert QUESTION not in world.objects


def test_where_v1alpha2_is_served_it_is_asked_after_a_minute() -> None:
    world = started()
    say(world, ROUTE, accepted())
    world.now -= timedelta(seconds=30)
    wait = probe.seconds_until(world.ctx, migration_of(world.ctx))
    assert wait is not None
    assert 0 < wait <= 90
    world.now += timedelta(seconds=90)
    world.reconcile()
    assert QUESTION in world.objects
    assert probe.seconds_until(world.ctx, migration_of(world.ctx)) is None
    say(world, QUESTION, accepted())
    world.reconcile()
    assert world.a == "v1", "a gateway that says nothing of pools and resolves v1"


def test_the_question_goes_when_the_pool_s_own_status_is_the_answer() -> None:
    world = started()
    say(world, ROUTE, NO_OLD)
    world.reconcile()
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.a == "v1"
    assert QUESTION not in world.objects


def test_a_gateway_that_knows_v1alpha2_only_keeps_the_traffic_there_without_complaint() -> None:
    world = started()
    say(world, ROUTE, accepted())
    world.pool_status(ALPHA, accepted())
    world.now += timedelta(minutes=5)
    world.reconcile()
    say(world, QUESTION, NO_V1)
    world.reconcile()
    assert world.a is None
    assert world.condition("InferencePoolMigration") == {}
    assert world.status_of("HTTPRoutesReady") == "True"


@pytest.mark.parametrize(
    ("key", "value"), [(names.MIGRATION, "paused"), (names.MIGRATION_STRATEGY, "hold"), (names.STOP, "true")]
)
def test_nothing_is_asked_while_the_service_is_held_or_stopped(key: str, value: str) -> None:
    world = started()
    say(world, ROUTE, NO_OLD)
    world.reconcile()
    assert QUESTION in world.objects
    world.annotate(key, value)
    world.reconcile()
    assert QUESTION not in world.objects


def test_nothing_is_asked_when_it_is_switched_off() -> None:
    world = started(replace(AUTO, probe=Probe.OFF))
    say(world, ROUTE, NO_OLD)
    world.reconcile()
    assert QUESTION not in world.objects
    assert world.a is None


def test_weighted_asks_nothing_where_v1alpha2_is_served() -> None:
    world = started(replace(OPEN, strategy=Strategy.WEIGHTED))
    say(world, ROUTE, accepted())
    world.now += timedelta(minutes=5)
    world.reconcile()
    assert QUESTION not in world.objects


def test_a_live_route_with_both_stays_so_until_a_gateway_refuses_it() -> None:
    world = started(replace(OPEN, strategy=Strategy.WEIGHTED))
    world.policy = AUTO
    say(world, ROUTE, accepted())
    world.reconcile()
    assert world.w == (0, 100)
    say(world, ROUTE, NO_OLD)
    world.reconcile()
    assert [ref["group"] for ref in world.refs()] == [kinds.POOL_GROUP_V1ALPHA2]


def test_one_crd_alone_leaves_no_reference_to_the_other_generation() -> None:
    for absent, present in ((kinds.POOL_V1, kinds.POOL_V1ALPHA2), (kinds.POOL_V1ALPHA2, kinds.POOL_V1)):
        world = RouterWorld(policy=AUTO)
        world.unserved |= {absent}
        world.reconcile()
        assert {ref["group"] for ref in world.refs()} == {present.group}
        assert (world.a == "v1") is (present is kinds.POOL_V1)
        assert QUESTION not in world.objects


@pytest.mark.parametrize("strategy", [Strategy.AUTO, Strategy.SWAP, Strategy.WEIGHTED])
def test_the_move_changes_nothing_in_the_status_but_conditions_and_the_lock(strategy: Strategy) -> None:
    """Who reads where a service is reached sees the same before, during and after it."""
    world = started(replace(OPEN, strategy=strategy))
    world.accept_route()
    world.reconcile()
    before = world.service["status"]
    assert before["addresses"]
    assert before["router"]["scheduler"]["inferencePool"]["group"] == kinds.POOL_GROUP_V1
    world.pool_status(V1, accepted())
    world.reconcile()
    assert world.a == "v1"
    world.accept_route()
    world.reconcile()
    after = world.service["status"]
    changes = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changes <= {"conditions", "annotations"}
    assert after["annotations"][names.MIGRATED] == "v1"
