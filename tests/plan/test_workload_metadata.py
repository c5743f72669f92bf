"""What of a service's metadata and spec reaches its workloads: labels, annotations, how pods are replaced (WORK-6, WORK-7)."""

from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.objects import annotations_of, labels_of, mapping
from aioctl.plan.model import Verb
from testbed.plan_world import HF, MAIN, World, service
from tests.plan.workload_world import rollouts, run, without_record

LOCAL_MODEL = "internal.serving.kserve.io/localmodel"
OF = service(
    labels={"kueue.x-k8s.io/queue-name": "q", LOCAL_MODEL: "opt", "custom": "x"},
    annotations={
        "prometheus.io/scrape": "true",
        f"{LOCAL_MODEL}-sourceuri": "hf://facebook/opt-125m",
        f"{LOCAL_MODEL}-pvc-name": "opt-gpu",
        "leaderworkerset.sigs.k8s.io/exclusive-topology": "rack",
        "custom": "x",
    },
)
OF_THE_SERVICE = {"kueue.x-k8s.io/queue-name": "q", LOCAL_MODEL: "opt"}
GROUPS_ONLY = {"leaderworkerset.sigs.k8s.io/exclusive-topology": "rack"}
COPIED = {
    "prometheus.io/scrape": "true",
    f"{LOCAL_MODEL}-sourceuri": "hf://facebook/opt-125m",
    f"{LOCAL_MODEL}-pvc-name": "opt-gpu",
}
SPEC: dict[str, Any] = {
    **HF,
    "labels": {"team": "a", "app.kubernetes.io/name": "spoof", "kueue.x-k8s.io/queue-name": "mine"},
    "annotations": {"note": "n", "serving.kserve.io/model-based-routing-enabled": "false"},
    "prefill": {"template": MAIN, "labels": {"team": "p"}, "annotations": {"note": "p"}},
}
GROUPS: dict[str, Any] = {**SPEC, "worker": MAIN, "prefill": {**SPEC["prefill"], "worker": MAIN}}

DEFAULT = {"maxUnavailable": 1, "maxSurge": 0}
"""What LeaderWorkerSet fills in."""


def foreign(found: Any) -> dict[str, Any]:
    """Labels without our own."""
    ours = ("app.kubernetes.io/", "kserve.io/component", "llm-d.ai/role")
    return {key: value for key, value in found.items() if not key.startswith(ours)}


def test_pods_get_what_the_spec_adds_and_deployments_only_what_the_service_itself_says() -> None:
    world = World()
    assert run(world, SPEC, of=OF) is None
    for name, team, note, queue in (("svc-kserve", "a", "n", "mine"), ("svc-kserve-prefill", "p", "p", "q")):
        deployment = world.get(kinds.DEPLOYMENT, name)
        pod = deployment["spec"]["template"]["metadata"]
        assert foreign(labels_of(deployment)) == OF_THE_SERVICE
        assert without_record(annotations_of(deployment)) == COPIED
        assert foreign(pod["labels"]) == {**OF_THE_SERVICE, "kueue.x-k8s.io/queue-name": queue, "team": team}
        assert pod["annotations"] == {**COPIED, "note": note}
        assert foreign(deployment["spec"]["selector"]["matchLabels"]) == {}
        assert (
            labels_of(deployment)["app.kubernetes.io/name"]
            == pod["labels"]["app.kubernetes.io/name"]
            == "svc"
        )
    found = world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")
    assert foreign(labels_of(found)) == {"team": "a", "kueue.x-k8s.io/queue-name": "mine"}
    assert labels_of(found)["app.kubernetes.io/name"] == "svc"
    assert without_record(annotations_of(found)) == {"note": "n"}


def test_sets_and_both_their_templates_do_the_same() -> None:
    world = World()
    assert run(world, GROUPS, of=OF) is None
    for name, team, note in (("svc-kserve-mn", "a", "n"), ("svc-kserve-mn-prefill", "p", "p")):
        found = world.get(kinds.LEADER_WORKER_SET, name)
        assert foreign(labels_of(found)) == OF_THE_SERVICE
        assert without_record(annotations_of(found)) == {**COPIED, **GROUPS_ONLY}
        for field in ("leaderTemplate", "workerTemplate"):
            pod = found["spec"]["leaderWorkerTemplate"][field]["metadata"]
            assert pod["labels"]["team"] == team
            assert pod["labels"]["app.kubernetes.io/name"] == "svc"
            assert pod["labels"][LOCAL_MODEL] == "opt"
            assert pod["annotations"] == {**COPIED, **GROUPS_ONLY, "note": note}


def test_labels_that_are_ours_are_told_of_once_a_write() -> None:
    world = World()
    assert run(world, SPEC, of=OF) is None
    assert [(write.name, *write.warnings) for write in world.writes if write.warnings] == [
        (
            "svc-kserve",
            (
                "ReservedLabel",
                "spec.labels: app.kubernetes.io/name left out: pods are selected by it, use another key",
            ),
        )
    ]
    assert run(world, SPEC, of=OF) is None
    world.writes.clear()
    assert run(world, SPEC, of=OF) is None
    assert world.writes == []


@pytest.mark.parametrize("spec", [SPEC, GROUPS])
@pytest.mark.parametrize("change", [{"team": "b"}, {"team": "a", "more": "m"}])
def test_a_label_of_the_spec_changes_on_a_live_service(spec: dict[str, Any], change: dict[str, str]) -> None:
    world = World()
    assert run(world, spec) is None
    world.writes.clear()
    assert run(world, {**spec, "labels": change}) is None
    kind, name = (
        (kinds.LEADER_WORKER_SET, "svc-kserve-mn") if "worker" in spec else (kinds.DEPLOYMENT, "svc-kserve")
    )
    workload = [(write.verb, write.name) for write in world.writes if write.kind is kind]
    assert workload == [(Verb.UPDATE, name)]
    template = mapping(world.get(kind, name), "spec")
    template = template.get("template") or template["leaderWorkerTemplate"]["workerTemplate"]
    assert foreign(template["metadata"]["labels"]) == change


@pytest.mark.parametrize("spec", [SPEC, GROUPS])
def test_a_label_or_annotation_that_the_spec_no_longer_has_restarts_nothing(spec: dict[str, Any]) -> None:
    spec = {**spec, "labels": {"team": "a"}}
    world = World()
    for _ in range(2):
        assert run(world, spec) is None
    world.writes.clear()
    assert run(world, {**spec, "labels": {}, "annotations": {}}) is None
    assert rollouts(world) == []
    world.writes.clear()
    assert run(world, {**spec, "labels": {}, "annotations": {}}) is None
    assert world.writes == []


def test_a_selector_with_labels_of_the_spec_stays_while_the_pods_have_them() -> None:
    world = World()
    assert run(world, SPEC) is None
    live = world.get(kinds.DEPLOYMENT, "svc-kserve")
    live["spec"]["selector"]["matchLabels"]["team"] = "a"
    world.writes.clear()
    assert run(world, {**SPEC, "labels": {"team": "a", "more": "m"}}) is None
    assert [(write.verb, write.kind) for write in world.writes if write.name == "svc-kserve"] == [
        (Verb.UPDATE, kinds.DEPLOYMENT)
    ]
    assert world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]["selector"]["matchLabels"]["team"] == "a"
    world.writes.clear()
    assert run(world, {**SPEC, "labels": {"team": "b"}}) is None
    assert [(write.verb, write.name) for write in world.writes if write.kind is kinds.DEPLOYMENT] == [
        (Verb.DELETE, "svc-kserve")
    ]


@pytest.mark.parametrize(
    ("given", "deployment", "group"),
    [
        (None, None, None),
        ({}, None, None),
        ({"maxUnavailable": 1}, {"maxUnavailable": 1}, {"maxUnavailable": 1, "maxSurge": 0}),
        ({"maxSurge": "50%"}, {"maxSurge": "50%"}, {"maxUnavailable": 1, "maxSurge": "50%"}),
        ({"maxUnavailable": 0, "maxSurge": 2},) + ({"maxUnavailable": 0, "maxSurge": 2},) * 2,
    ],
)
@pytest.mark.parametrize("prefill", [False, True])
def test_how_pods_are_replaced(given: Any, deployment: Any, group: Any, prefill: bool) -> None:
    """Set, settled, and removed again, on both kinds of workload and both sides."""
    suffix = "-prefill" if prefill else ""
    for kind, name, more in (
        (kinds.DEPLOYMENT, "svc-kserve", {}),
        (kinds.LEADER_WORKER_SET, "svc-kserve-mn", {"worker": MAIN}),
    ):
        side = {"template": MAIN, **more}
        plain = {**HF, "prefill": side} if prefill else {**HF, **side}
        rolling = {} if given is None else {"rolloutStrategy": given}
        spec = {**HF, "prefill": {**side, **rolling}} if prefill else {**plain, **rolling}
        world = World()
        for _ in range(2):
            assert run(world, spec) is None
        found = world.get(kind, f"{name}{suffix}")["spec"]
        if kind is kinds.DEPLOYMENT:
            assert found.get("strategy") == (
                deployment and {"type": "RollingUpdate", "rollingUpdate": deployment}
            )
        else:
            assert found["rolloutStrategy"] == {
                "type": "RollingUpdate",
                **({"rollingUpdateConfiguration": group} if group else {}),
            }
        world.writes.clear()
        assert run(world, spec) is None
        assert world.writes == []
        assert run(world, plain) is None
        assert [(write.verb, write.name) for write in world.writes] == (
            [(Verb.UPDATE, f"{name}{suffix}")]
            if given and (kind is kinds.DEPLOYMENT or group != DEFAULT)
            else []
        )


def test_a_strategy_that_the_api_server_filled_in_is_no_difference() -> None:
    world = World()
    spec = {**HF, "rolloutStrategy": {"maxUnavailable": 1}}
    for _ in range(2):
        assert run(world, spec) is None
    live = world.get(kinds.DEPLOYMENT, "svc-kserve")
    live["spec"]["strategy"]["rollingUpdate"]["maxSurge"] = "25%"
    world.writes.clear()
    assert run(world, spec) is None
    assert world.writes == []
    live["spec"]["strategy"] = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert run(world, HF) is None
    assert world.writes == []
    live["spec"]["strategy"] = {"type": "Recreate"}
    assert run(world, HF) is None
    assert [write.verb for write in world.writes] == [Verb.UPDATE]
