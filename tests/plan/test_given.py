"""What a service no longer gives goes, and what others set stays (WORK-10)."""

from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.names import GIVEN, GIVEN_PODS
from aioctl.api.objects import annotations_of, labels_of, mapping
from testbed.plan_world import HF, MAIN, World, service
from tests.plan import picker_world
from tests.plan.workload_world import rollouts, run, without_record

OTHER = {"containers": [{"name": "main", "image": "vllm:v2"}]}
GIVING = {**HF, "labels": {"team": "a"}, "annotations": {"note": "n", "more": "m"}}
LESS = {**HF, "annotations": {"more": "m"}}
OF = service(
    annotations={"prometheus.io/scrape": "true", "leaderworkerset.sigs.k8s.io/exclusive-topology": "rack"}
)
WORKLOADS: list[tuple[Any, str, dict[str, Any]]] = [
    (kinds.DEPLOYMENT, "svc-kserve", {}),
    (kinds.LEADER_WORKER_SET, "svc-kserve-mn", {"worker": MAIN}),
]


def templates(workload: Any) -> Iterator[Any]:
    groups = mapping(workload, "spec", "leaderWorkerTemplate")
    for found in (
        mapping(workload, "spec", "template"),
        mapping(groups, "leaderTemplate"),
        mapping(groups, "workerTemplate"),
    ):
        if found:
            yield found["metadata"]


def settled(spec: dict[str, Any], **more: Any) -> World:
    world = World()
    for _ in range(2):
        assert run(world, spec, **more) is None
    world.writes.clear()
    return world


@pytest.mark.parametrize(("kind", "name", "more"), WORKLOADS)
def test_an_annotation_that_the_spec_no_longer_has_leaves_pods_with_their_next_replacement(
    kind: Any, name: str, more: dict[str, Any]
) -> None:
    world = settled({**GIVING, **more})
    for pod in templates(world.get(kind, name)):
        pod["annotations"]["theirs"] = "x"
    assert run(world, {**LESS, **more}) is None
    assert rollouts(world) == []
    for pod in templates(world.get(kind, name)):
        assert pod["annotations"] == {"note": "n", "more": "m", "theirs": "x"}
    world.writes.clear()
    assert run(world, {**LESS, **more}) is None
    assert world.writes == [], "what stays in pods for now is no reason to write"
    rolled = {**LESS, **more, **dict.fromkeys(("template", *more), OTHER)}
    assert run(world, rolled) is None
    for pod in templates(world.get(kind, name)):
        assert pod["annotations"] == {"more": "m", "theirs": "x"}
    assert annotations_of(world.get(kind, name))[GIVEN_PODS] == "more"
    world.writes.clear()
    assert run(world, rolled) is None
    assert world.writes == []


@pytest.mark.parametrize(("kind", "name", "more"), WORKLOADS)
def test_what_the_service_itself_no_longer_says_goes_from_the_workload_with_the_write_of_its_record(
    kind: Any, name: str, more: dict[str, Any]
) -> None:
    world = settled({**HF, **more}, of=OF)
    live = world.get(kind, name)
    assert annotations_of(live)["prometheus.io/scrape"] == "true"
    live["metadata"]["annotations"]["theirs"] = "x"
    assert run(world, {**HF, **more}) is None
    assert rollouts(world) == []
    assert without_record(annotations_of(world.get(kind, name))) == {"theirs": "x"}
    assert GIVEN not in annotations_of(world.get(kind, name))
    assert [pod["annotations"]["prometheus.io/scrape"] for pod in templates(world.get(kind, name))]
    world.writes.clear()
    assert run(world, {**HF, **more}) is None
    assert world.writes == []


def test_a_label_or_annotation_that_the_spec_no_longer_has_goes_from_the_service_with_its_next_write() -> (
    None
):
    world = settled(GIVING)
    live = world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")
    assert annotations_of(live)[GIVEN] == "more,note,team"
    live["metadata"]["labels"]["theirs"] = live["metadata"]["annotations"]["theirs"] = "x"
    before = labels_of(live)
    assert run(world, LESS) is None
    assert kinds.CORE_SERVICE not in [write.kind for write in world.writes], "as in KServe"
    other = {**LESS, "annotations": {"more": "other"}}
    assert run(world, other) is None
    live = world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")
    assert labels_of(live) == {key: value for key, value in before.items() if key != "team"}
    assert annotations_of(live) == {"more": "other", "theirs": "x", GIVEN: "more"}
    world.writes.clear()
    assert run(world, other) is None
    assert world.writes == []


@pytest.mark.parametrize(("kind", "name", "more"), WORKLOADS)
def test_what_others_say_of_a_workload_under_a_key_of_its_pods_stays(
    kind: Any, name: str, more: dict[str, Any]
) -> None:
    world = settled({**GIVING, **more})
    world.get(kind, name)["metadata"]["annotations"]["note"] = "theirs"
    assert run(world, {**GIVING, **more}) is None
    assert world.writes == []
    assert run(world, {**GIVING, **more, "replicas": 3}) is None
    assert annotations_of(world.get(kind, name))["note"] == "theirs"


@pytest.mark.parametrize(("kind", "name", "more"), WORKLOADS)
def test_objects_without_a_record_are_not_written_for_it(kind: Any, name: str, more: dict[str, Any]) -> None:
    """As another controller, or an earlier release, left them."""
    world = settled({**GIVING, **more}, of=OF)
    for found in (world.get(kind, name), world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")):
        for record in (GIVEN, GIVEN_PODS):
            found["metadata"]["annotations"].pop(record, None)
    assert run(world, {**GIVING, **more}, of=OF) is None
    assert world.writes == []


def test_an_annotation_that_the_scheduler_no_longer_has_leaves_the_pickers_pods() -> None:
    world = World()
    for _ in range(2):
        picker_world.run(world, picker_world.spec_with(annotations={"note": "n"}))
    name = "svc-kserve-router-scheduler"
    pod = next(templates(world.get(kinds.DEPLOYMENT, name)))
    assert pod["annotations"] == {"note": "n"}
    pod["annotations"]["theirs"] = "x"
    picker_world.run(world, picker_world.spec_with(labels={"team": "a"}))
    pod = next(templates(world.get(kinds.DEPLOYMENT, name)))
    assert pod["annotations"] == {"theirs": "x"}
    assert annotations_of(world.get(kinds.DEPLOYMENT, name)) == {}


def test_the_pickers_account_has_no_rights_any_more_of_an_account_that_the_model_server_left() -> None:
    """Such as a cloud's role, which its pods would go on having."""
    world = World()
    role = {"annotations": {"eks.amazonaws.com/role-arn": "arn:models"}}
    world.put(kinds.SERVICE_ACCOUNT, "first", metadata=role)
    world.put(kinds.SERVICE_ACCOUNT, "second")
    for account, annotations in (
        ("first", role["annotations"]),
        ("second", {}),
        ("first", role["annotations"]),
    ):
        spec = {**picker_world.SPEC, "template": {**MAIN, "serviceAccountName": account}}
        picker_world.run(world, spec)
        live = world.get(kinds.SERVICE_ACCOUNT, "svc-epp-sa")
        live["metadata"].setdefault("annotations", {})["theirs"] = "x"
        assert without_record(annotations_of(live)) == {**annotations, "theirs": "x"}
        assert picker_world.run(world, spec) == []
