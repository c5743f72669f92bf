"""What a dry run is asked about, and what its answers mean for plan and status.

Rules: PRESET-8.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from aioctl import shipped
from aioctl.api import admission_warnings, kinds, names, service_names
from aioctl.api.conditions import PRESETS_COMBINED
from aioctl.api.conversion import up
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import Object
from aioctl.api.validation import validate
from aioctl.plan import status, trial
from aioctl.plan.combine import Combined, combine
from aioctl.plan.dry_run import RECHECK, candidate
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome, Part, Plan
from aioctl.plan.observation import Unknown
from aioctl.plan.offline import facts
from aioctl.plan.order import plan
from aioctl.plan.policy import Policy
from aioctl.plan.trial import Accepted, DryRunResult, Rejected, Unavailable
from aioctl.sim import fleet
from testbed.plan_world import CONFIG, NOW

ERROR = 'LLMInferenceService.serving.kserve.io "svc-validation-abcde" is invalid: spec.replicas: too many'


def service(annotations: Mapping[str, str] | None = None, name: str = "svc", **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": "u",
        "generation": 1,
        "finalizers": [names.FINALIZER],
        "labels": {"team": "a"},
        "annotations": dict(annotations or {}),
    }
    return {"apiVersion": kinds.V1ALPHA2, "kind": "LLMInferenceService", "metadata": metadata, "spec": spec}


def world(verdict: DryRunResult) -> Facts:
    """One preset and one config, the settings that KServe ships, and an API server that says this of every service."""

    def config(name: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        metadata = {"name": name, "namespace": namespace}
        return {"apiVersion": kinds.V1ALPHA2, "kind": kinds.CONFIG.kind, "metadata": metadata, "spec": spec}

    container = {"name": "main", "image": "preset"}
    preset = config("kserve-config-llm-template", "kserve", {"template": {"containers": [container]}})
    found = facts([preset, config("base", "ns", {"labels": {"a": "b"}})], Policy())
    return replace(found, admission=lambda _: verdict)


def decided(verdict: DryRunResult, **given: Any) -> Plan:
    spec: dict[str, Any] = {"model": {"uri": "hf://a/b", "name": "m"}, "baseRefs": [{"name": "base"}]}
    return plan(world(verdict), service(**spec, **given), Policy(), NOW)


def presets_combined(found: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The condition PresetsCombined and the whole status, when the plan's last step failed."""
    failed = found.steps[-1] if found.steps and found.steps[-1].error else None
    outcome = Outcome(failed=failed, error=failed.error if failed else "")
    made = status.conclude(found, outcome, world(Accepted()), Policy(), NOW)
    return next(each for each in made["conditions"] if each["type"] == PRESETS_COMBINED), made


APPLIED = [
    {"name": "kserve-config-llm-template", "namespace": "kserve", "source": "Preset"},
    {"name": "base", "namespace": "ns", "source": "UserRef"},
]
MERGED = "dry-run validation failed after merging configs [Preset:kserve/kserve-config-llm-template, UserRef:ns/base]: "


@pytest.mark.parametrize(
    ("verdict", "state", "reason", "error", "revisit"),
    [
        (
            Rejected(ERROR, "spec.replicas: too many"),
            "False",
            "InvalidRenderedConfig",
            f"terminal error: rendered config rejected: {ERROR}",
            RECHECK,
        ),
        (
            Unavailable("no route to host", "spec.replicas: too many", wait=7.0),
            "Unknown",
            "ValidationUnavailable",
            "failed to dry-run validate rendered config: no route to host",
            7.0,
        ),
    ],
)
def test_a_spec_that_is_not_accepted_is_told_and_nothing_is_made_of_it(
    verdict: DryRunResult, state: str, reason: str, error: str, revisit: float
) -> None:
    found = decided(verdict)
    last = found.steps[-1]
    assert last.part is Part.COMBINE
    assert last.outer + last.error == error
    assert last.revisit == revisit
    assert not any(step.writes for step in found.steps)
    condition, made = presets_combined(found)
    assert (condition["status"], condition["reason"]) == (state, reason)
    assert condition["message"] == f"{MERGED}spec.replicas: too many"
    ready = next(each for each in made["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == (state, reason)
    assert made["appliedConfigs"] == APPLIED


def test_an_accepted_spec_is_built() -> None:
    found = decided(Accepted())
    assert any(write.kind == kinds.DEPLOYMENT for step in found.steps for write in step.writes)


def test_until_it_is_answered_nothing_is_done() -> None:
    class Unasked(Facts):
        def try_out(self, candidate: Object) -> DryRunResult | Unknown:
            return Unknown("not yet")

    spec: dict[str, Any] = {"model": {"uri": "hf://a/b", "name": "m"}, "baseRefs": [{"name": "base"}]}
    found = plan(Unasked(world(Accepted()).objects), service(**spec), Policy(), NOW)
    assert [step.unanswered for step in found.steps if step.unanswered] == ["not yet"]
    assert not any(step.writes for step in found.steps)


@pytest.mark.parametrize("verdict", [Rejected(ERROR, "x"), Unavailable(ERROR, "x")])
def test_a_stopped_service_goes_whatever_is_said_of_its_spec(verdict: DryRunResult) -> None:
    found = decided(verdict, annotations={names.STOP: "true"})
    condition, made = presets_combined(found)
    assert (condition["status"], condition["reason"]) == ("False", "Stopped")
    assert condition["message"] == f"Service is stopped with warning: {ERROR}"
    assert "appliedConfigs" not in made, "it says what it said"


@pytest.mark.parametrize("verdict", [Accepted(), Rejected(ERROR, "x")])
@pytest.mark.parametrize(("mode", "told"), [("native", True), ("modelcar", False)])
def test_what_the_cluster_lacks_for_images_is_told_of_a_stopped_service_too(
    verdict: DryRunResult, mode: str, told: bool
) -> None:
    """ART-5: it is about the cluster; KServe says it before it looks whether a service is stopped."""
    key = ObjectRef(kinds.CONFIG_MAP, "kserve", names.CONFIG_MAP_NAME)
    found = world(verdict)
    data = found.objects[key]["data"]
    storage = {**json.loads(data["storageInitializer"]), "ociModelMode": mode}
    stored = {**found.objects[key], "data": {**data, "storageInitializer": json.dumps(storage)}}
    found = replace(found, version=("1", "34"), objects={**found.objects, key: stored})
    stopped = service({names.STOP: "true"}, model={"uri": "hf://a/b", "name": "m"})
    made = status.conclude(plan(found, stopped, Policy(), NOW), Outcome(), found, Policy(), NOW)
    said = [entry for entry in made["conditions"] if entry["type"] == "OciImageVolumeCompatible"]
    assert [(entry["status"], entry["reason"]) for entry in said] == [("False", "ImageVolumeAlpha")] * told


# What is asked.


def combined(of: dict[str, Any], **spec: Any) -> Combined:
    return Combined({"model": {"uri": "hf://a/b", "name": "m"}, **spec}, of, ())


def test_labels_and_annotations_go_along_but_for_what_only_says_where_it_came_from() -> None:
    given = {
        "serving.kserve.io/exp-dra-device-class": "gpu.example.com",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "internal.serving.kserve.io/v1alpha2-spec": "{}",
    }
    asked = candidate(combined(service(given)))
    assert asked["metadata"] == {
        "generateName": "svc-validation-",
        "namespace": "ns",
        "labels": {"team": "a"},
        "annotations": {"serving.kserve.io/exp-dra-device-class": "gpu.example.com"},
    }
    assert (asked["apiVersion"], asked["kind"]) == (kinds.V1ALPHA2, "LLMInferenceService")


def test_no_shipped_preset_brings_a_warning_that_the_service_itself_has_not() -> None:
    presets = facts(shipped.objects(shipped.presets_folder()), Policy())
    shapes = [up(each) for each in fleet.services(40)]
    brought = {}
    for shape in shapes:
        made = candidate(combine(presets, shape, CONFIG, Policy()))
        told = set(admission_warnings.of_spec(made, None)) - set(admission_warnings.of_spec(shape, None))
        brought[shape["metadata"]["name"]] = told
    assert {name: told for name, told in brought.items() if told} == {}
    assert any("prefill" in shape["spec"] for shape in shapes)


@pytest.mark.parametrize("length", range(1, 64))
@pytest.mark.parametrize("worker", [False, True], ids=["single", "multi"])
def test_what_is_generated_is_never_what_is_refused(length: int, *, worker: bool) -> None:
    side: dict[str, Any] = (
        {"worker": {"containers": []}, "parallelism": {"data": 2, "dataLocal": 1}} if worker else {}
    )
    of = service(name="a" * length, **side)
    asked = candidate(combined(of, **side))
    prefix = asked["metadata"]["generateName"]
    generated = prefix[: service_names.LONGEST - 5] + "abcde"  # as the API server does
    made = {**asked, "metadata": {**asked["metadata"], "name": generated}}
    assert not [each for each in validate(made) if each.field == "metadata.name"]
    assert prefix in (names.child("a" * length, "-validation-"), "validation-")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({"kind": "EndpointPickerConfig"}, {"kind": "EndpointPickerConfig"}),
        (
            "kind: EndpointPickerConfig\nplugins:\n- type: a\n",
            {"kind": "EndpointPickerConfig", "plugins": [{"type": "a"}]},
        ),
        ('{"kind": "EndpointPickerConfig"}', {"kind": "EndpointPickerConfig"}),
        ("- no object\n", ["no object"]),
        ("# " + "x" * 40_000, {}),
    ],
)
def test_the_text_of_a_config_map_is_asked_about_as_an_object(given: Any, asked: Any) -> None:
    spec = {"router": {"scheduler": {"config": {"inline": given}, "replicas": 1}, "route": {}}}
    found = candidate(combined(service(), **spec))["spec"]["router"]
    assert found == {"scheduler": {"config": {"inline": asked}, "replicas": 1}, "route": {}}
    assert spec["router"]["scheduler"]["config"] == {"inline": given}, "what was combined is as it was"


def test_a_route_is_asked_about_as_it_will_hang_on_the_gateways_that_are_named() -> None:
    http = {
        "spec": {"parentRefs": [{"name": "of-the-preset", "namespace": "kserve"}], "hostnames": ["a.example"]}
    }
    refs = [{"name": "own"}, {"name": "theirs", "namespace": "other", "sectionName": "https"}]
    spec = {"router": {"gateway": {"refs": refs}, "route": {"http": http}}}
    asked = candidate(combined(service(), **spec))
    assert trial.in_process(asked) == Accepted(), "the parents of a preset are no conflict"
    gateway = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    assert asked["spec"]["router"]["route"]["http"]["spec"] == {
        "parentRefs": [{**gateway, **ref} for ref in refs],
        "hostnames": ["a.example"],
    }


# Our own rules in the place of the server's.


def test_where_nobody_may_ask_our_own_rules_decide() -> None:
    assert trial.in_process(candidate(combined(service()))) == Accepted()
    refused = trial.in_process(candidate(combined(service(), parallelism={"data": 2})))
    assert isinstance(refused, Rejected)
    assert refused.detail.startswith("spec.parallelism.dataLocal: Invalid value: null: dataLocal must be set")
    assert '"svc-validation-" is invalid: spec.parallelism.dataLocal: ' in refused.error
    wrong = trial.in_process(candidate(combined(service(), replicas="two")))
    assert isinstance(wrong, Rejected)
    assert "spec.replicas" in wrong.detail


def test_causes_are_told_by_field() -> None:
    causes = [{"field": "spec.a", "message": "is wrong"}, {"message": "so is all"}, {"field": "spec.b"}]
    assert trial.detail("error", {"causes": causes}) == "spec.a: is wrong; so is all"
    assert trial.detail("error", {}) == "error"
