"""Words of routes are kept by gateway, and news of a gateway is only what nobody said before (MIG-12)."""

from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey
from aioctl.controller.caches import Watched
from aioctl.controller.hearsay import NEWS_PAUSE, Hearsay
from aioctl.engine.store import Delta
from aioctl.kube.cached import Cached
from aioctl.plan.hearsay import NOTHING, Heard
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service
from tests.controller.looks import counted_looks
from tests.plan.router_world import INVALID_KIND, accepted
from tests.plan.test_hearsay import ON_OLD, ON_V1, PLACE, others_route

NOBODY: frozenset[ObjectKey] = frozenset()
NEWS = frozenset({PLACE})


def cached(route: dict[str, Any]) -> Cached:
    return Cached.from_raw(msgspec.json.encode(route), kinds.HTTP_ROUTE)


def put(hearsay: Hearsay, name: str, refs: Any = ON_V1, says: Any = None, *, asks: bool = False) -> Any:
    route = cached(others_route(refs, says, name=name, asks=asks))
    return hearsay.changed(route.key, route)


def key(name: str) -> ObjectKey:
    return ObjectKey("elsewhere", f"{name}-kserve-route")


def test_the_first_to_say_something_and_the_last_to_take_it_back_are_news() -> None:
    hearsay = Hearsay()
    assert put(hearsay, "a") == NOBODY
    assert put(hearsay, "a", says=accepted()) == NEWS
    assert put(hearsay, "b", says=accepted()) == NOBODY
    assert hearsay.heard(PLACE, NOBODY) == Heard({POOL_GROUP_V1: True})
    assert hearsay.changed(key("a"), None) == NOBODY
    assert hearsay.changed(key("b"), None) == NEWS
    assert hearsay.heard(PLACE, NOBODY) == NOTHING


def test_a_service_does_not_hear_itself_and_a_contradiction_says_nothing() -> None:
    hearsay = Hearsay()
    put(hearsay, "a", says=accepted())
    put(hearsay, "b", says=INVALID_KIND)
    assert hearsay.heard(PLACE, NOBODY) == NOTHING
    assert hearsay.heard(PLACE, frozenset({key("a")})) == Heard({POOL_GROUP_V1: False})
    assert hearsay.heard(PLACE, frozenset({key("b")})) == Heard({POOL_GROUP_V1: True})


def test_probes_are_told_apart_and_the_first_of_them_is_named() -> None:
    hearsay = Hearsay()
    put(hearsay, "b", asks=True)
    put(hearsay, "a", says=accepted(), asks=True)
    put(hearsay, "c", ON_OLD, INVALID_KIND)
    assert hearsay.heard(PLACE, NOBODY) == Heard(
        {POOL_GROUP_V1ALPHA2: False}, {POOL_GROUP_V1: True}, ObjectKey("elsewhere", "a-aioctl-probe")
    )


@pytest.mark.parametrize(
    "spoiled",
    [
        {"spec": {"parentRefs": "none"}},
        {"status": {"parents": [{"conditions": 1}]}},
        {"spec": {"rules": [1], "parentRefs": [2]}},
    ],
)
def test_a_route_of_odd_types_says_nothing(spoiled: dict[str, Any]) -> None:
    route = cached({**others_route(ON_V1, accepted()), **spoiled})
    assert Hearsay().changed(route.key, route) == NOBODY


def test_what_nobody_says_any_more_is_not_kept() -> None:
    hearsay = Hearsay()
    for number in range(50):
        put(hearsay, f"s{number}", says=accepted())
    for number in range(50):
        hearsay.changed(key(f"s{number}"), None)
    assert not any(vars(hearsay).values())


@virtual_time
async def test_words_that_come_and_go_are_looked_at_once_for_all_that_is_said_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with furnished() as stage, stage.running(stage.controller()) as controller:
        # Nobody plays gateway: the service waits, and listens.
        routed = plain_service("one", router={"route": {}, "gateway": {}, "scheduler": {}})
        await stage.user.create(kinds.SERVICE, NAMESPACE, routed)
        await anyio.sleep(60)
        looks = counted_looks(controller, monkeypatch)
        turns = 10
        for _ in range(turns):
            for says in (INVALID_KIND, None):
                route = cached(others_route(ON_V1, says))
                delta = Delta(route.key, None, route, initial=False)
                controller._changed(Watched(kinds.HTTP_ROUTE), delta)
                await anyio.sleep(NEWS_PAUSE / turns)
        await anyio.sleep(2 * NEWS_PAUSE)
        assert 1 <= len(looks) <= 3
