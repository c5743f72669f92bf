"""The mutating review adds our finalizer to a service as it is created, and changes nothing else (KEY-1).

Rules: MUT-1.
"""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api.mutation import finalizer_patch, review_mutation
from aioctl.sim.patch import json_patch

OURS = "serving.kserve.io/llmisvc-finalizer"


def service(finalizers: Any = None, *, version: str = "v1alpha2", **metadata: Any) -> dict[str, Any]:
    held = {} if finalizers is None else {"finalizers": finalizers}
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": "LLMInferenceService",
        "metadata": {"name": "llama", "namespace": "team", **held, **metadata},
        "spec": {"model": {"uri": "hf://org/model"}},
    }


def reviewed(
    obj: Any, operation: str = "CREATE", *, version: str = "v1alpha2", protocol: str = "admission.k8s.io/v1"
) -> dict[str, Any]:
    """The decoded answer; the uid is checked here."""
    request = {"uid": "u1", "operation": operation, "object": obj, "oldObject": None}
    body = json.dumps({"apiVersion": protocol, "kind": "AdmissionReview", "request": request}).encode()
    answer: dict[str, Any] = json.loads(review_mutation(body, "application/json", version=version))
    assert (answer["apiVersion"], answer["kind"]) == (protocol, "AdmissionReview")
    assert answer["response"]["uid"] == "u1"
    return answer


def patch_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    response = answer["response"]
    assert response["allowed"] is True
    if "patch" not in response:
        assert "patchType" not in response
        return []
    assert response["patchType"] == "JSONPatch"
    found: list[dict[str, Any]] = json.loads(base64.b64decode(response["patch"], validate=True))
    return found


@pytest.mark.parametrize("protocol", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_a_created_service_gets_the_finalizer(version: str, protocol: str) -> None:
    answer = reviewed(service(version=version), version=version, protocol=protocol)
    assert patch_of(answer) == [{"op": "add", "path": "/metadata/finalizers", "value": [OURS]}]


@pytest.mark.parametrize(
    ("obj", "operation"),
    [
        (service([OURS]), "CREATE"),
        (service(["other/x", OURS]), "CREATE"),
        (service(deletionTimestamp="2026-01-01T00:00:00Z"), "CREATE"),
        (service(), "UPDATE"),
        (None, "DELETE"),
        (None, "CONNECT"),
    ],
    ids=["there", "there among others", "in deletion", "update", "delete", "connect"],
)
def test_all_else_is_admitted_as_it_is(obj: Any, operation: str) -> None:
    assert patch_of(reviewed(obj, operation)) == []


@given(st.none() | st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=4))
def test_finalizers_of_others_stay_and_ours_comes_last(present: list[str] | None) -> None:
    before = service(present)
    after = json_patch(before, finalizer_patch(before))
    assert after["metadata"].pop("finalizers") == [*(present or []), OURS]
    before["metadata"].pop("finalizers", None)
    assert after == before
    assert finalizer_patch({**before, "metadata": {**before["metadata"], "finalizers": [OURS]}}) == []


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (None, "there is no content to decode"),
        (service(version="v1alpha1"), "unable to decode serving.kserve.io/v1alpha1"),
        ({**service(), "kind": "Pod"}, "Kind=Pod into *v1alpha2.LLMInferenceService"),
        (service("text"), "metadata.finalizers"),
    ],
)
def test_what_is_no_service_of_this_version_is_refused_with_the_reason(obj: Any, message: str) -> None:
    response = reviewed(obj)["response"]
    assert response["allowed"] is False
    assert response["status"]["code"] == 400
    assert message in response["status"]["message"]
    assert "patch" not in response


def test_a_body_that_is_no_review_is_refused() -> None:
    answer = json.loads(review_mutation(b"{", "application/json", version="v1alpha2"))
    assert answer["response"]["allowed"] is False
    assert answer["response"]["status"]["code"] == 400
