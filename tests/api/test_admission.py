"""Admission reviews: protocol, operations, config rules and warnings (ADM-2, ADM-5).

Rules: CONV-6, ADM-4, ADM-8.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api import admission, body_limits
from aioctl.api.config_admission import CONFIG_RULES, ConfigRules
from aioctl.api.kinds import GROUP, ObjectKey
from aioctl.api.verdict import ApiErrorStatus

V1 = "admission.k8s.io/v1"
SERVICE = "LLMInferenceService"
CONFIG = "LLMInferenceServiceConfig"
BASE_REFS = (
    "spec.baseRefs is not a permitted field in LLMInferenceServiceConfig, "
    "support for recursive refs has been disabled"
)
PRESET = "kserve-config-llm-template"


def made(kind: str, version: str = "v1alpha2", name: str = "a", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": kind,
        "metadata": {"name": name, "namespace": "ns"},
        "spec": spec,
    }


def body(operation: str, obj: Any = None, old: Any = None, **request: Any) -> bytes:
    return json.dumps(
        {
            "apiVersion": V1,
            "kind": "AdmissionReview",
            "request": {"uid": "u-1", "operation": operation, "object": obj, "oldObject": old, **request},
        }
    ).encode()


def reviewed(
    content: bytes,
    kind: str = SERVICE,
    version: str = "v1alpha2",
    content_type: str = "application/json",
    rules: ConfigRules = CONFIG_RULES,
) -> dict[str, Any]:
    raw = admission.review_admission(content, content_type, version=version, kind=kind, config_rules=rules)
    reply: dict[str, Any] = json.loads(raw)
    assert reply["kind"] == "AdmissionReview"
    response: dict[str, Any] = reply["response"]
    return response


def verdict(response: Mapping[str, Any]) -> tuple[bool, int, str]:
    return response["allowed"], response["status"]["code"], response["status"].get("message", "")


def test_an_admitted_object_is_answered_with_uid_and_code_200() -> None:
    response = reviewed(body("CREATE", made(SERVICE)))
    assert response == {"uid": "u-1", "allowed": True, "status": {"metadata": {}, "code": 200}}


def test_the_answer_repeats_the_reviews_version() -> None:
    content = body("CREATE", made(SERVICE)).replace(b"k8s.io/v1", b"k8s.io/v1beta1")
    raw = admission.review_admission(content, "application/json", version="v1alpha2", kind=SERVICE)
    assert json.loads(raw)["apiVersion"] == "admission.k8s.io/v1beta1"


def test_a_violation_is_denied_with_the_structured_status() -> None:
    response = reviewed(body("CREATE", made(SERVICE, worker={})))
    assert not response["allowed"]
    assert response["status"]["code"] == 422
    assert response["status"]["details"]["causes"][0]["field"] == "spec.worker"


@pytest.mark.parametrize(
    ("content", "content_type", "code", "message"),
    [
        (b"", "application/json", 400, "request body is empty"),
        (
            b"x" * body_limits.ADMISSION,
            "application/json",
            413,
            "request entity is too large; limit is 7340032 bytes",
        ),
        (b"{}", "text/plain", 400, "contentType=text/plain, expected application/json"),
        (
            b"{}",
            "application/json; charset=utf-8",
            400,
            "contentType=application/json; charset=utf-8, expected application/json",
        ),
        (b"{", "application/json", 400, "body is no AdmissionReview: Input data was truncated"),
        (b"{}", "application/json", 400, "expected an AdmissionReview of"),
        (
            b'{"kind":"\xff"}',
            "application/json",
            400,
            "body is no AdmissionReview: 'utf-8' codec can't decode",
        ),
        (
            b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}',
            "application/json",
            400,
            "AdmissionReview has no request",
        ),
    ],
)
def test_an_unusable_body_is_denied_with_its_reason(
    content: bytes, content_type: str, code: int, message: str
) -> None:
    allowed, found, text = verdict(reviewed(content, content_type=content_type))
    assert not allowed
    assert found == code
    assert text.startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (body("CREATE"), "there is no content to decode"),
        (body("UPDATE", made(SERVICE)), "there is no content to decode"),
        (body("DELETE", made(SERVICE)), "there is no content to decode"),
        (
            body("CREATE", made(SERVICE, "v1alpha1")),
            "unable to decode serving.kserve.io/v1alpha1, Kind=LLMInferenceService into *v1alpha2.LLMInferenceService",
        ),
        (
            body("UPDATE", made(SERVICE), made(CONFIG)),
            "unable to decode serving.kserve.io/v1alpha2, Kind=LLMInferenceServiceConfig into *v1alpha2.LLMInferenceService",
        ),
        (body("CREATE", [1]), "expected an object of kind LLMInferenceService, got list"),
        (body("CREATE", {}), "Object 'Kind' is missing"),
        (body("CREATE", {"kind": SERVICE}), "Object 'apiVersion' is missing"),
        (body("CREATE", {"kind": 1}), "kind: expected a string, got integer"),
        (body("PATCH", made(SERVICE)), 'unknown operation "PATCH"'),
        (
            body("CREATE", made(SERVICE, model={"uri": "oci://a:b"})),
            'parse "oci://a:b": invalid port ":b" after host',
        ),
        (
            body("CREATE", made(SERVICE, replicas="3")),
            "spec.replicas: expected an integer, got string",
        ),
        (
            body("CREATE", {**made(SERVICE), "metadata": []}),
            "metadata: expected an object, got list",
        ),
    ],
)
def test_what_cannot_be_decoded_is_denied_with_400(content: bytes, message: str) -> None:
    response = reviewed(content)
    assert verdict(response) == (False, 400, message)
    assert response["uid"] == "u-1"


def test_connect_and_delete_of_a_service_are_admitted() -> None:
    assert reviewed(body("CONNECT"))["allowed"]
    assert reviewed(body("DELETE", old=made(SERVICE, worker={})))["allowed"]


def refuse(config: Mapping[str, Any]) -> None:
    raise ValueError(f"failed to parse template config: {config['apiVersion']}")


BASE_REFS_TEXT = "Forbidden: baseRefs is not a permitted field in LLMInferenceServiceConfig, support for recursive refs has been disabled"
REPLICAS_TEXT = "Invalid value: 0: scheduler replicas must be greater than zero"


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_what_a_config_must_not_say_is_collected_before_the_check_runs(version: str) -> None:
    bad = made(CONFIG, version, baseRefs=[{"name": "b"}], router={"scheduler": {"replicas": 0}})
    for content in (body("CREATE", bad), body("UPDATE", bad, bad)):
        status = reviewed(content, CONFIG, version, rules=ConfigRules(check=refuse))["status"]
        assert (status["code"], status["reason"], status["status"]) == (422, "Invalid", "Failure")
        assert status["message"] == (
            'LLMInferenceServiceConfig.serving.kserve.io "a" is invalid: '
            f"[spec.baseRefs: {BASE_REFS_TEXT}, spec.router.scheduler.replicas: {REPLICAS_TEXT}]"
        )
        assert status["details"] == {
            "name": "a",
            "group": "serving.kserve.io",
            "kind": CONFIG,
            "causes": [
                {"reason": "FieldValueForbidden", "message": BASE_REFS_TEXT, "field": "spec.baseRefs"},
                {
                    "reason": "FieldValueInvalid",
                    "message": REPLICAS_TEXT,
                    "field": "spec.router.scheduler.replicas",
                },
            ],
        }
    assert reviewed(body("CREATE", made(CONFIG, baseRefs=[])), CONFIG)["allowed"]


def test_a_failed_config_check_is_a_403_and_sees_the_hub_version() -> None:
    response = reviewed(
        body("CREATE", made(CONFIG, "v1alpha1")), CONFIG, "v1alpha1", rules=ConfigRules(check=refuse)
    )
    assert verdict(response) == (False, 403, "failed to parse template config: serving.kserve.io/v1alpha2")


def test_an_api_error_of_the_check_comes_back_with_its_own_status() -> None:
    def missing(_: Mapping[str, Any]) -> None:
        raise ApiErrorStatus({"code": 404, "reason": "NotFound", "message": "configmaps not found"})

    response = reviewed(body("CREATE", made(CONFIG)), CONFIG, rules=ConfigRules(check=missing))
    assert verdict(response) == (False, 404, "configmaps not found")


def containers(*given: Mapping[str, Any]) -> dict[str, Any]:
    return {"template": {"containers": [*given]}}


def limited(cpu: str) -> dict[str, Any]:
    return {"name": "a", "resources": {"limits": {"cpu": cpu}}}


def scaled(**wva: Any) -> dict[str, Any]:
    return {"scaling": {"maxReplicas": 2, "wva": wva}}


def pool(**spec: Any) -> dict[str, Any]:
    return {"router": {"scheduler": {"pool": {"spec": spec}}}}


def picker(inline: Mapping[str, Any]) -> dict[str, Any]:
    return {"router": {"scheduler": {"config": {"inline": inline}}}}


def adapters(*given: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": {"lora": {"adapters": [*given]}}}


def test_a_config_being_deleted_is_not_judged() -> None:
    leaving = made(CONFIG, baseRefs=[{"name": "b"}])
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert reviewed(body("UPDATE", leaving, leaving), CONFIG, rules=ConfigRules(check=refuse))["allowed"]


@pytest.mark.parametrize(
    ("name", "old", "new", "warned"),
    [
        (PRESET, {"replicas": 1}, {"replicas": 2}, True),
        (PRESET, {"replicas": 1}, {}, True),
        (PRESET, {"replicas": 1}, {"replicas": 1, "model": {"name": "m"}}, False),
        (PRESET, {"model": {"uri": "HF://a", "name": "m"}}, {"model": {"uri": "hf://a", "name": "m"}}, False),
        (PRESET, {}, {"model": {"uri": "hf://a"}}, True),
        (PRESET, {"model": {"uri": ""}}, {"model": {"uri": "hf://a"}}, True),
        (PRESET, {"model": {"uri": "hf://a"}}, {"model": {"name": "m"}}, True),
        (PRESET, adapters({"name": "a"}), adapters({"name": "a", "uri": "hf://a"}), True),
        (PRESET, adapters({"name": "a"}), adapters({"name": "a"}, {"uri": "hf://b"}), False),
        (PRESET, {"baseRefs": []}, {}, False),
        (PRESET, {"worker": {}}, {}, True),
        (PRESET, {"router": {"scheduler": {}}}, {"router": {}}, True),
        (PRESET, {"router": {}}, {"router": {"scheduler": {}}}, False),
        (PRESET, {}, {"worker": {"hostNetwork": True}}, False),
        (PRESET, {"worker": {"hostname": "h"}}, {"worker": {"hostname": "h", "hostNetwork": True}}, True),
        (PRESET, {"worker": {"hostname": "h", "hostPID": False}}, {"worker": {"hostname": "h"}}, False),
        (PRESET, {"parallelism": {"data": 1}}, {"parallelism": {"data": 1, "tensor": 2}}, False),
        (PRESET, {"parallelism": {"data": 1}}, {"parallelism": {"data": 1, "expert": True}}, True),
        (PRESET, containers({"name": "a"}), containers({"name": "a", "image": "i"}, {"name": "b"}), False),
        (PRESET, containers({"name": "a"}), containers({"name": "a", "tty": True}), True),
        (PRESET, containers(limited("1000m")), containers(limited("1")), False),
        (PRESET, {"worker": {"overhead": {"cpu": "1000m"}}}, {"worker": {"overhead": {"cpu": "1"}}}, False),
        (PRESET, {"kvCacheOffloading": {"cpu": "10Gi"}}, {"kvCacheOffloading": {"cpu": "10240Mi"}}, False),
        (PRESET, {"kvCacheOffloading": {"cpu": "10Gi"}}, {"kvCacheOffloading": {"cpu": "11Gi"}}, True),
        (PRESET, {"tracing": {}}, {}, True),
        (PRESET, {"tracing": {}}, {"tracing": {"sampler": "always_on"}}, False),
        (PRESET, {"prefill": {"rolloutStrategy": {}}}, {"prefill": {}}, True),
        (PRESET, {"worker": {"securityContext": {}}}, {"worker": {}}, True),
        (PRESET, containers({"name": "a", "livenessProbe": {}}), containers({"name": "a"}), True),
        (PRESET, scaled(hpa={}), scaled(), True),
        (PRESET, scaled(), scaled(hpa={}), False),
        (PRESET, picker({"a": 1}), picker({"a": 1}), False),
        (PRESET, picker({"a": 1}), picker({"a": 1, "b": 2}), True),
        ("own", {"replicas": 1}, {"replicas": 2}, False),
        ("kserve-config-llm-worker-pipeline-parallel", {"replicas": 1}, {"replicas": 2}, False),
    ],
)
def test_changing_a_preset_warns_and_adding_to_it_does_not(
    name: str, old: dict[str, Any], new: dict[str, Any], warned: bool
) -> None:
    response = reviewed(
        body("UPDATE", made(CONFIG, name=name, **new), made(CONFIG, name=name, **old)), CONFIG
    )
    text = (
        f"modifying well-known config ns/{name} is not recommended. Consider creating a custom config instead"
    )
    assert response["allowed"]
    assert response.get("warnings", []) == ([text] if warned else [])


@pytest.mark.parametrize(
    ("old", "new", "warned"),
    [
        ({"model": {"uri": "", "criticality": "Critical"}}, {"model": {"uri": ""}}, True),
        ({"model": {"uri": ""}}, {"model": {"uri": "", "criticality": "Critical"}}, False),
        (pool(selector={"a": "b"}), pool(selector={"a": "c"}), True),
        (pool(selector={"a": "b"}), pool(selector={"a": "b", "c": "d"}), False),
        (pool(targetPortNumber=1), pool(targetPortNumber=2), True),
    ],
)
def test_fields_that_only_v1alpha1_has_count_as_well(
    old: dict[str, Any], new: dict[str, Any], warned: bool
) -> None:
    before, after = (made(CONFIG, "v1alpha1", PRESET, **spec) for spec in (old, new))
    response = reviewed(body("UPDATE", after, before), CONFIG, "v1alpha1")
    assert any(text.startswith("modifying") for text in response["warnings"]) is warned


def test_the_preset_warning_comes_with_a_refusal_too() -> None:
    content = body("UPDATE", made(CONFIG, name=PRESET, replicas=2), made(CONFIG, name=PRESET, replicas=1))
    response = reviewed(content, CONFIG, rules=ConfigRules(check=refuse))
    assert not response["allowed"]
    assert len(response["warnings"]) == 1


def deletion(name: str, namespace: str = "ns", **rules: Any) -> dict[str, Any]:
    gone = made(CONFIG, name=name)
    gone["metadata"]["namespace"] = namespace
    return reviewed(body("DELETE", old=gone), CONFIG, rules=ConfigRules(system_namespace="sys", **rules))


def test_a_preset_of_the_system_namespace_is_not_deleted() -> None:
    refused = deletion(PRESET, "sys", users=lambda _: [ObjectKey("team", "a")])
    assert verdict(refused) == (False, 403, f"well-known config sys/{PRESET} cannot be deleted")
    assert refused["status"]["reason"] == "Forbidden"
    assert deletion("own", "sys")["allowed"]
    assert deletion(PRESET, "sys", well_known=frozenset({"other"}))["allowed"]


def test_where_the_operator_allows_it_there_is_a_warning() -> None:
    allowed = deletion(PRESET, "sys", prevents_deletion=False)
    assert allowed["allowed"]
    assert allowed["warnings"] == [f"deleting well-known config sys/{PRESET} is not recommended"]


def test_the_end_of_the_system_namespace_is_not_held_up() -> None:
    ending = deletion(PRESET, "sys", terminating=lambda namespace: namespace == "sys")
    assert (ending["allowed"], ending.get("warnings")) == (True, None)


@pytest.mark.parametrize(("namespace", "name"), [("ns", PRESET), ("ns", "own"), ("sys", "own")])
def test_a_config_that_is_used_goes_with_a_warning_that_says_it_stays(namespace: str, name: str) -> None:
    users = [ObjectKey("team", "a"), ObjectKey("team", "b")]
    for count, used in ((0, None), (1, "is used by team/a:"), (2, "is used by team/a and others:")):
        found = deletion(name, namespace, users=lambda _, count=count: users[:count])
        assert found["allowed"]
        warnings = [f"config {namespace}/{name} {used} it stays, in deletion, until no service uses it"]
        assert found.get("warnings") == (warnings if used else None)


HOSTNAMES_ONLY: dict[str, Any] = {
    "router": {
        "route": {
            "http": {
                "spec": {
                    "hostnames": ["h"],
                    "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}],
                }
            }
        }
    }
}
TWO_PORTS: dict[str, Any] = {
    "router": {"scheduler": {"pool": {"spec": {"targetPorts": [{"number": 1}, {"number": 2}]}}}}
}


@pytest.mark.parametrize(("spec", "part"), [(TWO_PORTS, "targetPorts")])
def test_traps_are_warned_about_when_the_spec_changes(spec: dict[str, Any], part: str) -> None:
    trapped = made(SERVICE, **spec)
    for content in (body("CREATE", trapped), body("UPDATE", trapped, made(SERVICE))):
        (warning,) = reviewed(content)["warnings"]
        assert part in warning
        assert len(warning) < 120
    assert "warnings" not in reviewed(body("UPDATE", trapped, trapped))


def test_nothing_is_said_of_rules_that_the_schema_may_have_filled_in() -> None:
    assert "warnings" not in reviewed(body("CREATE", made(SERVICE, **HOSTNAMES_ONLY)))


def test_the_old_version_and_its_field_are_deprecated() -> None:
    old = made(SERVICE, "v1alpha1", model={"criticality": "Critical"})
    first, second = reviewed(body("CREATE", old), version="v1alpha1")["warnings"]
    assert "v1alpha1" in first
    assert "spec.model.criticality" in second
    assert max(len(first), len(second)) < 120


def test_an_object_the_api_server_converted_for_us_is_judged_without_warnings_about_how_it_was_written() -> (
    None
):
    gvk = {"group": GROUP, "kind": SERVICE}
    content = body(
        "CREATE",
        made(SERVICE, "v1alpha1", worker={}),
        kind={**gvk, "version": "v1alpha1"},
        requestKind={**gvk, "version": "v1alpha2"},
    )
    response = reviewed(content, version="v1alpha1")
    assert not response["allowed"]
    assert "warnings" not in response


def test_a_fault_of_ours_is_a_500_with_the_uid() -> None:
    reply = json.loads(admission.crashed(body("CREATE", made(SERVICE)), RuntimeError("boom")))
    assert reply["response"]["uid"] == "u-1"
    assert verdict(reply["response"]) == (False, 500, "panic: boom [recovered]")
    assert json.loads(admission.crashed(b"{", RuntimeError("boom")))["response"]["uid"] == ""


def test_an_object_nested_too_deeply_is_refused_not_a_crash() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    response = reviewed(body("CREATE", made(SERVICE, worker={"x": deep})))
    assert not response["allowed"]
    assert response["uid"] == "u-1"


_KEYS = """spec metadata model lora adapters router route http refs uri parallelism data worker prefill name status
addresses url baseRefs"""
KEYS = _KEYS.split()
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@given(
    anything, anything, st.sampled_from(["CREATE", "UPDATE", "DELETE"]), st.sampled_from([SERVICE, CONFIG])
)
def test_every_object_gets_an_answer(new: Any, old: Any, operation: str, kind: str) -> None:
    def typed(tree: Any) -> Any:
        return {**tree, "apiVersion": f"{GROUP}/v1alpha2", "kind": kind} if isinstance(tree, dict) else tree

    response = reviewed(body(operation, typed(new), typed(old)), kind)
    assert response["uid"] == "u-1"
    assert response["allowed"] or response["status"]["message"]
