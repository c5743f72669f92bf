"""Pools of gateways that write no status of them (POOL-7)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan import pool_status, silent_gateways
from aioctl.plan.migration_facts import migration_of
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

GRACE = timedelta(seconds=OPEN.pool_status_grace)
SWAP = replace(OPEN, strategy=Strategy.SWAP)
HOLD = replace(OPEN, strategy=Strategy.HOLD)
PICKER = ObjectRef(kinds.DEPLOYMENT, NS, f"{SVC}-kserve-router-scheduler")
PICKER_SERVICE = ObjectRef(kinds.CORE_SERVICE, NS, f"{SVC}-epp-service")
SECOND = ("kserve", "second")
Change = Callable[[RouterWorld], None]


def quiet(policy: Policy = HOLD) -> RouterWorld:
    """A service whose route resolves and whose pools nobody has spoken of, for just as long as they have to."""
    world = RouterWorld(policy=policy)
    world.reconcile()
    world.accept_route()
    for ref in (V1, ALPHA, ROUTE):
        world.objects[ref]["metadata"]["creationTimestamp"] = (world.now - GRACE).isoformat()
    return world


def is_locked(world: RouterWorld) -> bool:
    return world.a == "v1"


def is_ready(world: RouterWorld) -> bool:
    verdict = pool_status.evaluate(world.ctx)
    assert verdict is not None
    return verdict.ready


def test_a_pool_whose_route_resolves_is_ready_without_a_word_on_it() -> None:
    assert is_ready(quiet())


def route(*entries: dict[str, Any]) -> Change:
    return lambda world: world.route_status(*entries)


def younger(world: RouterWorld) -> None:
    world.now -= timedelta(seconds=1)


def without_age(world: RouterWorld) -> None:
    for ref in (V1, ALPHA):
        del world.objects[ref]["metadata"]["creationTimestamp"]


def said_of(ref: ObjectRef, *conditions: dict[str, Any]) -> Change:
    return lambda world: world.pool_status(ref, list(conditions))


def newer_route(world: RouterWorld) -> None:
    world.route_status(parent(*GATEWAY, accepted(observedGeneration=1)))
    world.edit(ROUTE, lambda live: live["spec"].update(hostnames=["h"]))


NO = condition("Accepted", "False", "NotSupportedByGateway")


@pytest.mark.parametrize(
    "change",
    [
        younger,
        without_age,
        route(),
        route(parent(*GATEWAY, INVALID_KIND)),
        route(parent(*GATEWAY, accepted("Accepted"))),
        route(parent(*GATEWAY, accepted("ResolvedRefs"))),
        route(parent(*SECOND, accepted())),
        newer_route,
        said_of(V1, NO),
        said_of(ALPHA, NO),
    ],
    ids=[
        "too young",
        "no age",
        "no answer",
        "refused",
        "not resolved",
        "not accepted",
        "another gateway",
        "stale",
        "a word on v1",
        "a word on v1alpha2",
    ],
)
def test_one_thing_less_and_it_is_not(change: Change) -> None:
    world = quiet()
    change(world)
    assert not is_ready(world)


def with_picker(world: RouterWorld, port: int = 9002, available: int = 1) -> RouterWorld:
    world.router["scheduler"]["template"] = {"containers": [{"name": "main"}]}  # type: ignore[index]
    world.put(
        kinds.DEPLOYMENT,
        {
            "metadata": {"namespace": NS, "name": PICKER.name},
            "status": {"availableReplicas": available},
        },
    )
    ports = [{"name": "grpc", "port": port}]
    world.put(
        kinds.CORE_SERVICE,
        {"metadata": {"namespace": NS, "name": PICKER_SERVICE.name}, "spec": {"ports": ports}},
    )
    return world


@pytest.mark.parametrize(
    ("port", "available", "ready"), [(9002, 1, True), (9003, 1, False), (9002, 0, False)]
)
def test_requests_need_a_picker_that_can_be_asked(port: int, available: int, *, ready: bool) -> None:
    assert is_ready(with_picker(quiet(), port, available)) is ready


def test_the_service_comes_back_when_the_gateway_has_had_its_time() -> None:
    world = quiet()
    assert silent_gateways.seconds_until(world.ctx) is None
    world.now -= timedelta(seconds=50)
    assert silent_gateways.seconds_until(world.ctx) == 50.0
    world.route_status(parent(*GATEWAY, INVALID_KIND))
    assert silent_gateways.seconds_until(world.ctx) is None, "time alone changes nothing"


def test_each_of_two_gateways_is_judged_for_itself() -> None:
    world = quiet()
    ref = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": SECOND[0], "name": SECOND[1]}
    world.edit(ROUTE, lambda live: live["spec"]["parentRefs"].append(ref))
    world.route_status(parent(*GATEWAY, accepted()), parent(*SECOND, accepted()))
    world.pool_status(ALPHA, accepted(), SECOND)
    assert is_ready(world), "one writes statuses and one does not"
    world.pool_status(ALPHA, [NO], SECOND)
    assert not is_ready(world)


# -- the migration


QUESTION = ObjectRef(kinds.HTTP_ROUTE, NS, f"{SVC}-aioctl-probe")


def test_weighted_asks_a_gateway_that_writes_no_status_and_moves_by_its_answer() -> None:
    world = quiet(OPEN)
    assert migration_of(world.ctx).reason == "V1PoolNotReady"
    world.reconcile()
    assert world.w == (0, 100)
    world.objects[QUESTION]["status"] = {"parents": [parent(*GATEWAY, accepted())]}
    assert migration_of(world.ctx).reason == "GatewayServesV1"
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")
    assert QUESTION not in world.objects


def test_weighted_asks_nobody_that_does_write_it_and_nobody_where_that_is_off() -> None:
    world = quiet(OPEN)
    world.pool_status(ALPHA, accepted())
    world.reconcile()
    assert QUESTION not in world.objects
    world = quiet(replace(OPEN, probe=Probe.OFF))
    world.reconcile()
    assert QUESTION not in world.objects
    assert not is_locked(world)


def test_an_answer_of_the_gateway_ends_the_substitute_and_undoes_no_lock() -> None:
    world = quiet(SWAP)
    world.reconcile()
    world.objects[QUESTION]["status"] = {"parents": [parent(*GATEWAY, accepted())]}
    world.reconcile()
    assert is_locked(world)
    world.accept_route()
    assert is_ready(world)
    world.pool_status(V1, [NO])
    assert not is_ready(world)
    assert world.reconcile() == []
    assert is_locked(world)


def test_a_picker_that_cannot_be_asked_keeps_traffic_where_it_is() -> None:
    world = with_picker(quiet(SWAP), available=0)
    world.reconcile()
    world.objects[QUESTION]["status"] = {"parents": [parent(*GATEWAY, accepted())]}
    world.reconcile()
    assert not is_locked(world)
    with_picker(world)
    world.reconcile()
    assert is_locked(world)
    assert QUESTION not in world.objects
