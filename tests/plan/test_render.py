"""`aioctl render` without the command line: children from files alone."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aioctl.plan.model import PlanError
from aioctl.plan.offline import Rendering, render, surroundings
from aioctl.plan.policy import Policy
from aioctl.tools.checks.declared import stored
from testbed.shared_data import documents
from testbed.shipped_files import presets

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "presets"
PRESETS = presets()


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "svc"},
        "spec": {"model": {"uri": "hf://org/model"}, **spec},
    }


def rendered(given: dict[str, Any], *more: dict[str, Any]) -> Rendering:
    around = surroundings([*PRESETS, *more], Policy(), stored)
    return render(given, around, policy=Policy(), now=NOW)


def test_a_service_with_a_router_gets_all_its_children() -> None:
    result = rendered(service(router={"route": {}, "gateway": {}, "scheduler": {}}))
    assert result.problems == ()
    assert result.assumed == ("Gateway kserve/kserve-ingress-gateway",)
    made = {f"{child['apiVersion']} {child['kind']} {child['metadata']['name']}" for child in result.children}
    assert {
        "apps/v1 Deployment svc-kserve",
        "apps/v1 Deployment svc-kserve-router-scheduler",
        "inference.networking.k8s.io/v1 InferencePool svc-inference-pool",
        "inference.networking.x-k8s.io/v1alpha2 InferencePool svc-inference-pool",
        "gateway.networking.k8s.io/v1 HTTPRoute svc-kserve-route",
    } <= made
    assert {child["metadata"].get("namespace", "default") for child in result.children} == {"default"}


def test_what_is_given_is_not_assumed() -> None:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "sa", "namespace": "default"},
    }
    given = service(template={"serviceAccountName": "sa"})
    assert rendered(given).assumed == ("ServiceAccount default/sa",)
    assert rendered(given, account).assumed == ()


def test_a_failure_is_told_in_the_words_of_the_reconcile() -> None:
    result = rendered(service(baseRefs=[{"name": "absent"}]))
    assert result.children == ()
    assert result.fields == ()
    assert result.problems[0].startswith(
        'terminal error: LLMInferenceServiceConfig "absent" not found in namespaces'
    )


def test_both_versions_are_read() -> None:
    old = {**service(router={"route": {}, "scheduler": {}}), "apiVersion": "serving.kserve.io/v1alpha1"}
    assert len(rendered(old).children) == len(
        rendered(service(router={"route": {}, "scheduler": {}})).children
    )


def test_something_else_than_a_service_is_refused() -> None:
    with pytest.raises(PlanError, match="expected kind LLMInferenceService, got 'Deployment'"):
        rendered({**service(), "kind": "Deployment"})


def test_every_sample_renders_and_every_field_has_a_source() -> None:
    for found in documents("samples/**/*.yaml").values():
        for given in found:
            if given and given["kind"] == "LLMInferenceService":
                result = rendered(given)
                assert result.problems == ()
                assert result.children
                assert rendered(given) == result, "a builder changed the shared, cached spec of a preset"
                assert all(source for _, source in result.fields)
