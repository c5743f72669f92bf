"""Fields that nothing follows from yet are never passed over in silence (COND-8)."""

import json
from typing import Any

import pytest

from aioctl.api import not_acted_on
from aioctl.api.admission import review_admission
from aioctl.api.not_acted_on import NOT_ACTED_ON
from aioctl.golang.gotypes import SPEC

TABLE = {"spec.a": "it stays", "spec.b.c": "it stays", "spec.d": "nothing moves"}


def test_each_field_that_is_there_is_warned_of() -> None:
    assert not_acted_on.warnings({"spec": {"a": 0, "b": {"c": {}}}}, TABLE) == [
        "spec.a is stored but not acted on yet: it stays",
        "spec.b.c is stored but not acted on yet: it stays",
    ]
    for nothing in ({}, {"spec": None}, {"spec": {"a": None, "b": "c"}}):
        assert not_acted_on.warnings(nothing, TABLE) == []


def test_a_condition_names_the_fields_and_says_once_what_happens_instead() -> None:
    everything = {"spec": {"a": 1, "b": {"c": 2}, "d": 3}}
    assert not_acted_on.message(everything, TABLE) == (
        "spec.a, spec.b.c: not acted on yet, it stays; spec.d: not acted on yet, nothing moves"
    )
    assert not_acted_on.message({}, TABLE) == ""


@pytest.mark.parametrize("path", NOT_ACTED_ON)
def test_every_row_names_a_field_of_the_spec(path: str) -> None:
    type_ = SPEC
    for part in path.split(".")[1:]:
        type_ = type_.elem or type_
        (entry,) = (entry for entry in type_.struct.fields if entry.json == part)
        type_ = entry.type


def value_at(path: str) -> dict[str, Any]:
    value: Any = 1
    for part in reversed(path.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def warned(new: dict[str, Any], old: dict[str, Any] | None, version: str) -> list[str]:
    head = {"apiVersion": f"serving.kserve.io/{version}", "kind": "LLMInferenceService"}
    objects = [None if obj is None else {**head, "metadata": {"name": "a"}, **obj} for obj in (new, old)]
    operation = "CREATE" if old is None else "UPDATE"
    request = {"uid": "u", "operation": operation, "object": objects[0], "oldObject": objects[1]}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    answer = review_admission(body.encode(), "application/json", version=version, kind="LLMInferenceService")
    found: list[str] = json.loads(answer)["response"].get("warnings", [])
    return [text for text in found if "not acted on" in text]


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("path", NOT_ACTED_ON)
def test_who_writes_one_is_told_and_who_patches_beside_it_is_not(path: str, version: str) -> None:
    asked = value_at(path)
    told = [f"{path} is stored but not acted on yet: {NOT_ACTED_ON[path]}"]
    assert warned(asked, None, version) == told
    assert warned(asked, {"spec": {}}, version) == told
    assert warned(asked, asked, version) == []
    assert warned({"spec": {}}, asked, version) == []
