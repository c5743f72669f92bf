"""The question to gateways whether they take both InferencePool generations in one rule, and what follows from the answer (MIG-14)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectRef
from aioctl.plan import probe
from aioctl.plan.forms import PATIENCE, UNASKED
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import Write
from aioctl.plan.observation import GatewayRequest
from aioctl.plan.policy import Policy, Probe, Strategy
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    INVALID_KIND,
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
from tests.plan.test_hearsay import others_route

QUESTION = ObjectRef(kinds.HTTP_ROUTE, NS, f"{SVC}-aioctl-probe-mixed")
V1_QUESTION = ObjectRef(kinds.HTTP_ROUTE, NS, f"{SVC}-aioctl-probe")
AUTO = replace(OPEN, strategy=Strategy.AUTO)
ALONE = [(POOL_GROUP_V1ALPHA2, 100)]
MOVED_ALONE = [(POOL_GROUP_V1, 100)]
BOTH = [(POOL_GROUP_V1, 0), (POOL_GROUP_V1ALPHA2, 100)]
MOVED_BOTH = [(POOL_GROUP_V1, 100), (POOL_GROUP_V1ALPHA2, 0)]
CLASSES = {
    "istio.io/gateway-controller": False,
    "gateway.envoyproxy.io/gatewayclass-controller": False,
    "gateway.nginx.org/nginx-gateway-controller": False,
    "kgateway.dev/kgateway": False,
    "agentgateway.dev/agentgateway": True,
    "example.org/gw": True,
}
"""By controllerName: whether it is asked. Of the others it is known that they do not take both, or resolve what they do not serve."""


def served(
    policy: Policy = AUTO, controller: str = "example.org/gw", *annotations: tuple[str, str]
) -> RouterWorld:
    """A service on v1alpha2, whose gateway serves that and has accepted both pools."""
    world = RouterWorld(policy=policy)
    for key, value in annotations:
        world.annotate(key, value)
    world.put(kinds.GATEWAY_CLASS, {"metadata": {"name": "other"}, "spec": {"controllerName": controller}})
    world.reconcile()
    if ROUTE in world.objects:
        world.objects[ROUTE]["metadata"]["creationTimestamp"] = world.now.isoformat()
        world.accept_route()
        for pool in (ALPHA, V1):
            world.pool_status(pool, accepted())
        look(world)
    return world


def look(world: RouterWorld, after: timedelta = timedelta(0)) -> list[Write]:
    """`reconcile` at that time from now."""
    world.now += after - timedelta(minutes=1)
    return world.reconcile()


def say(world: RouterWorld, ref: ObjectRef, conditions: list[dict[str, Any]]) -> None:
    world.objects[ref] = {**world.objects[ref], "status": {"parents": [parent(*GATEWAY, conditions)]}}


def carried(world: RouterWorld) -> list[tuple[str, int]]:
    return [(ref["group"], ref.get("weight", 1)) for ref in world.refs()]


def reason(world: RouterWorld) -> str:
    return migration_of(world.ctx).reason.value


def test_a_gateway_that_serves_each_is_asked_about_both_and_the_move_waits() -> None:
    world = served()
    asked = world.objects[QUESTION]
    (rule,) = asked["spec"]["rules"]
    assert [(ref["group"], ref["name"]) for ref in rule["backendRefs"]] == [
        (POOL_GROUP_V1, "svc-inference-pool"),
        (POOL_GROUP_V1ALPHA2, "svc-inference-pool"),
    ]
    assert all(ref.get("weight") != 0 for ref in rule["backendRefs"]), "both would carry traffic"
    (hostname,) = asked["spec"]["hostnames"]
    assert hostname.endswith(".aioctl-probe.invalid")
    assert asked["metadata"]["labels"][names.PROBE] == "true"
    assert asked["spec"]["parentRefs"] == world.parents
    assert (carried(world), world.a, reason(world)) == (ALONE, None, "GatewayAsked")
    assert look(world) == [], "it is asked once"


def test_a_yes_puts_both_into_the_route_and_moves_by_weight_once_that_resolves() -> None:
    world = served()
    say(world, QUESTION, accepted())
    world.objects[ROUTE]["status"]["parents"][0]["conditions"] = accepted(observedGeneration=1)
    look(world)
    assert (carried(world), world.a) == (BOTH, None)
    assert QUESTION not in world.objects, "the route says it from now on"
    world.objects[ROUTE]["metadata"]["generation"] = 2
    assert look(world) == []
    assert reason(world) == "GatewayAsked"
    world.accept_route()
    look(world)
    assert (carried(world), world.a, world.copy_of_lock) == (
        MOVED_BOTH,
        "v1",
        "v1",
    )


def test_a_no_moves_with_one_reference_and_says_nothing_of_either_generation() -> None:
    world = served()
    say(world, QUESTION, INVALID_KIND)
    look(world)
    assert (carried(world), world.a) == (MOVED_ALONE, "v1")
    assert QUESTION not in world.objects


def refusing(group: str) -> list[dict[str, Any]]:
    """As istiod says it of a kind that it does not know."""
    message = f'referencing unsupported backendRef: group "{group}" kind "InferencePool"'
    return [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidKind", message=message)]


def test_a_no_that_names_v1_holds_the_move_until_v1_alone_is_answered() -> None:
    """The pool may have been accepted by the gateway before; or the gateway serves each of them, and not both in one rule."""
    world = served()
    say(world, QUESTION, refusing(POOL_GROUP_V1))
    look(world, probe.PATIENCE)
    assert (carried(world), world.a) == (ALONE, None)
    assert {QUESTION, V1_QUESTION} <= world.objects.keys(), "both stand"
    assert look(world) == []
    for answer, moved in ((refusing(POOL_GROUP_V1), ALONE), (accepted(), MOVED_ALONE)):
        say(world, V1_QUESTION, answer)
        look(world)
        assert carried(world) == moved
    assert not {QUESTION, V1_QUESTION} & world.objects.keys()


def test_a_no_that_names_v1alpha2_does_not_hold_the_move() -> None:
    world = served()
    say(world, QUESTION, refusing(POOL_GROUP_V1ALPHA2))
    look(world)
    assert (carried(world), world.a) == (MOVED_ALONE, "v1")
    assert QUESTION not in world.objects


def test_who_says_nothing_is_not_waited_for_long() -> None:
    world = served()
    world.objects[QUESTION]["metadata"]["creationTimestamp"] = world.now.isoformat()
    assert look(world, PATIENCE / 2) == []
    wait = probe.seconds_until(world.ctx, migration_of(world.ctx))
    assert wait == (PATIENCE / 2).total_seconds()
    look(world, PATIENCE)
    assert (carried(world), world.a) == (MOVED_ALONE, "v1")
    assert QUESTION not in world.objects


def test_a_question_that_cannot_be_put_is_not_waited_for_either() -> None:
    world = served()
    del world.objects[QUESTION]
    look(world, UNASKED)
    assert (carried(world), world.a) == (MOVED_ALONE, "v1")


def test_a_service_that_is_kept_from_moving_asks_and_keeps_its_traffic_where_it_is() -> None:
    world = served()
    world.policy = replace(AUTO, turn="others move")
    say(world, QUESTION, INVALID_KIND)
    assert look(world, timedelta(hours=1)) == [], "a no is remembered by the question itself"
    assert (carried(world), reason(world)) == (ALONE, "WaitsForBudget")


@pytest.mark.parametrize("controller", CLASSES)
def test_a_class_that_is_known_not_to_take_both_is_not_asked(controller: str) -> None:
    world = served(controller=controller)
    assert (QUESTION in world.objects) is CLASSES[controller]
    assert (world.a is None) is CLASSES[controller]


@pytest.mark.parametrize("answers", [True, False])
def test_with_requests_one_that_resolves_what_it_does_not_serve_is_asked_as_well(*, answers: bool) -> None:
    world = served(replace(AUTO, probe=Probe.TRAFFIC), "kgateway.dev/kgateway")
    (host,) = world.objects[QUESTION]["spec"]["hostnames"]
    request = GatewayRequest("http://203.0.113.1:80/v1/models", host, "other//0")
    say(world, QUESTION, accepted())
    world.reached = frozenset({request}) if answers else frozenset()
    look(world)
    assert carried(world) == (MOVED_BOTH if answers else ALONE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (names.MIGRATION, "paused"),
        (names.MIGRATION_STRATEGY, "hold"),
        (names.MIGRATION_STRATEGY, "weighted"),
        (names.MIGRATION_STRATEGY, "swap"),
        (names.STOP, "true"),
    ],
)
def test_nothing_is_asked_where_nothing_would_follow(key: str, value: str) -> None:
    assert QUESTION not in served(AUTO, "example.org/gw", (key, value)).objects


@pytest.mark.parametrize("kind", [kinds.POOL_V1, kinds.POOL_V1ALPHA2])
def test_nothing_is_asked_where_the_cluster_has_one_generation(kind: Any) -> None:
    world = RouterWorld(policy=AUTO)
    world.unserved |= {kind}
    look(world)
    world.accept_route()
    look(world)
    assert QUESTION not in world.objects


def test_others_hear_the_answer_and_do_not_ask() -> None:
    world = served()
    both = [(POOL_GROUP_V1, 1), (POOL_GROUP_V1ALPHA2, 1)]
    world.put(kinds.HTTP_ROUTE, others_route(both, None, asks=True))
    look(world)
    assert QUESTION not in world.objects, "the first by name asks"
    assert look(world) == []
    assert reason(world) == "GatewayAsked"
    world.put(kinds.HTTP_ROUTE, others_route(both, accepted(), asks=True))
    look(world)
    assert carried(world) == MOVED_BOTH
