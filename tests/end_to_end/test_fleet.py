"""Twenty services migrate, by the real program, on the simulated and on a real API server: the same claims on both."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind
from aioctl.api.objects import dig
from tests.end_to_end import fleet
from tests.end_to_end.fleet import SERVICES, Story, condition

BEFORE, AFTER = (0, 1, None), (1, 0, "v1")
"""(weight v1, weight v1alpha2, lock) of a route."""


@pytest.fixture(
    scope="module",
    # Processes that are watched in real time, on the simulated server too.
    params=[pytest.param("sim", marks=pytest.mark.thorough), pytest.param("real", marks=pytest.mark.real)],
)
def story(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Played once on each server."""
    if request.param == "real":
        request.getfixturevalue("real_assets")

    async def run() -> Story:
        async with fleet.cluster(tmp_path_factory.mktemp(request.param), request.param) as place:
            return await fleet.play(place)

    return anyio.run(run)


def traffic(route: Mapping[str, Any]) -> tuple[int, int, str | None]:
    """Weights and lock; asserts that every rule with pools says the same."""
    found = {
        tuple(
            sum(ref["weight"] for ref in rule["backendRefs"] if ref.get("group") == group)
            for group in (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)
        )
        for rule in route["spec"]["rules"]
        if any(ref.get("kind") == "InferencePool" for ref in rule["backendRefs"])
    }
    ((v1, alpha),) = found
    return v1, alpha, dig(route, "metadata", "annotations", names.MIGRATED)


def test_half_of_the_fleet_was_written_in_the_old_version(story: Story) -> None:
    versions = sorted(service["apiVersion"] for service in story.sent.values())
    assert versions == [kinds.V1ALPHA1] * (SERVICES // 2) + [kinds.V1ALPHA2] * (SERVICES // 2)


def test_lock_and_weights_move_together_once_and_never_back(story: Story) -> None:
    for name in story.sent:
        seen = story.of(kinds.HTTP_ROUTE, name)
        assert [each.revision for each in seen] == sorted({each.revision for each in seen})
        moments = [traffic(each.object) for each in seen]
        assert (moments[0], moments[-1]) == (BEFORE, AFTER), name
        turn = moments.index(AFTER)
        assert moments == [BEFORE] * turn + [AFTER] * (len(moments) - turn), name
        assert {each.type for each in seen[1:]} == {"MODIFIED"}


def test_the_old_pool_is_created_before_the_new_one_and_both_stay(story: Story) -> None:
    for name in story.sent:
        first: dict[Kind, int] = {}
        for kind in (kinds.POOL_V1ALPHA2, kinds.POOL_V1):
            seen = story.of(kind, name)
            assert seen[0].type == "ADDED", name
            assert {each.type for each in seen[1:]} <= {"MODIFIED"}, name
            first[kind] = seen[0].revision
        # The route is no part of the order: a pool that waits for its turn holds nothing else up (ARCH-5).
        assert first[kinds.POOL_V1ALPHA2] < first[kinds.POOL_V1], name


def test_traffic_moves_only_to_an_accepted_pool(story: Story) -> None:
    for name in story.sent:
        turn = next(each for each in story.of(kinds.HTTP_ROUTE, name) if traffic(each.object) == AFTER)
        pool = [each for each in story.of(kinds.POOL_V1, name) if each.revision < turn.revision][-1]
        (parent,) = pool.object["status"]["parents"]
        states = {found["type"]: found["status"] for found in parent["conditions"]}
        assert states["Accepted"] == "True", name


@pytest.mark.parametrize(
    "type_", ["InferencePoolReady", "HTTPRoutesReady", "RouterReady", "WorkloadsReady", "Ready"]
)
def test_every_service_says_that_it_is_ready(story: Story, type_: str) -> None:
    found = {name: condition(obj, type_)[0] for name, obj in story.services[kinds.SERVICE].items()}
    assert found == dict.fromkeys(story.sent, "True")


def test_the_status_keeps_a_copy_of_the_lock_and_knows_the_generation(story: Story) -> None:
    for service in story.services[kinds.SERVICE].values():
        assert dig(service, "status", "annotations", names.MIGRATED) == "v1"
        assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
        assert service["metadata"]["generation"] == 1


def test_each_migration_is_told_once(story: Story) -> None:
    for name in story.sent:
        found = [event for event in story.events_of(name) if event["reason"] == "InferencePoolMigrated"]
        assert [event["type"] for event in found] == ["Normal"], name
        assert not dig(found[0], "series"), name
        assert found[0]["regarding"]["kind"] == "LLMInferenceService"


def test_nothing_went_wrong_on_the_way(story: Story) -> None:
    # A kube-apiserver tells of its own repairs in the same namespace.
    events = [event for name in story.sent for event in story.events_of(name)]
    assert len(events) > SERVICES
    warnings = {(e["reason"], e.get("note", "")) for e in events if e["type"] != "Normal"}
    # Many of the fleet serve the same few models, each on its own (MODEL-3).
    assert {reason for reason, _ in warnings} == {"ModelNameCollision"}, warnings
    assert story.moved.conversion_failures == 0


def test_both_versions_can_be_read_and_the_users_words_stay(story: Story) -> None:
    for kind, found in story.services.items():
        assert found.keys() == story.sent.keys()
        assert {obj["apiVersion"] for obj in found.values()} == {kind.api_version}
    for name, sent in story.sent.items():
        kind = kinds.SERVICE if sent["apiVersion"] == kinds.V1ALPHA2 else kinds.SERVICE_V1ALPHA1
        assert holds(story.services[kind][name]["spec"], sent["spec"]), name
        for other in story.services.values():
            assert other[name]["metadata"]["uid"] == story.services[kind][name]["metadata"]["uid"]
            assert _said_in_both(other[name]) == _said_in_both(story.services[kind][name])


_ONLY_NEW = ("appliedConfigs", "router", "workloads")


def _said_in_both(service: Any) -> Any:
    """The status as far as both versions have fields for it; the rest v1alpha1 carries in an annotation."""
    status = {key: value for key, value in service["status"].items() if key not in _ONLY_NEW}
    only_new = ("origin", "models")
    shown = [
        {key: value for key, value in each.items() if key not in only_new} for each in status["addresses"]
    ]
    return {**status, "addresses": shown}


def holds(found: Any, wanted: Any) -> bool:
    """Everything wanted is there; defaults may have been added."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and holds(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(holds, found, wanted))
    return bool(found == wanted)


def test_nothing_is_written_afterwards(story: Story) -> None:
    assert story.moved.writes > 15 * SERVICES
    assert story.afterwards.writes == 0
    assert story.afterwards.conversions == 0


def test_a_deleted_fleet_leaves_nothing_behind(story: Story) -> None:
    assert len(story.made - story.before) > 8 * SERVICES
    assert story.left == story.before
