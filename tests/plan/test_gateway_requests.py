"""With `AIOCTL_PROBE=traffic` a gateway's word counts once a request goes through (MIG-13)."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.plan import gateway_requests
from aioctl.plan.facts import Told
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import Context
from aioctl.plan.observation import GatewayRequest, Unknown
from aioctl.plan.policy import Policy, Probe, Strategy
from tests.plan.router_world import GATEWAY, INVALID_KIND, OPEN, RouterWorld, accepted, gateway
from tests.plan.test_hearsay import ON_V1, others_route
from tests.plan.test_probe import NO_OLD, QUESTION, say, started

TRAFFIC = replace(OPEN, strategy=Strategy.AUTO, probe=Probe.TRAFFIC)
PLACE = ObjectKey(*GATEWAY)


def asked() -> RouterWorld:
    """A gateway that refuses v1alpha2, and resolves v1 on the probe."""
    world = started(TRAFFIC)
    say(world, kinds_route(world), NO_OLD)
    world.reconcile()
    say(world, QUESTION, accepted())
    return world


def kinds_route(world: RouterWorld) -> Any:
    return next(ref for ref in world.objects if ref.name == "svc-kserve-route")


def seen(world: RouterWorld, *reached: str) -> Context:
    return after(world, [each for each in wanted(world) if each.url in reached])


def after(world: RouterWorld, reached: Iterable[GatewayRequest]) -> Context:
    """The context where those requests were answered."""
    facts = replace(world.ctx.obs, reached=frozenset(reached))  # type: ignore[type-var]
    return replace(world.ctx, obs=facts)


def wanted(world: RouterWorld) -> list[GatewayRequest]:
    return list(gateway_requests.requests(world.ctx, world.objects[QUESTION], PLACE))


def urls(world: RouterWorld) -> list[str]:
    return [each.url for each in wanted(world)]


def test_the_word_of_a_gateway_counts_once_a_request_goes_through() -> None:
    world = asked()
    assert urls(world) == ["http://203.0.113.1:80/v1/models"]
    assert not migration_of(seen(world)).locked
    assert migration_of(seen(world, *urls(world))).locked


def test_every_address_has_to_answer() -> None:
    world = asked()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", "2001:db8::1"))
    first, second = urls(world)
    assert second == "http://[2001:db8::1]:80/v1/models"
    assert not migration_of(seen(world, first)).locked
    assert migration_of(seen(world, first, second)).locked


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        ([{"protocol": "HTTPS", "port": 443}], ["https://203.0.113.1:443/v1/models"]),
        (
            [{"protocol": "TCP", "port": 9}, {"protocol": "HTTP", "port": 8080}],
            ["http://203.0.113.1:8080/v1/models"],
        ),
        ([{"protocol": "TCP", "port": 9}], []),
        ([], []),
    ],
)
def test_requests_go_to_a_listener_that_speaks_http(listeners: list[Any], expected: list[str]) -> None:
    world = asked()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", listeners=listeners))
    assert urls(world) == expected
    assert not migration_of(seen(world)).locked


def test_a_gateway_without_address_is_not_believed() -> None:
    world = asked()
    world.put(kinds.GATEWAY, gateway(*GATEWAY))
    assert urls(world) == []
    assert not migration_of(seen(world)).locked


def test_the_word_on_the_probe_of_another_service_is_not_enough_but_its_traffic_is() -> None:
    world = started(TRAFFIC)
    world.put(kinds.HTTP_ROUTE, others_route(ON_V1, accepted(), asks=True))
    assert not migration_of(world.ctx).locked
    world.put(kinds.HTTP_ROUTE, others_route(ON_V1, accepted()))
    assert migration_of(world.ctx).locked


def test_without_traffic_mode_no_request_is_needed() -> None:
    world = asked()
    world.policy = replace(TRAFFIC, probe=Probe.STATUS)
    assert migration_of(seen(world)).locked


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"generation": 2}, id="other parameters"),
        pytest.param({"uid": "another"}, id="deleted and made anew, as of another controller"),
    ],
)
def test_what_was_answered_says_nothing_of_another_generation_of_the_class(change: dict[str, Any]) -> None:
    world = asked()
    cls: dict[str, Any] = {
        "metadata": {"name": "other", "uid": "one", "generation": 1},
        "spec": {"controllerName": "example.org/gw"},
    }
    world.put(kinds.GATEWAY_CLASS, cls)
    answered = wanted(world)
    assert migration_of(after(world, answered)).locked
    world.put(kinds.GATEWAY_CLASS, {**cls, "metadata": {**cls["metadata"], **change}})
    assert not migration_of(after(world, answered)).locked
    assert migration_of(after(world, wanted(world))).locked


def test_what_was_answered_says_nothing_of_another_class() -> None:
    world = asked()
    answered = wanted(world)
    world.put(
        kinds.GATEWAY_CLASS, {"metadata": {"name": "next"}, "spec": {"controllerName": "example.org/gw"}}
    )
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", cls="next"))
    assert not migration_of(after(world, answered)).locked
    assert migration_of(after(world, wanted(world))).locked


@pytest.mark.parametrize(
    ("resolves", "reached", "policy", "told"),
    [
        (True, 0, TRAFFIC, ["203.0.113.1", "203.0.113.2"]),
        (True, 1, TRAFFIC, ["203.0.113.2"]),
        (True, 2, TRAFFIC, []),
        (False, 0, TRAFFIC, []),
        (True, 0, replace(TRAFFIC, probe=Probe.STATUS), []),
    ],
)
def test_who_waits_for_an_answer_that_does_not_come_is_told_by_an_event(
    resolves: bool, reached: int, policy: Policy, told: list[str]
) -> None:
    """With the requests, and a way out; what is not known yet is no news (MIG-13)."""
    world = asked()
    world.policy = policy
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", "203.0.113.2"))
    if not resolves:
        say(world, QUESTION, INVALID_KIND)
    ctx = seen(world, *urls(world)[:reached])
    found = list(gateway_requests.notices(ctx))
    assert [reason for reason, _ in found] == ["GatewayAnswersNoRequest"] * bool(told)
    for _, message in found:
        assert f"Gateway {PLACE} resolves" in message
        assert [f"GET http://{each}:80/v1/models" in message for each in told] == [True] * len(told)
        assert message.count("GET ") == len(told)
        assert "AIOCTL_PROBE=status" in message


def test_an_answer_that_is_not_known_yet_is_no_news() -> None:
    world = asked()
    nobody_knows = Waiting(world.ctx.obs)
    assert list(gateway_requests.notices(replace(world.ctx, obs=nobody_knows))) == []


class Waiting(Told):
    """The requests are on their way."""

    def reaches(self, request: GatewayRequest) -> Unknown:
        return Unknown(f"{request.url} is being asked")
