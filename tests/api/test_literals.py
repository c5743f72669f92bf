"""What an API server would refuse in pods is told of the service, where it is written (ADM-9, WORK-8)."""

from typing import Any

import pytest

from aioctl.api import admission_warnings, validation

LONG = "x" * 64


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {"model": {"uri": "hf://a/b"}, **spec},
    }


def tier(**file_system: Any) -> dict[str, Any]:
    return {"kvCacheOffloading": {"cpu": "1Gi", "secondary": [{"fileSystem": file_system}]}}


def claim(**ref: str) -> dict[str, Any]:
    return tier(pvc={"ref": {"name": "claim", **ref}})


def picker(**fields: Any) -> dict[str, Any]:
    return {"router": {"scheduler": fields}}


FILES = "kvCacheOffloading.secondary[0].fileSystem"


@pytest.mark.parametrize(
    ("spec", "field", "detail"),
    [
        (claim(path="/abs"), f"spec.{FILES}.pvc.ref.path", "is no path inside a volume"),
        (claim(path="a/../.."), f"spec.{FILES}.pvc.ref.path", "is no path inside a volume"),
        (claim(name="Claim"), f"spec.{FILES}.pvc.ref.name", "is no name of an object"),
        (tier(emptyDir={"size": "-1Gi"}), f"spec.{FILES}.emptyDir.size", "must not be less than 0"),
        ({"kvCacheOffloading": {"cpu": -1}}, "spec.kvCacheOffloading.cpu", "must not be less than 0"),
        ({"prefill": claim(path="..")}, f"spec.prefill.{FILES}.pvc.ref.path", "is no path inside a volume"),
    ],
)
def test_it_is_refused_by_its_field(spec: dict[str, Any], field: str, detail: str) -> None:
    (problem,) = validation.validate(service(**spec))
    assert problem.field == field
    assert detail in problem.detail


@pytest.mark.parametrize(
    "spec",
    [
        {"labels": {"a": "", "example.com/a_b.C": "X_1.y-2", "n": "x" * 63}},
        {"labels": {"a": "{{ .Name }}-x y", "{{ .Name }} x": "a"}},
        {"annotations": {"Example.COM/Key": "any thing / at all", "k8s.v1.cni.cncf.io/networks": "[]"}},
        claim(path="a/b"),
        claim(),
        claim(name="{{ .Name }}", path="/{{ .Name }}"),
        tier(emptyDir={"size": "100Gi"}),
        {"kvCacheOffloading": {"cpu": "many"}},
        {"labels": None, "router": {"scheduler": None}},
    ],
)
def test_what_pods_can_have_is_not(spec: dict[str, Any]) -> None:
    assert validation.validate(service(**spec)) == []
    assert admission_warnings.of_spec(service(**spec), None) == []


def test_a_service_that_has_it_already_can_be_changed() -> None:
    before, after = service(**claim(path="..")), service(**claim(path=".."), replicas=2)
    assert validation.validate(after, before) == []


@pytest.mark.parametrize(
    ("spec", "field", "detail"),
    [
        ({"labels": {"a": LONG}}, "spec.labels[a]", "is no label: use at most 63 "),
        ({"labels": {"a": "x y"}}, "spec.labels[a]", '"x y" is no label'),
        ({"labels": {"a": "x-"}}, "spec.labels[a]", '"x-" is no label'),
        ({"labels": {LONG: "a"}}, f"spec.labels[{LONG}]", "is no key: use 1 to 63 of letters"),
        ({"labels": {"": "a"}}, "spec.labels[]", "is no key"),
        ({"labels": {"A_/b": "c"}}, "spec.labels[A_/b]", "is no key"),
        ({"labels": {"/b": "c"}}, "spec.labels[/b]", "is no key"),
        ({"annotations": {"a b": "any thing"}}, "spec.annotations[a b]", "is no key"),
        ({"prefill": {"labels": {"a": "ä"}}}, "spec.prefill.labels[a]", "is no label"),
        ({"prefill": {"annotations": {"a/": ""}}}, "spec.prefill.annotations[a/]", "is no key"),
        (picker(labels={"a": "/"}), "spec.router.scheduler.labels[a]", "is no label"),
        (picker(annotations={"a:b": ""}), "spec.router.scheduler.annotations[a:b]", "is no key"),
    ],
)
def test_labels_that_no_pod_can_have_are_a_warning(spec: dict[str, Any], field: str, detail: str) -> None:
    assert validation.validate(service(**spec)) == []
    (text,) = admission_warnings.of_spec(service(**spec), None)
    assert text.startswith(f"{field}: ")
    assert detail in text
