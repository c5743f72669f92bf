"""What admission says to carrier annotations that their field would refuse, and that the bounds are the schema's."""

import json
from typing import Any

import pytest

from aioctl.api import carrier_checks, validation
from aioctl.api.admission import review_admission
from aioctl.api.carrier_checks import LORA_CRITICALITIES, TARGET_PORTS, UPSTREAM_CRITICALITY
from aioctl.api.names import CRITICALITY
from aioctl.api.schema_checks import fits
from testbed.shipped_files import OURS, crd

TWO = '[{"number":8000},{"number":8001}]'


def annotated(kind: str = "LLMInferenceService", **annotations: str) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "a", "namespace": "ns", "annotations": annotations},
        "spec": {},
    }


def problem(**annotations: str) -> str:
    found = list(carrier_checks.problems(annotated(**annotations)))
    assert len(found) <= 1
    return found[0][2].partition(";")[0] if found else ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TWO, ""),
        ('[{"number":8000,"name":"http"}]', ""),
        (
            '[{"number":8000},{"number":"http"}]',
            '[1].number is "http", must be a whole number from 1 to 65535',
        ),
        ('[{"number":-1}]', "[0].number is -1, must be a whole number from 1 to 65535"),
        ('[{"number":2.5}]', "[0].number is 2.5, must be a whole number from 1 to 65535"),
        ('[{"number":true}]', "[0].number is true, must be a whole number from 1 to 65535"),
        ('[{"number":65536}]', "[0].number is 65536, must be a whole number from 1 to 65535"),
        ("[{}]", "[0].number is null, must be a whole number from 1 to 65535"),
        ("[8000]", "[0] is 8000, must be an object with number"),
        ('[{"number":1},{"number":1}]', "[1].number is 1 again, must be unique"),
        ("[]", "the list has 0 entries, must have 1 to 8"),
        (json.dumps([{"number": 1}] * 45), "the list has 45 entries, must have 1 to 8"),
        ('{"number":1}', 'the value is {"number":1}, must be a list'),
        ("8000,8001", 'the value is "8000,8001", must be JSON'),
        ("[" * 100_000, f'the value is "{"[" * 39}..., must be JSON'),
        ("", 'the value is "", must be JSON'),
    ],
    ids=lambda text: text[:30],
)
def test_target_ports_are_checked_like_the_field(text: str, expected: str) -> None:
    assert problem(**{TARGET_PORTS: text}) == expected


@pytest.mark.parametrize("key", [CRITICALITY, UPSTREAM_CRITICALITY])
def test_a_criticality_is_one_of_the_levels(key: str) -> None:
    assert problem(**{key: "Sheddable"}) == ""
    expected = 'the value is "high", must be one of Critical, Standard, Sheddable'
    assert problem(**{key: "high"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"0":"Critical","10":"odd"}', ""),
        ('{"0":1}', "[0] is 1, must be a string"),
        ('{"01":"a"}', 'key is "01", must be the index of an adapter, such as 0'),
        ('{"\u0661":"a"}', 'key is "\u0661", must be the index of an adapter, such as 0'),
        ('["a"]', 'the value is ["a"], must be an object from index to value'),
    ],
)
def test_adapter_criticalities_are_texts_by_index(text: str, expected: str) -> None:
    assert problem(**{LORA_CRITICALITIES: text}) == expected


def judged(new: dict[str, Any], old: dict[str, Any] | None = None) -> tuple[bool, int, str]:
    request = {"uid": "u", "operation": "UPDATE" if old else "CREATE", "object": new, "oldObject": old}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    answer = review_admission(body.encode(), "application/json", version="v1alpha1", kind=new["kind"])
    response = json.loads(answer)["response"]
    return response["allowed"], response["status"]["code"], response["status"].get("message", "")


@pytest.mark.parametrize(("kind", "code"), [("LLMInferenceService", 422), ("LLMInferenceServiceConfig", 403)])
def test_admission_names_annotation_entry_and_cure(kind: str, code: int) -> None:
    allowed, found, message = judged(annotated(kind, **{TARGET_PORTS: '[{"number":8000},{"number":-1}]'}))
    assert (allowed, found) == (False, code)
    assert f"metadata.annotations[{TARGET_PORTS}]" in message
    assert "[1].number is -1, must be a whole number from 1 to 65535" in message
    assert "leave the annotation out" in message
    assert judged(annotated(kind, **{TARGET_PORTS: TWO})) == (True, 200, "")


@pytest.mark.parametrize("kind", ["LLMInferenceService", "LLMInferenceServiceConfig"])
def test_an_object_that_had_the_fault_can_be_changed_but_not_with_another_one(kind: str) -> None:
    stored = annotated(kind, **{TARGET_PORTS: "[-1]"})
    labelled = {**stored, "metadata": {**stored["metadata"], "labels": {"a": "b"}}}
    assert judged(labelled, stored)[0]
    assert judged(annotated(kind), stored)[0]
    assert not judged(annotated(kind, **{TARGET_PORTS: "[-2]"}), stored)[0]
    assert not judged(stored, annotated(kind))[0]


def test_an_object_being_deleted_is_not_judged() -> None:
    leaving = annotated(**{TARGET_PORTS: "[-1]"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert validation.validate(leaving) == []


@pytest.mark.parametrize("plural", OURS)
def test_the_bounds_are_those_of_the_crd(plural: str) -> None:
    versions = {v["name"]: v for v in crd(plural)["spec"]["versions"]}
    spec = versions["v1alpha2"]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    pool = spec["router"]["properties"]["scheduler"]["properties"]["pool"]["properties"]["spec"]
    ports = pool["properties"]["targetPorts"]
    check = carrier_checks.target_ports
    number = ports["items"]["properties"]["number"]
    assert ports["items"]["required"] == ["number"]
    for value in (number["minimum"], number["maximum"]):
        assert fits(check, [{"number": value}])
    for value in (number["minimum"] - 1, number["maximum"] + 1):
        assert not fits(check, [{"number": value}])
    full = [{"number": index + 1} for index in range(ports["maxItems"])]
    assert fits(check, full)
    assert not fits(check, [*full, {"number": 100}])
    # The Config kind has no least count: a preset may leave its ports to the service.
    least = ports.get("minItems", 1)
    assert fits(check, full[:least])
    assert not fits(check, full[: least - 1])
    old = versions["v1alpha1"]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert tuple(old["model"]["properties"]["criticality"]["enum"]) == carrier_checks.LEVELS
