"""On which generation a new service begins, by all that is heard of two gateways before it has a route (MIG-12).

Nothing is written before a gateway that is known to refuse it where the other generation may be served: that is asked first.
"""

import copy
from dataclasses import replace
from functools import cache
from itertools import combinations_with_replacement, product
from typing import Any, Final

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectRef
from aioctl.api.objects import dig
from aioctl.plan import probe, route_readiness
from aioctl.plan.migration import Reason, State
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.policy import Probe, Strategy
from tests.plan.group_world import grouped, join, peer, shares
from tests.plan.router_world import (
    GATEWAY,
    INVALID_KIND,
    MANAGED,
    NS,
    OPEN,
    ROUTE,
    SVC,
    V1,
    RouterWorld,
    accepted,
    condition,
    gateway,
    parent,
    pool_ref,
)

PLACES: Final = (GATEWAY, ("kserve", "second-gateway"))
QUESTION: Final = ObjectRef(kinds.HTTP_ROUTE, NS, f"{SVC}-aioctl-probe")
YES, NO, NOTHING = True, False, None
Word = bool | None
Said = tuple[Word, Word]
"""Of v1 and of v1alpha2."""
EVERYTHING: Final[tuple[Said, ...]] = tuple((v1, old) for v1, old in product((NOTHING, YES, NO), repeat=2))
V1ALPHA2_REFUSED: Final[Said] = (NOTHING, NO)


def others(place: tuple[str, str], group: str, *, serves: bool) -> dict[str, Any]:
    """The route of another service on that gateway alone, and what it says of it."""
    name = f"other-{place[1]}-{group.split('.')[2]}-{serves}"
    return {
        "metadata": {
            "namespace": "elsewhere",
            "name": name,
            "generation": 1,
            "ownerReferences": [
                {"kind": "LLMInferenceService", "name": name, "uid": name, "controller": True}
            ],
        },
        "spec": {
            "parentRefs": [{"namespace": place[0], "name": place[1]}],
            "rules": [{"backendRefs": [pool_ref(group, f"{name}-pool")]}],
        },
        "status": {"parents": [parent(*place, accepted() if serves else INVALID_KIND)]},
    }


@cache
def _ready(strategy: Strategy, asks: Probe) -> RouterWorld:
    router = copy.deepcopy(MANAGED)
    refs = [{"namespace": namespace, "name": name} for namespace, name in PLACES]
    router["route"] = {"http": {"spec": {"parentRefs": refs}}}
    world = RouterWorld(router=router, policy=replace(OPEN, strategy=strategy, probe=asks))
    world.put(kinds.GATEWAY, gateway(*PLACES[1], "203.0.113.2"))
    world.reconcile()
    del world.objects[ROUTE]
    return world


def new(
    *said: Said, strategy: Strategy = Strategy.AUTO, asks: Probe = Probe.STATUS, only: bool = False
) -> RouterWorld:
    """A service whose pools are there and whose route is not. `said`: by each gateway, on routes of others; `only`: the first one."""
    ready = _ready(strategy, asks)
    world = copy.copy(ready)
    world.objects, world.router, world.writes = dict(ready.objects), copy.deepcopy(ready.router), []
    for place, words in zip(PLACES, said, strict=False):
        for group, word in zip((POOL_GROUP_V1, POOL_GROUP_V1ALPHA2), words, strict=True):
            if word is not None:
                world.put(kinds.HTTP_ROUTE, others(place, group, serves=word))
    if only:
        assert world.router is not None
        del world.router["route"]["http"]["spec"]["parentRefs"][1:]
    return world


def begins_on(world: RouterWorld) -> str:
    """The group of the route that is written, with a lock or without; "asks" where a question is, and "nothing" where neither."""
    written = world.plan_route()
    asks = any(write.ref == QUESTION for write in probe.probe(world.ctx, lambda: migration_of(world.ctx)))
    if not written:
        return "asks" if asks else "nothing"
    (body,) = [write.body for write in written]
    (group,) = groups(body)
    locked = dig(body, "metadata", "annotations", names.MIGRATED) == "v1"
    return {(POOL_GROUP_V1, True): "v1", (POOL_GROUP_V1ALPHA2, False): "v1alpha2"}[group, locked]


def groups(body: Any) -> set[str]:
    return {
        ref["group"]
        for rule in body["spec"]["rules"]
        for ref in rule["backendRefs"]
        if ref["kind"] == "InferencePool" and ref.get("weight") != 0
    }


def right(said: tuple[Said, ...], *, asks: bool) -> str:
    """Where it should begin, from what gateways do and not from how the plan goes about it."""
    v1, v1alpha2 = zip(*said, strict=True)
    if all(word is YES for word in v1):
        return "v1"
    if NO in v1alpha2 and NO not in v1 and asks:
        return "asks"
    return "v1alpha2"


@pytest.mark.parametrize("asks", [Probe.STATUS, Probe.OFF])
@pytest.mark.parametrize("strategy", [Strategy.AUTO, Strategy.SWAP])
def test_a_service_begins_where_it_is_served_or_asks(strategy: Strategy, asks: Probe) -> None:
    found, wanted = dict[tuple[Said, ...], str](), dict[tuple[Said, ...], str]()
    for said in combinations_with_replacement(EVERYTHING, 2):
        found[said] = begins_on(new(*said, strategy=strategy, asks=asks))
        wanted[said] = right(said, asks=asks is Probe.STATUS)
    for one in EVERYTHING:
        found[(one,)] = begins_on(new(one, strategy=strategy, asks=asks, only=True))
        wanted[(one,)] = right((one,), asks=asks is Probe.STATUS)
    assert found == wanted


def answer(world: RouterWorld, *said: Any) -> RouterWorld:
    """Each gateway's conditions on the question; None: not a word."""
    entries = [parent(*place, words) for place, words in zip(PLACES, said, strict=True) if words is not None]
    asking = world.objects[QUESTION]
    metadata = {**asking["metadata"], "generation": 2}
    world.objects[QUESTION] = {**asking, "metadata": metadata, "status": {"parents": entries}}
    return world


KEPT_OUT: Final = [condition("Accepted", "False", "NoMatchingListenerHostname")]
STALE: Final = [{**KEPT_OUT[0], "observedGeneration": 1}]


@pytest.mark.parametrize(
    ("first", "second", "begins"),
    [
        (None, None, "waits"),
        (accepted(), None, "waits"),
        (None, accepted(), "waits"),
        (accepted(), accepted(), "v1"),
        (accepted(), INVALID_KIND, "v1alpha2"),
        (INVALID_KIND, None, "v1alpha2"),
        (accepted(), KEPT_OUT, "v1alpha2"),
        (KEPT_OUT, None, "waits"),
        (accepted(), STALE, "waits"),
    ],
)
def test_the_route_waits_for_every_gateway_that_may_still_answer(
    first: Any, second: Any, begins: str
) -> None:
    world = new(V1ALPHA2_REFUSED, (NOTHING, NOTHING))
    world.reconcile()
    answer(world, first, second)
    world.reconcile()
    waited_for = (None, STALE)
    if begins == "waits":
        assert ROUTE not in world.objects
        silent = [
            f"{place[0]}/{place[1]}"
            for place, said in zip(PLACES, (first, second), strict=True)
            if said in waited_for
        ]
        asks = "HTTPRoute ns/svc-aioctl-probe, which asks whether v1 InferencePools are served"
        assert (
            f"awaited: ResolvedRefs on {asks}, of Gateway {', '.join(silent)}]"
            in route_readiness.judge(world.ctx).message
        )
        assert migration_of(world.ctx).state is State.NO_ROUTE
        return
    assert groups(world.live) == {POOL_GROUP_V1 if begins == "v1" else POOL_GROUP_V1ALPHA2}
    assert (world.a, world.copy_of_lock) == (("v1", "v1") if begins == "v1" else (None, None))
    assert (QUESTION in world.objects) is (begins == "v1alpha2"), "it stands until v1 is served"


@pytest.mark.parametrize(
    ("second", "awaited"),
    [
        (
            accepted(),
            (
                "an answer below 500 to requests for HTTPRoute ns/svc-aioctl-probe through Gateway "
                f"{PLACES[0][0]}/{PLACES[0][1]}, {PLACES[1][0]}/{PLACES[1][1]}]"
            ),
        ),
        (
            None,
            (
                f"of Gateway {PLACES[1][0]}/{PLACES[1][1]} and an answer below 500 to requests for HTTPRoute "
                f"ns/svc-aioctl-probe through Gateway {PLACES[0][0]}/{PLACES[0][1]}]"
            ),
        ),
    ],
)
def test_a_route_that_waits_for_requests_says_so(second: Any, awaited: str) -> None:
    """Where the word on the question is not enough (MIG-13)."""
    world = new(V1ALPHA2_REFUSED, (NOTHING, NOTHING), asks=Probe.TRAFFIC)
    world.reconcile()
    answer(world, accepted(), second)
    world.reconcile()
    assert ROUTE not in world.objects
    assert awaited in route_readiness.judge(world.ctx).message


def test_the_pool_s_own_status_is_word_enough_of_a_gateway_that_says_nothing_else() -> None:
    world = new((YES, NO), (NOTHING, NOTHING))
    world.pool_status(V1, accepted(), PLACES[1])
    assert begins_on(world) == "v1"
    assert migration_of(world.ctx).reason is Reason.V1ALPHA2_REFUSED


def test_a_gateway_that_refuses_v1alpha2_is_asked_at_once_while_another_has_said_nothing_of_the_route() -> (
    None
):
    world = new((NOTHING, NOTHING), (NOTHING, NOTHING))
    world.reconcile()
    assert QUESTION not in world.objects
    world.route_status(parent(*PLACES[0], INVALID_KIND))
    world.reconcile()
    assert QUESTION in world.objects
    answer(world, accepted(), accepted())
    world.reconcile()
    assert (groups(world.live), world.a) == ({POOL_GROUP_V1}, "v1")


# -- a member of a traffic group that has no pool of its own


def alone(*routes: dict[str, Any]) -> RouterWorld:
    world = join(grouped(scheduler=None), peer("two"))
    world.policy = replace(world.policy, strategy=Strategy.AUTO)
    for each in routes:
        world.put(kinds.HTTP_ROUTE, each)
    return world


def asked_by_another() -> dict[str, Any]:
    asking = others(GATEWAY, POOL_GROUP_V1, serves=True)
    asking["metadata"]["labels"] = {names.PROBE: "true"}
    return {**asking, "status": {}}


def test_a_member_without_a_pool_waits_for_the_answer_to_another_one() -> None:
    refused = others(GATEWAY, POOL_GROUP_V1ALPHA2, serves=False)
    world = alone(refused, asked_by_another())
    assert begins_on(world) == "nothing"
    assert (
        f"on an HTTPRoute of another service that asks whether v1 InferencePools are served, of Gateway {GATEWAY[0]}/{GATEWAY[1]}]"
        in route_readiness.judge(world.ctx).message
    )
    world.put(kinds.HTTP_ROUTE, {**asked_by_another(), "status": {"parents": [parent(*GATEWAY, accepted())]}})
    assert begins_on(world) == "v1"


def test_a_member_without_a_pool_waits_for_nobody_where_nobody_asks_or_nothing_is_refused() -> None:
    assert begins_on(alone(others(GATEWAY, POOL_GROUP_V1ALPHA2, serves=False))) == "v1alpha2"
    assert begins_on(alone(asked_by_another())) == "v1alpha2"


@pytest.mark.parametrize("user", [False, True])
def test_a_member_begins_on_v1_without_the_one_whose_v1_pool_is_not_there(user: bool) -> None:
    """Where v1alpha2 is refused that one has nothing to lose; it is led to again once the pool is there."""
    world = join(grouped(), peer("two", external="users" if user else ""))
    world.policy = replace(world.policy, strategy=Strategy.AUTO)
    world.reconcile()
    del world.objects[ROUTE]
    (pool,) = [ref for ref in world.objects if ref.kind == kinds.POOL_V1 and ref.name != V1.name]
    gone = world.objects.pop(pool)
    world.put(kinds.HTTP_ROUTE, others(GATEWAY, POOL_GROUP_V1ALPHA2, serves=False))
    world.put(kinds.HTTP_ROUTE, others(GATEWAY, POOL_GROUP_V1, serves=True))
    world.reconcile()
    mine = ("v1", V1.name, 70)
    assert (shares(world), world.a) == ([mine], "v1")
    world.objects[pool] = gone
    world.reconcile()
    assert shares(world) == [mine, ("v1", pool.name, 30)]
