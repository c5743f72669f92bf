"""Admission rules of LLMInferenceService (ADM-3), one by one and against recorded verdicts."""

from typing import Any

import pytest

from aioctl.api import validation
from aioctl.api.decoding import Undecodable, check_decodable
from aioctl.golang import gojson
from testbed import shared_data

WORKER_TEXT = "when worker is specified, parallelism must be configured for either data parallelism or pipeline parallelism"


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": spec,
    }


def route(http: dict[str, Any], **router: Any) -> dict[str, Any]:
    return service(router={"route": {"http": http}, **router})


def found(new: dict[str, Any], old: dict[str, Any] | None = None) -> list[tuple[str, str, str]]:
    return [(problem.rule, problem.field, problem.value) for problem in validation.validate(new, old)]


REFS = [{"name": "r"}]
POD: dict[str, Any] = {"containers": []}


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (service(), []),
        (route({"refs": REFS}), []),
        (route({"refs": [], "spec": {}}), []),
        (
            route({"refs": REFS, "spec": {}}),
            [("1", "spec.router.route.http", '{"refs":[{"name":"r"}],"spec":{}}')],
        ),
        (route({"refs": REFS}, gateway={}), [("2", "spec.router.route.http.refs", '[{"name":"r"}]')]),
        (
            route({"refs": REFS}, gateway={"refs": []}),
            [("2", "spec.router.route.http.refs", '[{"name":"r"}]')],
        ),
        (route({"refs": REFS}, gateway={"refs": REFS}), []),
        (
            route({"spec": {"parentRefs": REFS}}, gateway={"refs": [{"name": "other"}]}),
            [("3", "spec.router.route.http.spec", '{"parentRefs":[{"name":"r"}]}')],
        ),
        (route({"spec": {"parentRefs": REFS}}, gateway={"refs": REFS}), []),
        (route({"spec": {"parentRefs": []}}, gateway={"refs": REFS}), []),
        (service(worker=POD), [("4", "spec.worker", '{"containers":[]}')]),
        (service(worker={}), [("4", "spec.worker", '{"containers":null}')]),
        (service(worker=POD, parallelism={}), [("5", "spec.worker", '{"containers":[]}')]),
        (service(worker=POD, parallelism={"tensor": 2}), [("5", "spec.worker", '{"containers":[]}')]),
        (service(worker=POD, parallelism={"pipeline": 2}), []),
        (service(worker=POD, parallelism={"data": 2, "dataLocal": 1}), []),
        (
            service(parallelism={"data": 2, "dataLocal": 1, "pipeline": 2, "expert": False}),
            [("6", "spec.parallelism", '{"pipeline":2,"data":2,"dataLocal":1}')],
        ),
        (service(parallelism={"data": 2}), [("7", "spec.parallelism.dataLocal", "null")]),
        (service(parallelism={"dataLocal": 2}), [("7'", "spec.parallelism.data", "null")]),
        (service(parallelism={"pipeline": 0}), [("8", "spec.parallelism.pipeline", "0")]),
        (
            service(parallelism={"data": -1, "dataLocal": 0}),
            [("9", "spec.parallelism.data", "-1"), ("10", "spec.parallelism.dataLocal", "0")],
        ),
        (
            service(worker=POD, prefill={"worker": POD, "parallelism": {"data": 1}}),
            [("4", "spec.worker", '{"containers":[]}'), ("7", "spec.prefill.parallelism.dataLocal", "null")],
        ),
        (service(prefill={}), []),
    ],
)
def test_rules_of_a_created_object(new: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert found(new) == expected


def test_group_size_cannot_change() -> None:
    old = service(parallelism={"data": 4, "dataLocal": 2}, prefill={})
    new = service(parallelism={"data": 8, "dataLocal": 2}, prefill={"parallelism": {"pipeline": 2}})
    problems = validation.validate(new, old)
    assert [str(problem) for problem in problems] == [
        "spec.parallelism: Unsupported value: 4: total parallelism size is immutable, previous size 2, curr size 4",
        "spec.prefill.parallelism: Unsupported value: 2: total parallelism size is immutable, previous size 1, curr size 2",
    ]


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (
            service(parallelism={"data": 16, "dataLocal": 16}),
            service(parallelism={"data": 8, "dataLocal": 8}),
        ),
        (service(parallelism={"data": 2, "dataLocal": 1}), service(parallelism={"pipeline": 2})),
        (service(prefill={"parallelism": {"pipeline": 2}}), service()),
        (service(), service(prefill={"parallelism": {"pipeline": 2}})),
    ],
)
def test_degrees_may_change_while_the_size_stays(new: dict[str, Any], old: dict[str, Any]) -> None:
    assert validation.validate(new, old) == []


def test_an_update_is_not_blamed_for_what_the_old_object_violated() -> None:
    old = service(worker=POD)
    assert found(service(worker={"containers": [], "hostname": "h"}), old) == []
    assert found(service(worker=POD, prefill={"worker": POD}), old) == [
        ("4", "spec.prefill.worker", '{"containers":[]}')
    ]


def test_an_object_being_deleted_is_not_validated() -> None:
    new = service(worker=POD, model={"uri": "oci://image:tag"})
    new["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert validation.validate(new, service()) == []


@pytest.mark.parametrize(
    "spec", [{"parallelism": {"data": "x"}}, {"parallelism": []}, {"prefill": []}, {"prefill": "x"}, []]
)
def test_an_old_object_with_wrong_types_does_not_stop_the_repair(spec: Any) -> None:
    old = {**service(), "spec": spec}
    assert validation.validate(service(prefill={}, parallelism={}), old) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"model": {"uri": "oci://image:tag"}}, 'parse "oci://image:tag": invalid port ":tag" after host'),
        (
            {"model": {"uri": "hf://a", "lora": {"adapters": [{"uri": "://"}]}}},
            'parse "://": missing protocol scheme',
        ),
        (
            {"model": {"lora": {"adapters": {"a": 1}}}},
            "spec.model.lora.adapters: expected a list, got object",
        ),
        ({"model": {"lora": {"adapters": [7]}}}, "spec.model.lora.adapters[0]: expected an object"),
        (
            {"model": {"lora": {"adapters": [{"lora": {"adapters": [{"name": 7}]}}]}}},
            "spec.model.lora.adapters[0].lora.adapters[0].name: expected a string, got integer",
        ),
        (
            {"model": {"lora": {"adapters": [{"name": "a", "confidential": {"enabled": "yes"}}]}}},
            "spec.model.lora.adapters[0].confidential.enabled: expected a boolean, got string",
        ),
        (
            {"model": {"lora": {"adapters": [{"name": "a", "lora": {"maxRank": 2**31}}]}}},
            "spec.model.lora.adapters[0].lora.maxRank: 2147483648 does not fit into 32 bits",
        ),
        ({"parallelism": {"data": "4"}}, "spec.parallelism.data: expected an integer, got string"),
        ({"parallelism": {"data": 4.0}}, "spec.parallelism.data: expected an integer, got number"),
        ({"replicas": 2**31}, "spec.replicas: 2147483648 does not fit into 32 bits"),
        (
            {"prefill": {"parallelism": {"tensor": -(2**31) - 1}}},
            "spec.prefill.parallelism.tensor: -2147483649 does not fit into 32 bits",
        ),
        ({"prefill": {"worker": []}}, "spec.prefill.worker: expected an object, got list"),
        (
            {"router": {"gateway": {"refs": [{"name": 1}]}}},
            "spec.router.gateway.refs[0].name: expected a string, got integer",
        ),
    ],
)
def test_what_go_cannot_decode_is_refused_naming_url_or_field(spec: dict[str, Any], text: str) -> None:
    with pytest.raises(Undecodable) as caught:
        validation.validate(service(**spec), service(**spec))
    assert str(caught.value) == text


def test_the_criticality_of_an_adapter_is_text_where_there_is_such_a_field() -> None:
    hub = service(model={"lora": {"adapters": [{"criticality": 5}]}})
    check_decodable(hub)
    with pytest.raises(
        Undecodable, match=r"^spec\.model\.lora\.adapters\[0\]\.criticality: expected a string, got integer$"
    ):
        check_decodable({**hub, "apiVersion": "serving.kserve.io/v1alpha1"})


def test_urls_of_the_status_are_checked_too() -> None:
    with pytest.raises(Undecodable, match="invalid port"):
        check_decodable({**service(), "status": {"addresses": [{"url": "http://a:b"}]}})
    with pytest.raises(Undecodable, match=r"status\.addresses\[0\]\.url"):
        check_decodable({**service(), "status": {"addresses": [{"url": 1}]}})


def test_structured_status_of_several_problems() -> None:
    new = service(
        parallelism={"data": 2},
        worker={"containers": [{"name": "main", "image": "a<b"}]},
        prefill={"worker": {}},
    )
    status = validation.status(new, validation.validate(new))
    assert status["code"] == 422
    assert status["reason"] == "Invalid"
    assert status["status"] == "Failure"
    assert status["message"] == (
        'LLMInferenceService.serving.kserve.io "svc" is invalid: '
        "[spec.parallelism.dataLocal: Invalid value: null: dataLocal must be set when data is set, "
        f'spec.prefill.worker: Invalid value: {{"containers":null}}: {WORKER_TEXT}]'
    )
    assert status["details"] == {
        "name": "svc",
        "group": "serving.kserve.io",
        "kind": "LLMInferenceService",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: null: dataLocal must be set when data is set",
                "field": "spec.parallelism.dataLocal",
            },
            {
                "reason": "FieldValueInvalid",
                "message": f'Invalid value: {{"containers":null}}: {WORKER_TEXT}',
                "field": "spec.prefill.worker",
            },
        ],
    }


def test_quoted_values_are_spelled_as_go_spells_them() -> None:
    """Its order, its fillers, its quantities; what it does not know it does not have."""
    limits = {"limits": {"cpu": "1000m"}}
    pod = {
        "future": 1,
        "containers": [{"image": "a<b", "name": "m", "resources": limits}, {"name": "n"}],
        "volumes": [],
        "hostname": None,
        "hostAliases": [{"hostnames": ["a"], "ip": "::1"}],
        "hostNetwork": False,
    }
    assert gojson.dump(pod, gojson.POD_SPEC) == (
        '{"containers":[{"name":"m","image":"a\\u003cb","resources":{"limits":{"cpu":"1"}}},{"name":"n","resources":{}}],'
        '"hostAliases":[{"ip":"::1","hostnames":["a"]}]}'
    )


def test_quoted_values_that_go_could_not_decode_are_left_alone() -> None:
    assert (
        gojson.dump({"priority": 1, "containers": "x"}, gojson.POD_SPEC) == '{"priority":1,"containers":"x"}'
    )


@pytest.mark.parametrize("case", ["bad-both", "bad-data-only"])
def test_recorded_refusals_of_a_real_server(case: str) -> None:
    (recording,) = shared_data.documents(f"golden/{case}.yaml")[case]
    given = recording["given"]["services"][0]
    # The API server fills these in before admission (SCHEMA-4).
    for parent in (
        given["spec"].get("router", {}).get("route", {}).get("http", {}).get("spec", {}).get("parentRefs", [])
    ):
        parent.update(group="gateway.networking.k8s.io", kind="Gateway")
    refused = recording["refused"]["LLMInferenceService/svc"]
    problems = validation.validate(given)
    assert refused == f"422: admission webhook denied the request: {validation.message('svc', problems)}"
