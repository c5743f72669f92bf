"""Names of services that no label or Service can bear are refused early, and no others.

Rules: NAME-2, ADM-3.
"""

from typing import Any

import pytest

from aioctl.api import service_names, validation, without_effect

CURE = "call it by lower case letters, digits and '-' only, beginning with a letter, {} characters at most"
DOT_BEHIND = "a" * 20 + "." + "b" * 40
"""The workload's Service keeps eleven characters of so long a name, the LeaderWorkerSet 21."""
WORKER = {"worker": {"containers": []}, "parallelism": {"pipeline": 2}}


DOT_IN_PICKER = "a" * 15 + "." + "b" * 40
"""The picker's Service keeps 19 characters of so long a name, the tokenizer's 21."""


def with_picker(name: str) -> dict[str, Any]:
    return {"router": {"scheduler": {"pool": {"spec": {"endpointPickerRef": {"name": name}}}}}}


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("a", {}),
        ("a1-b", WORKER),
        ("a" * 40, WORKER),
        ("a" * 32, {**WORKER, "prefill": WORKER}),
        ("a" * 57, {}),
        ("a" * 63, {"prefill": {}}),
        (DOT_BEHIND, {}),
        (DOT_BEHIND, {"prefill": {}}),
        (DOT_IN_PICKER, {}),
        (DOT_IN_PICKER, {"router": {"scheduler": {"pool": {"ref": {"name": "theirs"}}}}}),
        (DOT_IN_PICKER, with_picker("mine")),
    ],
)
def test_names_that_can_be_borne_are_admitted(name: str, spec: dict[str, Any]) -> None:
    assert validation.validate(service(name, **spec)) == []


@pytest.mark.parametrize(
    ("name", "spec", "said", "longest"),
    [
        (
            "qwen2.5",
            {},
            'its Service would be named "qwen2.5-kserve-workload-svc", which the API server refuses',
            63,
        ),
        ("7b", {}, 'its Service would be named "7b-kserve-workload-svc", which the API server refuses', 63),
        (
            "7" + "b" * 60,
            {},
            'its Service would be named "7bbbbbbbbbba8456fd87947b68befe8e4f60cc6e323-kserve-workload-svc", which the',
            63,
        ),
        ("a" * 64, {}, "it has 64 characters, and the label app.kubernetes.io/name of its pods holds 63", 63),
        (
            "a" * 253,
            {},
            "it has 253 characters, and the label app.kubernetes.io/name of its pods holds 63",
            63,
        ),
        (DOT_BEHIND, WORKER, f'its LeaderWorkerSet would be named "{DOT_BEHIND[:21]}', 40),
        ("a" * 12 + "." + "b" * 35, {"prefill": WORKER}, "its LeaderWorkerSet would be named", 32),
        (DOT_IN_PICKER, {"router": {"scheduler": {}}}, "its endpoint picker's Service would be named", 63),
        (DOT_IN_PICKER, with_picker(""), "its endpoint picker's Service would be named", 63),
        (
            "a" * 20 + "." + "b" * 40,
            {"router": {"scheduler": {**with_picker("mine")["router"]["scheduler"], "tokenizer": {}}}},
            "its tokenizer's Service would be named",
            63,
        ),
    ],
)
def test_others_are_refused_with_the_reason_and_the_cure(
    name: str, spec: dict[str, Any], said: str, longest: int
) -> None:
    (problem,) = validation.validate(service(name, **spec))
    assert (problem.field, problem.value) == ("metadata.name", f'"{name}"')
    assert said in problem.detail
    assert problem.detail.endswith(CURE.format(longest))


def test_the_recorded_status_names_the_field() -> None:
    bad = service("qwen2.5")
    status = validation.status(bad, validation.validate(bad))
    assert status["code"] == 422
    assert status["details"]["causes"][0]["field"] == "metadata.name"


def test_one_that_is_stored_can_be_edited_and_deleted() -> None:
    old = service("qwen2.5", replicas=1)
    assert validation.validate(service("qwen2.5", replicas=2), old) == []
    leaving = service("qwen2.5")
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert validation.validate(leaving) == []


@pytest.mark.parametrize(
    ("name", "spec", "longest"),
    [("a" * 41, WORKER, 40), ("a" * 63, WORKER, 40), ("a" * 33, {"prefill": WORKER}, 32)],
)
def test_a_set_that_can_have_no_pods_is_admitted_as_kserve_does_and_warned_of(
    name: str, spec: dict[str, Any], longest: int
) -> None:
    written = service(name, model={"uri": "hf://o/m"}, **spec)
    assert validation.validate(written) == []
    (said,) = [each for each in without_effect.warnings(written) if "LeaderWorkerSet" in each]
    at = "spec.prefill.worker" if "prefill" in spec else "spec.worker"
    assert said.startswith(f'{at} has no effect: the LeaderWorkerSet is named "{name[:8]}')
    assert said.endswith(CURE.format(longest))
    assert list(service_names.podless_sets(service(name[:longest], **spec))) == []
    assert list(service_names.podless_sets(written, lambda *, prefill: "earlier-name")) == []


def test_an_edit_that_asks_for_one_name_too_many_is_refused() -> None:
    """The single-node form of the name works, the LeaderWorkerSet's would not."""
    name = "a" * 12 + "." + "b" * 35
    prefill = {"parallelism": {"pipeline": 2}}
    fields = [
        p.field for p in validation.validate(service(name, prefill={**prefill, "worker": {}}), service(name))
    ]
    assert fields == ["metadata.name"]


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True),
        ("a-1", True),
        ("", False),
        ("1a", False),
        ("a.b", False),
        ("a-", False),
        ("A", False),
        ("a\n", False),
    ],
)
def test_names_of_services(name: str, fits: bool) -> None:
    assert service_names.is_service_name(name) is fits


FIELD = "spec.router.scheduler.pool.spec.endpointPickerRef.name"


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True),
        ("a-1", True),
        ("a" * 63, True),
        ("{{ .ObjectMeta.Name }}-x", True),
        ("7b", False),
        ("a.b", False),
        ("A", False),
        ("*.fleet.svc", False),
        ("a" * 64, False),
        ("a\n", False),
        ("a-", False),
    ],
)
def test_names_that_pools_give_their_pickers(name: str, fits: bool) -> None:
    found = validation.validate(service("svc", **with_picker(name)))
    assert [problem.field for problem in found] == ([] if fits else [FIELD])
    if "{{" not in name:
        assert bool(service_names.picker_problem(service("svc", **with_picker(name)))) is not fits


def test_the_picker_of_somebody_elses_pool_is_their_matter() -> None:
    spec = with_picker("7b")
    spec["router"]["scheduler"]["pool"]["ref"] = {"name": "theirs"}
    assert service_names.picker_problem(service("svc", **spec)) == ""
