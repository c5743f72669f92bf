"""No object that an API server accepts holds the loop for long: bounds of weight, and a sweep over the schema.

The sweep takes a part of the fields (`python -m bench worst` takes all) and allows twenty times what is aimed at, by the CPU
time of a fixed piece of work: what grows faster than its input takes hundreds of times that.
"""

import json
from functools import cache
from typing import Any

import msgspec
import pytest

from aioctl.api import kinds, weight
from aioctl.api.admission import review_admission
from aioctl.api.conversion import convert_object
from aioctl.plan.combine import combine
from aioctl.plan.facts import Facts
from aioctl.plan.model import PlanError
from aioctl.plan.policy import Policy
from bench import reference
from testbed.plan_world import CONFIG
from testbed.worst_cases import LARGEST, Case, cases
from testbed.worst_holds import admission_review, of_object

_MOST = 900
"""Units of the reference load, of about a millisecond. 900,000 empty adapters took 32 s when their check was quadratic."""


@cache
def swept() -> dict[tuple[str, str], Case]:
    return {(case.field, case.shape): case for case in cases("LLMInferenceService", "v1alpha2")}


@pytest.mark.parametrize(
    ("field", "shape"),
    [
        ("spec.baseRefs", "long list"),
        ("spec.model.lora.adapters", "long list of empty objects"),
        ("spec.model.lora.adapters", "wide map"),
        ("metadata.labels", "wide map"),
    ],
)
@pytest.mark.parametrize("size", [64 * 1024, LARGEST - 64 * 1024])
def test_the_heaviest_objects_leave_the_loop_to_others(field: str, shape: str, size: int) -> None:
    unit = min(reference.timed() for _ in range(5))
    longest = of_object(swept()[field, shape].build(size)).longest
    assert set(longest) == {
        "convert", "admit create", "admit update", "mutate", "plan fresh", "plan settled", "status",
    }  # fmt: skip
    assert max(longest.values()) / unit < _MOST


def service(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "heavy", "namespace": "ns"}
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": "LLMInferenceService",
        "metadata": metadata,
        "spec": {"model": {"uri": "hf://a/b"}, **spec},
    }


def reviewed(new: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    body = admission_review(new, old)
    answer = review_admission(body, "application/json", version="v1alpha2", kind="LLMInferenceService")
    response: dict[str, Any] = json.loads(answer)["response"]
    return response


def test_a_heavy_spec_is_refused_with_its_weight_and_a_cure() -> None:
    response = reviewed(service(baseRefs=[{"name": "a"}] * 20_000))
    assert not response["allowed"]
    assert response["status"]["code"] == 422
    assert "spec: Too long: it has" in response["status"]["message"]
    assert "ConfigMap" in response["status"]["message"]


def test_a_heavy_spec_that_is_stored_can_be_labelled_mended_and_deleted() -> None:
    old = service(baseRefs=[{"name": "a"}] * 20_000)
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    gone = {**old, "metadata": {**old["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert reviewed(labelled, old)["allowed"]
    assert reviewed(service(), old)["allowed"]
    assert reviewed(gone, service(baseRefs=[{"name": "b"}] * 20_000))["allowed"]
    assert not reviewed(service(baseRefs=[{"name": "b"}] * 20_000), old)["allowed"]


def test_each_reference_to_a_config_counts() -> None:
    config = {
        "apiVersion": kinds.V1ALPHA2,
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": "big", "namespace": "ns"},
        "spec": {"template": {"containers": [{"name": "main", "args": ["a" * 100_000]}]}},
    }
    world = Facts({kinds.ObjectRef(kinds.CONFIG, "ns", "big"): config})
    with pytest.raises(
        PlanError, match="what is combined, up to and with the spec of LLMInferenceServiceConfig ns/big"
    ):
        combine(world, service(baseRefs=[{"name": "big"}] * 200), CONFIG, Policy())


def test_commas_in_texts_are_no_values() -> None:
    found = weight.of(msgspec.json.encode({"args": ["," * 50_000]}))
    assert found.values == 3
    assert weight.problem(found) == ""


def test_a_list_too_long_to_look_into_is_converted_as_it_is() -> None:
    adapters = [{"criticality": "Critical", "uri": "hf://a/b"}] * 5_000
    given = {
        **service(model={"uri": "hf://a/b", "lora": {"adapters": adapters}}),
        "apiVersion": kinds.V1ALPHA1,
    }
    there = convert_object(msgspec.json.encode(given), kinds.V1ALPHA2)
    assert msgspec.json.decode(convert_object(there, kinds.V1ALPHA1)) == given
    assert msgspec.json.decode(there)["spec"] == given["spec"]
