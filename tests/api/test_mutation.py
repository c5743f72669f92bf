"""The mutating review: what follows from the spec is written, our finalizer comes with the creation, nothing else changes.

Rules: MUT-1.
"""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api.local_model import AS_SENT, CACHE, CACHE_NAMESPACE, CLAIM, NO_MARK, SOURCE, Mark
from aioctl.api.mutation import defaults_patch, finalizer_patch, review_mutation
from aioctl.sim.patch import json_patch

OURS = "serving.kserve.io/llmisvc-finalizer"


def service(finalizers: Any = None, *, version: str = "v1alpha2", **metadata: Any) -> dict[str, Any]:
    held = {} if finalizers is None else {"finalizers": finalizers}
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": "LLMInferenceService",
        "metadata": {"name": "llama", "namespace": "team", **held, **metadata},
        "spec": {"model": {"uri": "hf://org/model", "name": "m"}},
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


LABEL = "serving.kserve.io/routing-group"


def spec(model: Any, group: Any = None, **metadata: Any) -> dict[str, Any]:
    router = {} if group is None else {"router": {"route": {"group": group, "weight": 1}}}
    return {**service(**metadata), "spec": {"model": model, **router}}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_what_follows_from_the_spec_is_written_in_both_versions(operation: str, version: str) -> None:
    found = {**spec({"uri": "u"}, "g"), "apiVersion": f"serving.kserve.io/{version}"}
    patch = patch_of(reviewed(found, operation, version=version))
    assert patch[:2] == [
        {"op": "add", "path": "/spec/model/name", "value": "llama"},
        {"op": "add", "path": "/metadata/labels", "value": {LABEL: "g"}},
    ]
    assert [step["path"] for step in patch[2:]] == ["/metadata/finalizers"] * (operation == "CREATE")


@pytest.mark.parametrize(
    ("found", "model", "labels"),
    [
        (spec({"uri": "u", "name": ""}), {"uri": "u", "name": "llama"}, None),
        (spec({"uri": "u", "name": None}), {"uri": "u", "name": "llama"}, None),
        (spec({"uri": "u", "name": "m"}, "g", labels={}), {"uri": "u", "name": "m"}, {LABEL: "g"}),
        (
            spec({"name": "m"}, "g", labels={"a/b~c": "d"}),
            {"uri": "", "name": "m"},
            {"a/b~c": "d", LABEL: "g"},
        ),
        (
            spec({"name": "m"}, "h", labels={"a": "b", LABEL: "g"}),
            {"uri": "", "name": "m"},
            {"a": "b", LABEL: "h"},
        ),
        (spec({"name": "m"}, labels={"a": "b", LABEL: "g"}), {"uri": "", "name": "m"}, {"a": "b"}),
        (spec({"name": "m"}, labels={LABEL: "g"}), {"uri": "", "name": "m"}, {}),
        (spec({"name": "m"}, "g", labels={LABEL: "g"}), {"uri": "", "name": "m"}, {LABEL: "g"}),
        # Left to the schema, and to what the API server calls it.
        (spec(None), None, None),
        (spec({"uri": "u"}, name=""), {"uri": "u"}, None),
    ],
)
def test_name_and_label_follow_the_spec(found: dict[str, Any], model: Any, labels: Any) -> None:
    after = json_patch(found, defaults_patch(found))
    assert after["spec"]["model"] == model
    assert after["metadata"].get("labels") == labels
    assert defaults_patch(after) == []


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({"model": {"name": "m"}}, {"model": {"name": "m", "uri": ""}}),
        ({"model": {"name": "m", "uri": ""}}, {"model": {"name": "m", "uri": ""}}),
        ({"router": {"scheduler": {"config": {"ref": {"name": "c"}}}}}, {"name": "c", "key": ""}),
        (
            {"router": {"scheduler": {"config": {"ref": {"name": "c", "key": "k"}}}}},
            {"name": "c", "key": "k"},
        ),
        ({"router": {"scheduler": {"config": {}}}}, None),
    ],
)
def test_what_the_schema_requires_and_may_be_left_out_is_written_as_empty(
    given: dict[str, Any], after: Any, version: str
) -> None:
    """As Go does, who would take such a service: a baseRef has the URI, and the key is the usual one."""
    found = {**service(version=version), "spec": given}
    patched = json_patch(found, defaults_patch(found))["spec"]
    if "model" in given:
        assert patched == after
    else:
        assert patched["router"]["scheduler"]["config"].get("ref") == after


def test_a_service_in_deletion_is_left_alone() -> None:
    found = spec({"uri": "u"}, "g", deletionTimestamp="2026-01-01T00:00:00Z")
    assert patch_of(reviewed(found, "UPDATE")) == []


def test_a_spec_that_is_too_heavy_is_not_looked_at() -> None:
    found = spec({"uri": "u", "lora": {"adapters": [{}] * 50_000}}, "g")
    assert patch_of(reviewed(found, "UPDATE")) == []
    assert [step["path"] for step in patch_of(reviewed(found))] == ["/metadata/finalizers"]


@pytest.mark.parametrize("group", [None, "g"])
@pytest.mark.parametrize("before", [{}, {LABEL: "old"}])
def test_labels_that_are_too_heavy_to_be_read_all_stay(group: str | None, before: dict[str, str]) -> None:
    many = {f"key-{number}": "v" for number in range(7000)}
    found = spec({"uri": "u", "name": "m"}, group, labels={**before, **many})
    after = json_patch(found, patch_of(reviewed(found, "UPDATE")))
    assert after["metadata"]["labels"] == ({**many, LABEL: group} if group else many)


@pytest.mark.parametrize(
    ("found", "field"),
    [
        ({**service(), "spec": []}, "spec: expected an object, got list"),
        (spec("llama"), "spec.model: expected an object, got string"),
        (spec({"name": 7}), "spec.model.name: expected a string, got integer"),
        (spec({"name": "m"}, 7), "spec.router.route.group: expected a string, got integer"),
        (spec({"name": "m"}, labels=[]), "metadata.labels: expected an object, got list"),
    ],
)
def test_wrong_types_are_refused_naming_the_field(found: dict[str, Any], field: str) -> None:
    response = reviewed(found, "UPDATE")["response"]
    assert (response["allowed"], response["status"]["code"]) == (False, 400)
    assert response["status"]["message"] == field


NOTED = Mark({CACHE: "opt", CACHE_NAMESPACE: None}, {SOURCE: "hf://a/b", CLAIM: "opt-gpu"})


def marked(obj: Any, old: Any = None, *, mark: Mark | None, operation: str = "UPDATE") -> dict[str, Any]:
    """The service as the webhook leaves it."""
    request = {"uid": "u1", "operation": operation, "object": obj, "oldObject": old}
    body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
    answer = review_mutation(body.encode(), "application/json", version="v1alpha2", marker=lambda _: mark)
    after: dict[str, Any] = json_patch(obj, patch_of(json.loads(answer)))
    return after


def test_the_cache_that_holds_the_model_is_noted() -> None:
    stale = {CACHE: "old", CACHE_NAMESPACE: "ns", "a": "b"}
    after = marked(spec({"name": "m"}, labels=stale), spec({"name": "m"}), mark=NOTED)
    assert after["metadata"]["labels"] == {CACHE: "opt", "a": "b"}
    assert after["metadata"]["annotations"] == {SOURCE: "hf://a/b", CLAIM: "opt-gpu"}


def test_without_a_cache_the_marks_go() -> None:
    found = spec({"name": "m"}, labels={CACHE: "old", "a": "b"}, annotations={SOURCE: "s", CLAIM: "c"})
    after = marked(found, found, mark=NO_MARK)
    assert after["metadata"]["labels"] == {"a": "b"}
    assert after["metadata"]["annotations"] == {}


def test_where_no_cache_can_be_told_the_marks_stay_what_they_were() -> None:
    old = spec({"name": "m"}, labels={CACHE: "old"}, annotations={SOURCE: "s", CLAIM: "c"})
    edited = spec({"name": "m"}, labels={CACHE: "other"}, annotations={"a": "b"})
    after = marked(edited, old, mark=None)
    assert after["metadata"]["labels"] == {CACHE: "old"}
    assert after["metadata"]["annotations"] == {"a": "b", SOURCE: "s", CLAIM: "c"}
    sent = marked(edited, mark=None, operation="CREATE")
    assert sent["metadata"]["labels"] == {CACHE: "other"}


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
def test_a_service_that_names_no_model_keeps_the_marks_that_were_sent(operation: str) -> None:
    old = spec({"name": "m", "uri": ""}, labels={CACHE: "old"}, annotations={SOURCE: "s", CLAIM: "c"})
    sent = spec({"name": "m", "uri": ""}, labels={CACHE_NAMESPACE: "ns"}, annotations={"a": "b"})
    after = marked(sent, old, mark=AS_SENT, operation=operation)
    assert after["metadata"].get("labels") == {CACHE_NAMESPACE: "ns"}
    assert after["metadata"]["annotations"] == {"a": "b"}


def test_a_service_in_deletion_is_not_marked() -> None:
    found = spec({"name": "m"}, deletionTimestamp="2026-01-01T00:00:00Z")
    assert marked(found, found, mark=NOTED) == found
