"""Services with the same model that share no traffic group (MODEL-3)."""

from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.served_models import qualified_models
from aioctl.plan import collisions
from tests.plan.group_world import grouped, peer
from tests.plan.router_world import MANAGED, REFERENCED, RouterWorld


def other(name: str = "two", **changes: Any) -> dict[str, Any]:
    """Of another group."""
    return peer(name, group="h", **changes)


def told(world: RouterWorld, *others: dict[str, Any]) -> str:
    for service in others:
        world.put(kinds.SERVICE, service)
    found = list(collisions.notices(world.ctx))
    assert all(reason == "ModelNameCollision" for reason, _ in found)
    return found[0][1] if found else ""


def test_the_event_says_with_whom_and_where_the_service_can_be_reached_nevertheless() -> None:
    assert told(RouterWorld(), other(), other("another")) == (
        'model name "m" overlaps with another, two in namespace ns; shared publisher paths and model-routing headers cause '
        "the gateway to shadow one service. Reachable at its own address ns/svc; safe to ignore if traffic splitting is "
        "planned"
    )


@pytest.mark.parametrize(
    ("changes", "collides"),
    [
        ({}, True),
        ({"models": ("publishers/ns/models/o", "m")}, False),
        ({"models": ("publishers/elsewhere/models/m",)}, False),
        # Without addresses the spec counts: the model's name, the service's where it has none, and the adapters.
        ({"models": None, "addresses": None}, True),
        ({"models": None, "addresses": None, "spec": {"model": {"uri": "hf://m"}}}, False),
        (
            {
                "models": None,
                "addresses": None,
                "spec": {"model": {"name": "o", "lora": {"adapters": [{"name": "m"}]}}},
            },
            True,
        ),
        # With addresses that name no models, as without a route, it can be asked for none.
        ({"models": None}, False),
        # A stopped one comes back under its names.
        ({"stopped": True}, True),
        ({"deleting": True}, False),
    ],
)
def test_who_collides(changes: dict[str, Any], collides: bool) -> None:
    given = {key: value for key, value in changes.items() if key != "addresses"}
    service = other(**given)
    if "addresses" in changes:
        service["status"].pop("addresses")
    assert bool(told(RouterWorld(), service)) is collides


def test_members_of_its_group_do_not_collide_and_others_do() -> None:
    assert told(grouped(), peer("two")) == ""
    assert "overlaps with three in" in told(grouped(), peer("two"), other("three"))


@pytest.mark.parametrize(("router", "collides"), [(MANAGED, True), (REFERENCED, False), (None, False)])
def test_only_a_managed_route_collides(router: Any, collides: bool) -> None:
    assert bool(told(RouterWorld(router=router), other())) is collides


def test_a_stopped_service_is_told_of_no_namesakes() -> None:
    world = RouterWorld()
    world.annotate(names.STOP, "true")
    assert told(world, other()) == ""


def test_fields_of_a_wrong_type_name_no_model() -> None:
    assert qualified_models({"metadata": {"name": "a"}, "spec": {"model": {"name": 7}}}) == frozenset()
