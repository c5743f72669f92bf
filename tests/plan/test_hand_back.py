"""What becomes of the traffic of a service that KServe's own controller takes over (MIG-11)."""

from typing import Any

import pytest

from aioctl.api import names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.plan.hand_back import Fate, HandBack, hand_back
from tests.plan.router_world import (
    GATEWAY,
    INVALID_KIND,
    NS,
    ROUTE,
    SVC,
    accepted,
    condition,
    parent,
    pool_ref,
)

SCHEDULED: dict[str, Any] = {"router": {"route": {}, "scheduler": {}}}
V1, OLD = (POOL_GROUP_V1, 100), (POOL_GROUP_V1ALPHA2, 100)
IDLE_V1, IDLE_OLD = (POOL_GROUP_V1, 0), (POOL_GROUP_V1ALPHA2, 0)
NOT_FOUND = [condition("Accepted"), condition("ResolvedRefs", "False", "BackendNotFound")]
LOCK = {names.MIGRATED: "v1"}
OTHER_LOCK = {names.MIGRATED_MERGED_SPELLING: "v1"}


def service(*, copy: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"namespace": NS, "name": SVC},
        "status": {"annotations": dict(LOCK)} if copy else {},
    }


def route(
    refs: list[tuple[str, int]], *said: list[dict[str, Any]], lock: dict[str, str] | None = None
) -> Any:
    """The live route, with an answer of each of its gateways."""
    gateways = [(GATEWAY[0], f"gateway-{index}") for index in range(max(len(said), 1))]
    return {
        "metadata": {"namespace": NS, "name": ROUTE.name, "generation": 1, "annotations": lock or {}},
        "spec": {
            "parentRefs": [{"namespace": namespace, "name": name} for namespace, name in gateways],
            "rules": [{"backendRefs": [pool_ref(group, weight=weight) for group, weight in refs]}],
        },
        "status": {"parents": [parent(*key, each) for key, each in zip(gateways, said, strict=False)]},
    }


@pytest.mark.parametrize(
    ("refs", "said", "lock", "fate"),
    [
        ([OLD], [], None, Fate.STAYS),
        ([OLD], [accepted()], None, Fate.STAYS),
        ([OLD], [NOT_FOUND], None, Fate.STAYS),
        ([OLD], [INVALID_KIND], None, Fate.MOVES),
        ([OLD], [accepted(), INVALID_KIND], None, Fate.STAYS),
        ([V1], [accepted()], None, Fate.STAYS),
        ([V1], [NOT_FOUND], None, Fate.STAYS),
        ([V1], [], None, Fate.GOES_BACK),
        ([V1], [INVALID_KIND], None, Fate.GOES_BACK),
        ([V1], [INVALID_KIND], LOCK, Fate.STAYS),
        ([V1], [], OTHER_LOCK, Fate.GOES_BACK),
        ([IDLE_V1, OLD], [], None, Fate.STAYS),
        ([IDLE_V1, OLD], [accepted()], None, Fate.MOVES),
        ([IDLE_V1, OLD], [INVALID_KIND], None, Fate.MOVES),
        ([V1, IDLE_OLD], [accepted()], LOCK, Fate.STAYS),
        ([V1, OLD], [accepted()], None, Fate.MOVES),
    ],
)
def test_the_fate_follows_from_the_live_route_alone(
    refs: list[tuple[str, int]], said: list[Any], lock: dict[str, str] | None, fate: Fate
) -> None:
    found = hand_back(service(), SCHEDULED, route(refs, *said, lock=lock))
    assert found.fate is fate
    assert found.harmless == (found.why == "")


def test_a_route_with_both_generations_is_to_be_written_as_swap_first() -> None:
    found = hand_back(service(), SCHEDULED, route([IDLE_V1, OLD], accepted()))
    assert f"{names.MIGRATION_STRATEGY}: swap" in found.cure
    after = hand_back(service(), SCHEDULED, route([OLD], accepted()))
    assert after == HandBack(Fate.STAYS), "what the cure makes of it is harmless"


def test_the_copy_of_the_lock_means_nothing_to_the_other_controller() -> None:
    assert hand_back(service(), SCHEDULED, None).harmless
    found = hand_back(service(copy=True), SCHEDULED, None)
    assert found.fate is Fate.GOES_BACK
    assert "start the service" in found.cure


@pytest.mark.parametrize(
    "spec",
    [{"router": {"route": {}}}, {"router": {"route": {}, "scheduler": {"pool": {"ref": {"name": "mine"}}}}}],
    ids=["no scheduler", "pool of the user"],
)
def test_a_service_without_a_pool_of_its_own_is_not_moved(spec: dict[str, Any]) -> None:
    assert hand_back(service(), spec, route([IDLE_V1, OLD], accepted())).harmless
