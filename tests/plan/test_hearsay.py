"""What routes of other services say of a gateway, and what a new service makes of it (MIG-12)."""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey, ObjectRef
from aioctl.plan import probe, route_readiness
from aioctl.plan.evidence import words_of
from aioctl.plan.hearsay import ASKS, BOTH, Word
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.policy import Probe, Strategy
from tests.plan.router_world import (
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
    pool_ref,
)

AUTO = replace(OPEN, strategy=Strategy.AUTO)
QUESTION = ObjectRef(kinds.HTTP_ROUTE, NS, f"{SVC}-aioctl-probe")
PLACE = ObjectKey(*GATEWAY)
ON_V1, ON_OLD = [(POOL_GROUP_V1, 1)], [(POOL_GROUP_V1ALPHA2, 1)]
NOT_FOUND = [condition("ResolvedRefs", "False", "BackendNotFound")]


def others_route(
    refs: list[tuple[str, int]], says: list[dict[str, Any]] | None, *, name: str = "other", asks: bool = False
) -> dict[str, Any]:
    """A managed route of another service on the same gateway, or its probe."""
    suffix = "aioctl-probe" if asks else "kserve-route"
    owner = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "name": name,
        "uid": name,
    }
    return {
        "metadata": {
            "namespace": "elsewhere",
            "name": f"{name}-{suffix}",
            "generation": 1,
            "labels": {names.PROBE: "true"} if asks else {},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {
            "parentRefs": [{"namespace": GATEWAY[0], "name": GATEWAY[1]}],
            "rules": [
                {"backendRefs": [pool_ref(group, f"{name}-pool", weight=weight) for group, weight in refs]}
            ],
        },
        "status": {"parents": [parent(*GATEWAY, says)] if says is not None else []},
    }


@pytest.mark.parametrize(
    ("refs", "says", "said"),
    [
        (ON_V1, accepted(), {(POOL_GROUP_V1, True)}),
        (ON_V1, INVALID_KIND, {(POOL_GROUP_V1, False)}),
        (ON_OLD, accepted(), {(POOL_GROUP_V1ALPHA2, True)}),
        (ON_OLD, INVALID_KIND, {(POOL_GROUP_V1ALPHA2, False)}),
        ([*ON_V1, (POOL_GROUP_V1ALPHA2, 0)], accepted(), {(POOL_GROUP_V1, True)}),
        ([(POOL_GROUP_V1, 0), *ON_OLD], accepted(), {(POOL_GROUP_V1ALPHA2, True), (BOTH, True)}),
        ([*ON_V1, *ON_OLD], accepted(), {(BOTH, True)}),
        ([*ON_V1, *ON_OLD], INVALID_KIND, {(BOTH, False)}),
        (ON_V1, NOT_FOUND, set()),
        (ON_V1, accepted(observedGeneration=0), {(POOL_GROUP_V1, True)}),
        (ON_V1, None, set()),
        ([], accepted(), set()),
    ],
)
def test_a_route_says_of_its_gateways_what_its_references_show(
    refs: list[tuple[str, int]], says: list[dict[str, Any]] | None, said: set[tuple[str, bool]]
) -> None:
    found = set(words_of(others_route(refs, says)))
    assert found == {Word(PLACE, about, serves, asked=False) for about, serves in said}


def test_a_route_of_nobody_says_nothing_and_a_probe_that_it_asks() -> None:
    strange = others_route(ON_V1, accepted())
    del strange["metadata"]["ownerReferences"]
    assert not list(words_of(strange))
    assert list(words_of(others_route(ON_V1, None, asks=True))) == [
        Word(PLACE, ASKS, serves=True, asked=True)
    ]


def stale(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    route = others_route(ON_V1, [{**each, "observedGeneration": 1} for each in conditions])
    route["metadata"]["generation"] = 2
    return route


def test_what_was_said_of_an_older_generation_is_not_heard() -> None:
    assert not list(words_of(stale(accepted())))


# -- what follows for a new service


def new(*routes: dict[str, Any], **policy: Any) -> RouterWorld:
    world = RouterWorld(policy=replace(AUTO, **policy))
    for each in routes:
        world.put(kinds.HTTP_ROUTE, each)
    return world


@pytest.mark.parametrize("strategy", [Strategy.AUTO, Strategy.SWAP])
def test_where_others_are_served_on_v1_a_service_begins_there_with_the_lock_in_one_write(
    strategy: Strategy,
) -> None:
    world = new(others_route(ON_V1, accepted()), strategy=strategy)
    written = [write for write in world.reconcile() if write.ref == ROUTE]
    assert len(written) == 1
    assert [ref["group"] for ref in world.refs()] == [POOL_GROUP_V1]
    assert (world.a, world.copy_of_lock) == ("v1", "v1")
    assert QUESTION not in world.objects


def test_the_route_waits_for_the_v1_pool_where_it_could_begin_on_it() -> None:
    world = new(others_route(ON_V1, accepted()))
    world.reconcile()
    del world.objects[ROUTE], world.objects[V1]
    world.service = {**world.service, "status": {}}
    assert not world.plan_route()


@pytest.mark.parametrize(
    "others",
    [
        [],
        [others_route(ON_OLD, accepted())],
        [others_route(ON_V1, INVALID_KIND)],
        [others_route(ON_V1, accepted()), others_route(ON_V1, INVALID_KIND, name="third")],
        [others_route([*ON_V1, *ON_OLD], INVALID_KIND)],
        [stale(accepted())],
    ],
    ids=["nobody", "v1alpha2", "v1 refused", "contradiction", "both refused", "stale"],
)
def test_where_nobody_is_known_to_be_served_on_v1_it_begins_on_v1alpha2(others: list[dict[str, Any]]) -> None:
    world = new(*others)
    world.reconcile()
    assert [ref["group"] for ref in world.refs()] == [POOL_GROUP_V1ALPHA2]
    assert (world.a, world.copy_of_lock) == (None, None)


def test_a_gateway_that_takes_both_for_others_gets_both() -> None:
    world = new(others_route([(POOL_GROUP_V1, 0), *ON_OLD], accepted()))
    world.reconcile()
    assert [(ref["group"], ref["weight"]) for ref in world.refs()] == [
        (POOL_GROUP_V1, 0),
        (POOL_GROUP_V1ALPHA2, 100),
    ]


def test_what_the_services_own_route_says_counts_more() -> None:
    world = new()
    world.reconcile()
    world.accept_route()
    world.put(kinds.HTTP_ROUTE, others_route(ON_OLD, INVALID_KIND))
    world.put(kinds.HTTP_ROUTE, others_route(ON_V1, accepted(), name="third"))
    decision = migration_of(world.ctx)
    assert decision.reason == "GatewayServesV1", (
        "v1 is served as others show; its own reference is not refused"
    )


# -- a gateway that is known to refuse v1alpha2, and of which nothing is known of v1


def refusing(**policy: Any) -> RouterWorld:
    world = new(others_route(ON_OLD, INVALID_KIND), **policy)
    world.reconcile()
    return world


def test_a_service_asks_before_it_shows_v1alpha2_to_a_gateway_that_refuses_it() -> None:
    world = new(others_route(ON_OLD, INVALID_KIND))
    world.reconcile()
    assert ROUTE not in world.objects
    assert QUESTION in world.objects
    verdict = route_readiness.judge(world.ctx)
    assert "awaited: ResolvedRefs on HTTPRoute ns/svc-aioctl-probe" in verdict.message
    world.objects[QUESTION]["status"] = {"parents": [parent(*GATEWAY, accepted())]}
    world.reconcile()
    assert [ref["group"] for ref in world.refs()] == [POOL_GROUP_V1]
    assert world.a == "v1"
    assert QUESTION not in world.objects


def test_nobody_is_waited_for_where_nobody_may_be_asked_or_a_hold_keeps_traffic_where_it_is() -> None:
    assert ROUTE in refusing(probe=Probe.OFF).objects
    assert ROUTE in refusing(strategy=Strategy.HOLD).objects


def test_nobody_is_waited_for_where_there_is_no_v1_pool_to_ask_about() -> None:
    world = new(others_route(ON_OLD, INVALID_KIND))
    world.unserved = world.unserved | {kinds.POOL_V1}
    world.reconcile()
    assert QUESTION not in world.objects
    assert [ref["group"] for ref in world.refs()] == [POOL_GROUP_V1ALPHA2]


def test_a_no_to_the_question_ends_the_wait() -> None:
    world = refusing()
    world.objects[QUESTION]["status"] = {"parents": [parent(*GATEWAY, INVALID_KIND)]}
    world.reconcile()
    assert [ref["group"] for ref in world.refs()] == [POOL_GROUP_V1ALPHA2]


# -- one service asks


def asking(name: str) -> dict[str, Any]:
    return others_route(ON_V1, None, name=name, asks=True)


@pytest.mark.parametrize(("others", "asks"), [([], True), (["b"], False)])
def test_a_gateway_is_asked_by_one_service(others: list[str], *, asks: bool) -> None:
    world = new(*(asking(name) for name in others))
    world.reconcile()
    world.accept_route()
    world.objects[ROUTE]["metadata"]["creationTimestamp"] = (world.now - probe.PATIENCE).isoformat()
    world.reconcile()
    assert (QUESTION in world.objects) is asks


@pytest.mark.parametrize(("namespace", "stays"), [("a", False), ("z", True)])
def test_of_two_that_ask_at_once_the_first_by_name_goes_on(namespace: str, *, stays: bool) -> None:
    world = new()
    world.reconcile()
    world.accept_route()
    world.objects[ROUTE]["metadata"]["creationTimestamp"] = (world.now - probe.PATIENCE).isoformat()
    world.reconcile()
    assert QUESTION in world.objects
    other = asking("b")
    other["metadata"]["namespace"] = namespace
    world.put(kinds.HTTP_ROUTE, other)
    world.reconcile()
    assert (QUESTION in world.objects) is stays


def test_the_answer_to_another_service_moves_this_one_too() -> None:
    world = new(asking("b"))
    world.reconcile()
    world.accept_route()
    world.reconcile()
    assert (world.a, QUESTION in world.objects) == (None, False)
    world.put(kinds.HTTP_ROUTE, others_route(ON_V1, accepted(), name="b", asks=True))
    world.reconcile()
    assert world.a == "v1"
    assert migration_of(world.ctx).reason == "Locked"


def test_a_no_to_another_service_is_no_end_of_the_question() -> None:
    world = new()
    world.reconcile()
    world.accept_route()
    world.objects[ROUTE]["metadata"]["creationTimestamp"] = (world.now - probe.PATIENCE).isoformat()
    world.reconcile()
    other = others_route(ON_V1, INVALID_KIND, name="z", asks=True)
    other["metadata"]["namespace"] = "z"
    world.put(kinds.HTTP_ROUTE, other)
    world.reconcile()
    assert QUESTION in world.objects, (
        "two that ask would otherwise take their questions back for each other's answers"
    )
