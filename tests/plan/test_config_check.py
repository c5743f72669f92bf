"""Admission of configs: what renders against the sample passes (ADM-6)."""

from typing import Any

import pytest

from aioctl.plan.config_check import check_config
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError

SETTINGS = GlobalConfig("kserve", ingress_gateway_name="gateway", ingress_gateway_namespace="gateways")


def config(version: str = "v1alpha2", /, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": "mine", "namespace": "ns"},
        "spec": spec,
    }


def image(text: str) -> dict[str, Any]:
    return config(template={"containers": [{"name": "main", "image": text}]})


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "{{ .Spec.Parallelism.Data }}",
        "{{ .Labels }}{{ .Namespace }}{{ .GlobalConfig.IngressGatewayName }}",
        "{{ .Spec.Prefill.Parallelism.Pipeline }}",
        "{{ if .Spec.Parallelism.Pipeline }}{{ .Nothing }}{{ end }}",
    ],
)
def test_accepted(text: str) -> None:
    check_config(image(text), SETTINGS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ .Name", "failed to parse template config: template: config:1: bad character"),
        ('{{ ChildName .Name "x" }}', 'unexpected "\\\\" in operand'),
        ("{{ .NonExisting }}", "can't evaluate field NonExisting in type struct"),
        ("{{ .GlobalConfig.NonExistentConfig.SomeField }}", "can't evaluate field NonExistentConfig in type"),
        (
            "{{ .Spec.Router.Route.HTTP.Spec.Hostnames }}",
            "nil pointer evaluating *v1.HTTPRouteSpec.Hostnames",
        ),
        (
            "{{ .Spec.Router.Scheduler.Pool.Spec.TargetPorts }}",
            "nil pointer evaluating *v1.InferencePoolSpec.TargetPorts",
        ),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(PlanError) as caught:
        check_config(image(text), SETTINGS)
    assert reason in str(caught.value)
    assert "in spec.template.containers[0].image of LLMInferenceServiceConfig ns/mine, line 1" in str(
        caught.value
    )


def test_the_metadata_is_checked_too() -> None:
    labelled = image("plain")
    labelled["metadata"]["labels"] = {"a": "{{ .Nope }}"}
    with pytest.raises(PlanError, match=r"in metadata\.labels\.a of"):
        check_config(labelled, SETTINGS)


def test_an_old_version_is_converted_first() -> None:
    pool = {"selector": {"app": "x"}, "targetPortNumber": 8000, "extensionRef": {"name": "{{ .Nope }}"}}
    old = config("v1alpha1", router={"scheduler": {"pool": {"spec": pool}}})
    with pytest.raises(
        PlanError, match=r"in spec\.router\.scheduler\.pool\.spec\.endpointPickerRef\.name of"
    ):
        check_config(old, SETTINGS)


def test_a_value_of_the_wrong_type_is_named() -> None:
    with pytest.raises(
        PlanError, match=r"failed to unmarshal config from template: expected an integer.*spec\.replicas"
    ):
        check_config(config(replicas="two"), SETTINGS)
