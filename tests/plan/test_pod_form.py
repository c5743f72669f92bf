"""FORM-1: what keeps pods as they are, and what brings them the form of today."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.objects import annotations_of
from aioctl.api.records import changed
from aioctl.plan import workload
from aioctl.plan.global_config import StorageConfig
from aioctl.plan.model import Verb
from aioctl.plan.policy import PodForm, Policy
from aioctl.plan.workload import initializer
from aioctl.plan.workload.pod_form import (
    WORKLOADS_BEHIND,
    Record,
    Standing,
    Verdict,
    confirmed,
    decide,
    recorded,
    settled_by_another,
    template_digest,
)
from testbed.plan_world import CONFIG, HF, MAIN, STORAGE, World, service
from tests.plan.workload_world import DECODE, rollouts, run

RECORD = Record("inputs", "live")
STANDING = Standing("inputs", "wanted", "live", RECORD, settled=False, current=False)
GROUPS: dict[str, Any] = {**HF, "worker": MAIN}
NEWER = replace(CONFIG, storage=replace(STORAGE, image="kserve/storage-initializer:next", memory_limit="2Gi"))
CURRENT = Policy(pod_form=PodForm.CURRENT)
SETTLED = {"observedGeneration": 3, "conditions": [{"type": "PresetsCombined", "status": "True"}]}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"live": None, "record": None}, Verdict.WRITE),
        ({"live": None, "record": None, "settled": True}, Verdict.WRITE),
        ({"sent": "live", "record": None}, Verdict.KEEP),
        ({"sent": "live", "record": Record("others", "else")}, Verdict.KEEP),
        ({"record": None, "settled": True}, Verdict.ADOPT),
        ({"record": None}, Verdict.WRITE),
        ({"inputs": "others"}, Verdict.WRITE),
        ({"inputs": "others", "settled": True}, Verdict.WRITE),
        ({"record": Record("inputs", "before the edit")}, Verdict.WRITE),
        ({"record": Record("inputs", "before the edit"), "settled": True}, Verdict.WRITE),
        ({"record": Record("inputs", "live", sent="wanted")}, Verdict.KEEP),
        ({"record": Record("inputs", "live", sent="former")}, Verdict.HOLD),
        ({}, Verdict.HOLD),
        ({"settled": True}, Verdict.HOLD),
    ],
)
@pytest.mark.parametrize("current", [False, True])
def test_the_table(changes: Mapping[str, Any], wanted: Verdict, current: bool) -> None:
    if current and wanted in (Verdict.ADOPT, Verdict.HOLD):
        wanted = Verdict.ROLL
    assert decide(replace(STANDING, **changes, current=current)) is wanted


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        ({"observedGeneration": 3}, True),
        (SETTLED, True),
        ({**SETTLED, "conditions": [{"type": "MainWorkloadReady", "status": "False"}]}, True),
        ({**SETTLED, "conditions": [{"type": "PresetsCombined", "status": "False"}]}, False),
        ({**SETTLED, "conditions": "none"}, True),
        ({**SETTLED, "annotations": {WORKLOADS_BEHIND: "true"}}, False),
        ({"observedGeneration": 2}, False),
        ({}, False),
    ],
)
def test_whether_another_controller_was_done(status: Mapping[str, Any], settled: bool) -> None:
    assert settled_by_another({"metadata": {"generation": 3}, "status": status}) is settled


def test_a_record_of_another_version_is_none() -> None:
    found = {"metadata": {"annotations": {"aioctl.dev/inputs": "1:a", "aioctl.dev/template": "1:b"}}}
    assert recorded(found) is None
    assert recorded({"metadata": {"annotations": {"aioctl.dev/inputs": "2:a"}}}) is None


def test_only_who_is_told_the_pool_is_written_when_it_is_another() -> None:
    elsewhere = {"router": {"scheduler": {"pool": {"ref": {"name": "pool-of-others"}}}}}
    world = settled({**HF, "router": {}})
    assert run(world, {**HF, **elsewhere}) is None
    assert world.writes == []
    world = settled(DECODE)
    assert run(world, {**DECODE, **elsewhere}) is None
    assert rollouts(world) == ["svc-kserve"]


def test_neither_empty_values_nor_a_restart_make_another_template() -> None:
    bare = {"spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}}}
    annotations = {"kubectl.kubernetes.io/restartedAt": "now"}
    filled = {
        "spec": {
            "template": {
                "metadata": {
                    "labels": {"a": "b"},
                    "creationTimestamp": None,
                    "annotations": annotations,
                },
                "spec": {"containers": [], "securityContext": {}},
            }
        }
    }
    assert template_digest(bare) == template_digest(filled)
    annotations["mine"] = "x"
    assert template_digest(bare) != template_digest(filled)


def settled(spec: Mapping[str, Any] = HF, of: Any = None, **more: Any) -> World:
    """A world in which the service is settled, and nothing was written since."""
    world = World()
    for _ in range(2):
        assert run(world, dict(spec), of=of, **more) is None
    world.writes.clear()
    return world


def held(world: World, spec: Mapping[str, Any], **more: Any) -> list[str]:
    return [str(found) for part in workload.steps(world.context(spec, **more)) for found in part.held]


def forgotten(world: World) -> World:
    """As another controller leaves it: nothing is remembered beside the pods."""
    for obj in world.objects.values():
        for key in [key for key in annotations_of(obj) if key.startswith("aioctl.dev/")]:
            del obj["metadata"]["annotations"][key]
    return world


@pytest.mark.parametrize(
    ("spec", "name"), [(HF, "Deployment svc-kserve"), (GROUPS, "LeaderWorkerSet svc-kserve-mn")]
)
def test_what_is_remembered_rides_in_the_creation(spec: Mapping[str, Any], name: str) -> None:
    world = World()
    assert run(world, dict(spec)) is None
    (made,) = [write for write in world.writes if f"{write.kind.kind} {write.name}" == name]
    assert made.verb is Verb.CREATE
    stored = world.objects[made.ref]
    assert recorded(stored) == Record(annotations_of(stored)["aioctl.dev/inputs"], template_digest(stored))
    world.writes.clear()
    assert run(world, dict(spec)) is None
    assert [write for write in world.writes if write.kind is not kinds.SECRET] == []


@pytest.mark.parametrize("spec", [HF, GROUPS])
def test_an_administrators_image_and_amounts_for_downloads_restart_nothing(spec: Mapping[str, Any]) -> None:
    world = settled(spec)
    assert run(world, dict(spec), config=NEWER) is None
    assert world.writes == []
    assert len(held(world, spec, config=NEWER)) == 1
    assert held(world, spec) == []


@pytest.mark.parametrize("spec", [HF, GROUPS])
def test_a_default_of_another_release_restarts_nothing(
    spec: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = settled(spec)
    monkeypatch.setattr(initializer, "_DEFAULT_IMAGE", "kserve/storage-initializer:v9")
    bare = replace(CONFIG, storage=StorageConfig())
    assert run(world, dict(spec), config=bare) is None
    assert world.writes == []
    assert len(held(world, spec, config=bare)) == 1


@pytest.mark.parametrize("spec", [HF, GROUPS])
def test_an_edit_brings_everything_of_today_in_one_rollout(spec: Mapping[str, Any]) -> None:
    world = settled(spec)
    edited = {**spec, "annotations": {"note": "n"}}
    assert run(world, edited, config=NEWER) is None
    assert len(rollouts(world)) == 1
    assert not any(write.rolls for write in world.writes)
    assert held(world, edited, config=NEWER) == []
    world.writes.clear()
    assert run(world, edited, config=NEWER) is None
    assert world.writes == []


def test_what_is_around_the_pods_applies_while_they_are_held() -> None:
    world = settled()
    assert run(world, {**HF, "replicas": 4, "rolloutStrategy": {"maxSurge": 1}}, config=NEWER) is None
    assert rollouts(world) == []
    found = world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]
    assert (found["replicas"], found["strategy"]["rollingUpdate"]) == (4, {"maxSurge": 1})
    assert held(world, HF, config=NEWER) == ["Deployment svc-kserve"]


@pytest.mark.parametrize("spec", [HF, GROUPS])
def test_a_hand_edit_of_the_pods_is_put_right(spec: Mapping[str, Any]) -> None:
    world = settled(spec)
    kind, name = (
        (kinds.LEADER_WORKER_SET, "svc-kserve-mn") if "worker" in spec else (kinds.DEPLOYMENT, "svc-kserve")
    )
    live = world.get(kind, name)
    groups = live["spec"].get("leaderWorkerTemplate")
    pod = groups["workerTemplate"]["spec"] if groups else live["spec"]["template"]["spec"]
    pod["containers"][0]["image"] = "by-hand"
    assert run(world, dict(spec), config=NEWER) is None
    assert rollouts(world) == [name]
    assert "by-hand" not in str(world.get(kind, name)["spec"])
    assert held(world, spec, config=NEWER) == []


def test_a_restart_that_a_user_asked_for_is_no_edit() -> None:
    world = settled()
    template = world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]["template"]
    template["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "now"}
    assert run(world, HF, config=NEWER) is None
    assert world.writes == []
    assert held(world, HF, config=NEWER) == ["Deployment svc-kserve"]


@pytest.mark.parametrize("spec", [HF, GROUPS])
def test_taking_over_writes_down_what_stands_and_holds_it(spec: Mapping[str, Any]) -> None:
    of = service(generation=3)
    world = forgotten(settled(spec, of=of))
    taken = {**of, "status": SETTLED}
    assert run(world, dict(spec), of=taken, config=NEWER) is None
    (write,) = world.writes
    assert rollouts(world) == []
    assert write.confirm
    assert len(held(world, spec, of=taken, config=NEWER)) == 1
    world.writes.clear()
    edited = {**spec, "annotations": {"note": "n"}}
    assert (
        run(world, edited, of={**taken, "metadata": {**of["metadata"], "generation": 4}}, config=NEWER)
        is None
    )
    assert len(rollouts(world)) == 1


def test_an_edit_that_the_former_controller_did_not_get_to_is_applied() -> None:
    of = service(generation=4)
    world = forgotten(settled(of=of))
    assert run(world, HF, of={**of, "status": SETTLED}, config=NEWER) is None
    assert rollouts(world) == ["svc-kserve"]


@pytest.mark.parametrize("spec", [HF, GROUPS])
@pytest.mark.parametrize(
    ("said", "policy", "rolls"),
    [
        ("", Policy(), False),
        ("", CURRENT, True),
        ("current", Policy(), True),
        ("keep", CURRENT, False),
        ("unheard of", CURRENT, True),
    ],
)
def test_who_wants_the_current_form_gets_it_paced(
    spec: Mapping[str, Any], said: str, policy: Policy, rolls: bool
) -> None:
    world = settled(spec)
    of = service(annotations={"aioctl.dev/pod-form": said} if said else {})
    assert run(world, dict(spec), of=of, config=NEWER, policy=policy) is None
    assert len(rollouts(world)) == rolls
    assert all(write.rolls for write in world.writes)
    world.writes.clear()
    assert run(world, dict(spec), of=of, config=NEWER, policy=policy) is None
    assert world.writes == []


def test_credentials_are_among_the_inputs() -> None:
    world = World()
    world.put(kinds.SERVICE_ACCOUNT, "default", secrets=[{"name": "hf"}])
    world.put(kinds.SECRET, "hf", data={"HF_TOKEN": "dA=="})
    for _ in range(2):
        assert run(world, HF) is None
    world.writes.clear()
    world.get(kinds.SECRET, "hf")["data"]["HF_TOKEN"] = "bmV3"  # another value of a reference
    assert run(world, HF) is None
    assert world.writes == []
    world.put(kinds.SERVICE_ACCOUNT, "default", secrets=[{"name": "hf"}, {"name": "s3"}])
    world.put(kinds.SECRET, "s3", data={"AWS_SECRET_ACCESS_KEY": "dA=="})
    assert run(world, HF) is None
    assert rollouts(world) == ["svc-kserve"]


def test_what_an_admission_webhook_makes_of_pods_is_remembered_with_what_was_sent() -> None:
    world = settled()
    live = world.get(kinds.DEPLOYMENT, "svc-kserve")
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "mirror.local/vllm:v1"
    assert run(World(dict(world.objects)), HF) is None
    (write,) = [
        write
        for part in workload.steps(world.context(HF))
        for write in part.writes
        if write.kind is kinds.DEPLOYMENT
    ]
    assert write.confirm
    assert write.body is not None
    # The dry run goes through the webhook, too: what it answers is what stands.
    answer = {**write.body, "spec": live["spec"]}
    body, foreseen = confirmed(write.body, answer)
    sent = annotations_of(write.body)["aioctl.dev/template"]
    assert recorded(body) == recorded(foreseen)
    assert recorded(body) == Record(annotations_of(body)["aioctl.dev/inputs"], template_digest(live), sent)
    world.apply([changed(write, body={**body, "spec": live["spec"]})])
    world.writes.clear()
    assert run(world, HF) is None
    assert world.writes == []
    assert held(world, HF) == []
    assert run(world, HF, config=NEWER) is None
    assert world.writes == []
    assert held(world, HF, config=NEWER) == ["Deployment svc-kserve"]
