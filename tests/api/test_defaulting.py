"""Derived values and in-memory defaults (DEF-1).

Rules: KEY-1.
"""

import copy
from typing import Any

import pytest

from aioctl.api import defaulting
from aioctl.api.names import ENABLE_AUTH, STOP
from aioctl.api.objects import FieldError


def service(spec: object = None, **annotations: str) -> dict[str, Any]:
    made: dict[str, Any] = {"metadata": {"name": "svc", "namespace": "ns", "annotations": annotations}}
    if spec is not None:
        made["spec"] = spec
    return made


@pytest.mark.parametrize(
    ("spec", "model"),
    [
        (None, {"name": "svc"}),
        ({}, {"name": "svc"}),
        ({"model": None}, {"name": "svc"}),
        ({"model": {"uri": "hf://a/b"}}, {"uri": "hf://a/b", "name": "svc"}),
        ({"model": {"name": ""}}, {"name": "svc"}),
        ({"model": {"name": "own"}}, {"name": "own"}),
    ],
)
def test_model_name_defaults_to_the_services_name(spec: object, model: dict[str, str]) -> None:
    given = service(spec)
    before = copy.deepcopy(given)
    assert defaulting.apply_defaults(given)["spec"]["model"] == model
    assert given == before


@pytest.mark.parametrize(
    ("parallelism", "data", "pipeline", "size"),
    [
        (None, False, False, None),
        ({}, False, False, None),
        ({"tensor": 4}, False, False, None),
        ({"pipeline": 3}, False, True, 3),
        ({"data": 8, "dataLocal": 8}, True, False, 1),
        ({"data": 8, "dataLocal": 2}, True, False, 4),
        ({"data": 7, "dataLocal": 2}, True, False, 3),
        ({"data": 1, "dataLocal": 4}, True, False, 1),
        ({"data": 4}, True, False, 4),
        ({"dataLocal": 4}, True, False, 1),
        ({"data": 4, "dataLocal": 2, "pipeline": 9}, True, True, 2),
        ({"data": 0, "dataLocal": 0, "pipeline": 0}, False, False, None),
        ({"data": -4, "dataLocal": 2}, True, False, 1),
    ],
)
def test_group_size_follows_from_the_degrees(
    parallelism: dict[str, int] | None, data: bool, pipeline: bool, size: int | None
) -> None:
    assert defaulting.is_data_parallel(parallelism) is data
    assert defaulting.is_pipeline_parallel(parallelism) is pipeline
    assert defaulting.group_size(parallelism) == size


def test_a_degree_of_the_wrong_type_is_named_with_its_whole_path() -> None:
    with pytest.raises(
        FieldError, match=r"spec\.prefill\.parallelism\.data: expected an integer, got string"
    ):
        defaulting.group_size({"data": "4"}, at="spec.prefill.parallelism")
    with pytest.raises(FieldError, match=r"spec\.parallelism: expected an object, got list"):
        defaulting.is_pipeline_parallel([])  # type: ignore[arg-type]


def scheduler(pool: object) -> dict[str, Any]:
    return {"router": {"scheduler": {"pool": pool}}}


@pytest.mark.parametrize(
    ("spec", "external", "effective", "epp"),
    [
        ({}, "", "svc-inference-pool", "svc-epp-service"),
        (scheduler({}), "", "svc-inference-pool", "svc-epp-service"),
        (scheduler({"ref": {"name": ""}}), "", "svc-inference-pool", "svc-epp-service"),
        (scheduler({"ref": {"name": "theirs"}}), "theirs", "theirs", "svc-epp-service"),
        (
            scheduler({"spec": {"endpointPickerRef": {"name": "picker"}}}),
            "",
            "svc-inference-pool",
            "picker",
        ),
        (
            scheduler({"ref": {"name": "theirs"}, "spec": {"endpointPickerRef": {"name": "picker"}}}),
            "theirs",
            "theirs",
            "svc-epp-service",
        ),
        (
            scheduler({"ref": {"name": "theirs"}, "spec": {"endpointPickerRef": {"name": ""}}}),
            "theirs",
            "theirs",
            "svc-epp-service",
        ),
    ],
)
def test_names_of_pool_and_endpoint_picker(
    spec: dict[str, Any], external: str, effective: str, epp: str
) -> None:
    assert defaulting.external_pool_name(spec) == external
    assert defaulting.effective_pool_name("svc", spec) == effective
    assert defaulting.epp_service_name("svc", spec) == epp


def test_a_name_of_the_wrong_type_is_named() -> None:
    with pytest.raises(FieldError, match=r"spec\.router\.scheduler\.pool\.ref\.name"):
        defaulting.external_pool_name(scheduler({"ref": {"name": 3}}))


@pytest.mark.parametrize(
    ("value", "enabled"),
    [(None, True), ("", True), ("no", True), ("0", True), ("false", False), ("FALSE", False)],
)
def test_auth_is_on_unless_switched_off(value: str | None, enabled: bool) -> None:
    assert defaulting.auth_enabled(service(**({} if value is None else {ENABLE_AUTH: value}))) is enabled


@pytest.mark.parametrize(
    ("value", "stopped"), [(None, False), ("", False), ("true", True), ("True", True), ("1", False)]
)
def test_stop_annotation_is_true_ignoring_case(value: str | None, stopped: bool) -> None:
    assert defaulting.is_stopped(service(**({} if value is None else {STOP: value}))) is stopped
