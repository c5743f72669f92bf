"""The families of admission rules beyond routes and parallelism (ADM-3): every rule, its text, its place in the order."""

from typing import Any

import pytest

from aioctl.api import carried_fields, validation
from aioctl.api.objects import FieldError
from aioctl.api.rules.dra import CEL_SELECTOR, CONTAINER_NAME, DEVICE_CLASS, DEVICE_COUNT
from aioctl.api.v1alpha1 import down

GROUP = "spec.router.route.group"
HPA: dict[str, Any] = {"maxReplicas": 2, "wva": {"hpa": {}}}
TRIGGER = {"type": "cpu", "metadata": {"value": "80"}}


def service(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {
            "name": "svc",
            "namespace": "ns",
            **({"annotations": annotations} if annotations else {}),
        },
        "spec": spec,
    }


def route(**fields: Any) -> dict[str, Any]:
    return {"router": {"route": fields}}


def scheduler(**fields: Any) -> dict[str, Any]:
    return {"router": {"scheduler": fields}}


def lora(*names: str | None, **limits: int) -> dict[str, Any]:
    adapters = [{"uri": "hf://a/b", **({} if name is None else {"name": name})} for name in names]
    return {"model": {"uri": "hf://m/m", "lora": {"adapters": adapters, **limits}}}


def tier(file_system: Any) -> dict[str, Any]:
    return {"kvCacheOffloading": {"cpu": "1Gi", "secondary": [{"fileSystem": file_system}]}}


def keda(least: int | None = None, **fields: Any) -> dict[str, Any]:
    found = {"maxReplicas": 3, "keda": {"triggers": [TRIGGER], **fields}}
    return {"scaling": found if least is None else {"minReplicas": least, **found}}


def wva(**fields: Any) -> dict[str, Any]:
    return {"scaling": {"minReplicas": 1, "maxReplicas": 3, "wva": fields}}


def texts(new: dict[str, Any], old: dict[str, Any] | None = None) -> list[str]:
    return [str(problem) for problem in validation.validate(new, old)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (route(group="g", weight=0), []),
        (route(weight=3), [f"{GROUP}: Required value: weight requires group"]),
        (route(group="g"), ["spec.router.route.weight: Required value: group requires weight"]),
        (
            route(group="g", weight=1, http={"refs": [{"name": "r"}]}),
            [
                (
                    f'{GROUP}: Invalid value: "g": traffic splitting cannot be used with custom HTTPRoute refs; '
                    "controller-managed routes (route.http.spec or route.http: {}) are required"
                )
            ],
        ),
        (
            {"router": {"route": {"weight": 1}, "ingress": {}}},
            [
                (
                    f'{GROUP}: Invalid value: "": traffic splitting requires Gateway API routing; '
                    "the controller manages HTTPRoutes, not Ingress resources"
                )
            ],
        ),
        ({"router": {"route": {}, "ingress": {}}}, []),
    ],
)
def test_groups_and_weights_come_together_and_on_our_routes(
    spec: dict[str, Any], expected: list[str]
) -> None:
    assert texts(service(**spec)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"replicas": 1, "config": {"inline": {"a": 1}}}, []),
        ({"config": {"ref": {"name": "c", "key": "k"}}}, []),
        ({"replicas": 0}, [".replicas: Invalid value: 0: scheduler replicas must be greater than zero"]),
        ({"config": {}}, [".config: Invalid value: {}: either inline or ref is required"]),
        (
            {"config": {"inline": {}, "ref": {"key": "k"}}},
            [
                (
                    '.config: Invalid value: {"inline":{},"ref":{"key":"k"}}: '
                    "both inline and ref are set, either specify inline or ref"
                ),
                ".config.inline: Invalid value: {}: inline configuration is invalid",
                '.config.ref.name: Invalid value: {"key":"k"}: name is empty',
            ],
        ),
    ],
)
def test_the_schedulers_configuration_has_one_source(fields: dict[str, Any], expected: list[str]) -> None:
    assert texts(service(**scheduler(**fields))) == [f"spec.router.scheduler{text}" for text in expected]


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (HPA, []),
        (
            {"minReplicas": 3, **HPA},
            [".minReplicas: Invalid value: 3: minReplicas (3) cannot exceed maxReplicas (2)"],
        ),
        (
            {"maxReplicas": 2},
            [": Required value: either wva or keda must be specified when scaling is configured"],
        ),
        (
            {**HPA, "keda": {"triggers": []}},
            [
                (
                    ': Invalid value: {"maxReplicas":2,"wva":{"hpa":{}},"keda":{"triggers":[]}}: '
                    "wva and keda are mutually exclusive; choose one scaling mechanism"
                )
            ],
        ),
        (
            {"maxReplicas": 2, "keda": {"triggers": []}},
            [
                ".keda.triggers: Required value: at least one trigger is required when using direct KEDA scaling"
            ],
        ),
        (
            {"maxReplicas": 2, "wva": {}},
            [".wva: Required value: either hpa or keda must be specified as the actuator backend"],
        ),
        (
            {"maxReplicas": 2, "wva": {"variantCost": "-1", "hpa": {}, "keda": {}}},
            [
                (
                    '.wva: Invalid value: {"variantCost":"-1","hpa":{},"keda":{}}: '
                    "hpa and keda are mutually exclusive; choose one actuator backend"
                ),
                (
                    '.wva.variantCost: Invalid value: "-1": '
                    'variantCost must be a non-negative numeric string (e.g., "10", "10.0", "0.5")'
                ),
            ],
        ),
        (
            {"maxReplicas": 2, "wva": {"keda": {"advanced": {"scalingModifiers": {"formula": "1"}}}}},
            [
                (
                    ".wva.keda.advanced.scalingModifiers: Forbidden: "
                    "scalingModifiers must not be set; WVA controls the scaling metric formula and logic"
                )
            ],
        ),
        (
            {
                "maxReplicas": 2,
                "wva": {"keda": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "n"}}}},
            },
            [
                (
                    ".wva.keda.advanced.horizontalPodAutoscalerConfig.name: Forbidden: "
                    "horizontalPodAutoscalerConfig.name must not be set; the controller manages the HPA name"
                )
            ],
        ),
        (
            keda(idleReplicaCount=1)["scaling"],
            [
                (
                    ".minReplicas: Required value: minReplicas is required when idleReplicaCount is set; "
                    "idleReplicaCount (1) must be less than minReplicas"
                )
            ],
        ),
        (
            keda(2, idleReplicaCount=2)["scaling"],
            [
                (
                    ".keda.idleReplicaCount: Invalid value: 2: idleReplicaCount (2) must be less than minReplicas (2); "
                    "idleReplicaCount defines the replica floor when no triggers are active"
                )
            ],
        ),
        (keda(2, idleReplicaCount=1)["scaling"], []),
    ],
)
@pytest.mark.parametrize("prefill", [False, True], ids=["main", "prefill"])
def test_scaling_of_each_workload(scaling: dict[str, Any], expected: list[str], *, prefill: bool) -> None:
    found = texts(service(**({"prefill": {"scaling": scaling}} if prefill else {"scaling": scaling})))
    assert found == [f"spec.{'prefill.' if prefill else ''}scaling{text}" for text in expected]


def test_scaling_and_replicas_exclude_each_other() -> None:
    assert texts(service(replicas=1, scaling=HPA)) == [
        (
            'spec.scaling: Invalid value: {"maxReplicas":2,"wva":{"hpa":{}}}: scaling and replicas are mutually exclusive; '
            "use scaling for autoscaled deployments or replicas for static deployments"
        )
    ]


@pytest.mark.parametrize(
    ("decode", "prefill", "expected"),
    [
        (wva(hpa={}), wva(hpa={}), []),
        (
            wva(hpa={}),
            keda(),
            [
                (
                    'spec.prefill.scaling: Invalid value: {"maxReplicas":3,"keda":{"triggers":[{"type":"cpu",'
                    '"metadata":{"value":"80"}}]}}: decode and prefill must use the same scaling mode; '
                    "decode uses wva but prefill uses direct keda"
                )
            ],
        ),
        (
            wva(hpa={}),
            wva(keda={}),
            [
                (
                    'spec.prefill.scaling.wva: Invalid value: {"keda":{}}: decode and prefill must use the same actuator '
                    "backend; decode uses hpa but prefill uses keda \u2014 mixing backends requires two separate metric "
                    "pipelines and leads to independent, unsynchronised scaling decisions"
                )
            ],
        ),
        (wva(hpa={}), {"replicas": 1}, []),
    ],
)
def test_both_workloads_scale_alike(
    decode: dict[str, Any], prefill: dict[str, Any], expected: list[str]
) -> None:
    assert texts(service(**decode, prefill=prefill)) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (lora("a", "b", maxRank=1), []),
        (
            lora(maxRank=0, maxAdapters=-1, maxCpuAdapters=0),
            [
                ".maxRank: Invalid value: 0: maxRank must be at least 1",
                ".maxAdapters: Invalid value: -1: maxAdapters must be at least 1",
                ".maxCpuAdapters: Invalid value: 0: maxCpuAdapters must be at least 1",
            ],
        ),
        (
            lora(None, "", ".", "..", "a", "a", "svc", "a"),
            [
                ".adapters[0].name: Required value: adapter name is required",
                ".adapters[1].name: Required value: adapter name is required",
                '.adapters[2].name: Invalid value: ".": adapter name must not include "." or ".." (path traversal risk)',
                '.adapters[3].name: Invalid value: "..": adapter name must not include "." or ".." (path traversal risk)',
                '.adapters[5].name: Invalid value: "a": duplicate name (same as adapters[4])',
                '.adapters[6].name: Invalid value: "svc": adapter name must differ from base model name "svc"',
                '.adapters[7].name: Invalid value: "a": duplicate name (same as adapters[4])',
            ],
        ),
    ],
)
def test_adapters_have_names_of_their_own(spec: dict[str, Any], expected: list[str]) -> None:
    assert texts(service(**spec)) == [f"spec.model.lora{text}" for text in expected]


def test_the_base_models_name_is_the_models_before_the_services() -> None:
    new = service(model={"name": 'm"', "lora": {"adapters": [{"name": 'm"'}, {"name": "svc"}]}})
    (problem,) = (problem for problem in validation.validate(new) if problem.rule == "lora-base")
    assert problem.field == "spec.model.lora.adapters[0].name"
    assert problem.detail == 'adapter name must differ from base model name "m\\""'


@pytest.mark.parametrize(
    ("file_system", "expected"),
    [
        ({"emptyDir": {"size": "1Gi"}}, []),
        ({"pvc": {"ref": {"name": "claim"}}}, []),
        ({"pvc": {"spec": {}}}, []),
        (None, [": Required value: only fileSystem tiers are supported; fileSystem must be set"]),
        ({}, [": Required value: exactly one of emptyDir or pvc must be set"]),
        (
            {"emptyDir": {"size": "1Gi"}, "pvc": {}},
            [
                (
                    ': Invalid value: {"emptyDir":{"size":"1Gi"},"pvc":{}}: '
                    "exactly one of emptyDir or pvc must be set; multiple are set"
                )
            ],
        ),
        ({"pvc": {}}, [".pvc: Required value: exactly one of spec or ref must be set"]),
        (
            {"pvc": {"spec": {}, "ref": {"name": ""}}},
            [
                (
                    '.pvc: Invalid value: {"spec":{"resources":{}},"ref":{"name":""}}: '
                    "exactly one of spec or ref must be set; multiple are set"
                )
            ],
        ),
        ({"pvc": {"ref": {}}}, [".pvc.ref.name: Required value: name is required"]),
    ],
)
def test_tiers_of_the_key_value_cache(file_system: Any, expected: list[str]) -> None:
    at = "spec.kvCacheOffloading.secondary[0].fileSystem"
    assert texts(service(**tier(file_system))) == [f"{at}{text}" for text in expected]
    at = "spec.prefill.kvCacheOffloading.secondary[0].fileSystem"
    assert texts(service(prefill=tier(file_system))) == [f"{at}{text}" for text in expected]


@pytest.mark.parametrize("cpu", [None, "0", 0, "0Gi", "0m"])
def test_tiers_need_memory_before_them(cpu: Any) -> None:
    found = {**tier({"emptyDir": {"size": "1Gi"}})["kvCacheOffloading"], "cpu": cpu}
    assert texts(service(kvCacheOffloading=found)) == [
        "spec.kvCacheOffloading.cpu: Required value: cpu must be set when secondary tiers are configured"
    ]
    assert texts(service(kvCacheOffloading={"cpu": cpu})) == []


PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
BOTH_ZERO = "maxUnavailable and maxSurge cannot both be zero; this would prevent any rolling update progress"


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ({}, []),
        ({"maxUnavailable": 0, "maxSurge": 1}, []),
        ({"maxUnavailable": "0%"}, []),
        ({"maxUnavailable": "100%", "maxSurge": "0%"}, []),
        ({"maxUnavailable": 0, "maxSurge": "1%"}, []),
        ({"maxUnavailable": -1}, [".maxUnavailable: Invalid value: -1: must be greater than or equal to 0"]),
        ({"maxSurge": "-1%"}, [f'.maxSurge: Invalid value: "-1%": {PERCENT}']),
        (
            {"maxUnavailable": "5", "maxSurge": "101%"},
            [
                f'.maxUnavailable: Invalid value: "5": {PERCENT}',
                '.maxSurge: Invalid value: "101%": must not be greater than 100%',
            ],
        ),
        (
            {"maxSurge": f"{'9' * 1023}%"},
            [f'.maxSurge: Invalid value: "{"9" * 1023}%": must not be greater than 100%'],
        ),
        (  # more digits than Python turns into a number; the bound of the text speaks too
            {"maxSurge": f"{'9' * 5000}%"},
            [
                f'.maxSurge: Invalid value: "{"9" * 5000}%": must not be greater than 100%',
                ".maxSurge: Too long: it has 5,001 characters, and at most 1,024 are allowed: shorten it",
            ],
        ),
        (
            {"maxUnavailable": "99%", "maxSurge": "0%"},
            [f': Invalid value: {{"maxUnavailable":"99%","maxSurge":"0%"}}: {BOTH_ZERO}'],
        ),
        (
            {"maxUnavailable": 0, "maxSurge": 0},
            [f': Invalid value: {{"maxUnavailable":0,"maxSurge":0}}: {BOTH_ZERO}'],
        ),
    ],
)
def test_rolling_updates_get_on(strategy: dict[str, Any], expected: list[str]) -> None:
    found = [f"spec.rolloutStrategy{text}" for text in expected]
    assert texts(service(rolloutStrategy=strategy)) == found
    found = [f"spec.prefill.rolloutStrategy{text}" for text in expected]
    assert texts(service(prefill={"rolloutStrategy": strategy})) == found


@pytest.mark.parametrize(("unavailable", "needed"), [(0, True), ("50%", True), ("100%", False), (1, False)])
def test_groups_of_pods_that_may_not_miss_one_need_a_surge(unavailable: Any, *, needed: bool) -> None:
    spec = {"worker": {}, "parallelism": {"pipeline": 2}, "rolloutStrategy": {"maxUnavailable": unavailable}}
    assert texts(service(**spec)) == (
        [
            (
                "spec.rolloutStrategy.maxSurge: Required value: maxSurge is required for multi-node workloads when "
                "maxUnavailable is 0, otherwise no rolling update progress is possible"
            )
        ]
        if needed
        else []
    )


@pytest.mark.parametrize("value", [True, 1.5, [], {}])
def test_a_share_is_a_number_or_text(value: Any) -> None:
    with pytest.raises(
        FieldError, match=r"^spec\.prefill\.rolloutStrategy\.maxSurge: expected a number or a string$"
    ):
        validation.validate(service(prefill={"rolloutStrategy": {"maxSurge": value}}))


LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (DEVICE_CLASS, " gpu.nvidia.com ", ""),
        (DEVICE_CLASS, " ", "device class must not be empty"),
        (DEVICE_CLASS, "a..b", f"device class must be a DNS subdomain: {SUBDOMAIN}"),
        (
            DEVICE_CLASS,
            "A" * 254,
            f"device class must be a DNS subdomain: must be no more than 253 characters; {SUBDOMAIN}",
        ),
        (DEVICE_COUNT, "", ""),
        (DEVICE_COUNT, " +2 ", ""),
        (DEVICE_COUNT, "0", f'invalid {DEVICE_COUNT} value "0": must be >= 1'),
        (DEVICE_COUNT, "-3", f'invalid {DEVICE_COUNT} value "-3": must be >= 1'),
        (
            DEVICE_COUNT,
            " 1_0 ",
            f'invalid {DEVICE_COUNT} value " 1_0 ": strconv.Atoi: parsing "1_0": invalid syntax',
        ),
        (
            DEVICE_COUNT,
            "9223372036854775808",
            (
                f'invalid {DEVICE_COUNT} value "9223372036854775808": '
                'strconv.Atoi: parsing "9223372036854775808": value out of range'
            ),
        ),
        (CEL_SELECTOR, "a == b\n", ""),
        (CEL_SELECTOR, "\n \n", "cel selector must contain at least one non-empty CEL expression"),
        (CONTAINER_NAME, " main", ""),
        (CONTAINER_NAME, "", "container name must not be empty"),
        (CONTAINER_NAME, "a.b", "container name must be a DNS label: must not contain dots"),
        (CONTAINER_NAME, "a.B", f"container name must be a DNS label: {LABEL}"),
        (
            CONTAINER_NAME,
            "é" * 32,
            f"container name must be a DNS label: must be no more than 63 characters; {LABEL}",
        ),
        (
            CONTAINER_NAME,
            f"{'b' * 63}-",
            f"container name must be a DNS label: must be no more than 63 characters; {LABEL}",
        ),
    ],
)
def test_annotations_that_ask_for_devices(key: str, value: str, expected: str) -> None:
    problems = validation.validate(service({DEVICE_CLASS: "gpu", key: value}))
    assert [problem.detail for problem in problems] == ([expected] if expected else [])
    assert all(problem.field == f"metadata.annotations[{key}]" for problem in problems)


def test_devices_need_a_class_and_the_rest_is_judged_all_the_same() -> None:
    assert texts(service({DEVICE_COUNT: "0"})) == [
        (
            f"metadata.annotations[{DEVICE_CLASS}]: Required value: {DEVICE_CLASS} is required to enable managed DRA when "
            f"{DEVICE_COUNT}, {CEL_SELECTOR}, or {CONTAINER_NAME} is set"
        ),
        f'metadata.annotations[{DEVICE_COUNT}]: Invalid value: "0": invalid {DEVICE_COUNT} value "0": must be >= 1',
    ]


def confidential(uri: str, resource: str = "", *, enabled: bool = True) -> dict[str, Any]:
    return service(model={"uri": uri, "confidential": {"enabled": enabled, "resourceId": resource}})


@pytest.mark.parametrize(
    ("resource", "fits"),
    [("", True), ("kbs:///r/t/a_g.1-", True), ("kbs:///r/t", False), ("kbs:///r/t/", False), ("kbs:///r/t/a/b", False),
     ("kbs:///r/t/a\n", False), ("kbs:///r/t/\u0661", False)],
)  # fmt: skip
def test_where_a_key_lies(resource: str, *, fits: bool) -> None:
    new = confidential("hf://a/b", resource)
    assert [problem.detail for problem in validation.validate(new)] == (
        [] if fits else ["must be in the format kbs:///<repo>/<type>/<tag>"]
    )
    assert validation.validate(confidential("hf://a/b", resource, enabled=False)) == []


def test_keys_that_nobody_asks_for_are_warned_of() -> None:
    oci = (
        "confidential has no effect with OCI URIs; OCI image decryption is handled by the container runtime "
        "via runtimeClassName"
    )
    pvc = "confidential has no effect with PVC URIs; the storage-initializer is not injected for PVC volumes"
    found = [
        validation.warnings(confidential(f"{scheme}://a/b"))
        for scheme in ("oci", "pvc", "OCI", "Pvc", "hf", "oci+native")
    ]
    assert found == [[oci], [pvc], [oci], [pvc], [], []]
    assert validation.warnings(confidential("oci://a/b", enabled=False)) == []


PARENT = {"name": "g", "namespace": "n"}


@pytest.mark.parametrize(
    ("parents", "gateways", "agree"),
    [
        ([PARENT], [PARENT], True),
        ([{"name": "a"}, {**PARENT, "group": "x"}], [{**PARENT}, {"name": "a", "namespace": ""}], True),
        ([{**PARENT, "sectionName": "s"}], [PARENT], False),
        ([PARENT, PARENT], [PARENT], False),
        ([{"name": "g"}], [PARENT], False),
    ],
)
def test_parents_may_repeat_what_the_gateways_say(
    parents: list[Any], gateways: list[Any], *, agree: bool
) -> None:
    new = service(
        router={"route": {"http": {"spec": {"parentRefs": parents}}}, "gateway": {"refs": gateways}}
    )
    for version in (new, down(new)):
        assert [problem.rule for problem in validation.validate(version)] == ([] if agree else ["3"])
        assert len(validation.warnings(version)) == int(agree)


def everything_wrong() -> dict[str, Any]:
    return service(
        {DEVICE_COUNT: "1"},
        router={"route": {"weight": 1}, "scheduler": {"replicas": 0}},
        parallelism={"data": 1},
        scaling={"maxReplicas": 1},
        model={
            "uri": "hf://a/b",
            "name": 'q"',
            "lora": {"maxRank": 0},
            "confidential": {"enabled": True, "resourceId": "x"},
        },
        kvCacheOffloading={"cpu": "0", "secondary": [{"fileSystem": {"emptyDir": {"size": "1Gi"}}}]},
        rolloutStrategy={"maxSurge": -1},
    )


def test_each_version_has_its_order_and_what_only_we_ask_comes_last() -> None:
    first = ["traffic-group", "7", "scheduler-replicas", "scaling-none"]
    last = ["dra-class", "11", "confidential", "name"]
    new, old = everything_wrong(), service(parallelism={"pipeline": 2})
    assert [p.rule for p in validation.validate(new, old)] == [
        *first,
        "lora-least",
        "kv-cpu",
        "rollout",
        *last,
    ]
    old_version = down(new)
    assert carried_fields.SPEC_FIELDS in old_version["metadata"]["annotations"]
    assert [p.rule for p in validation.validate(old_version, down(old))] == [
        *first, "rollout", "lora-least", "kv-cpu", *last,
    ]  # fmt: skip


def test_an_update_is_blamed_for_none_of_what_was_wrong_before() -> None:
    new = everything_wrong()
    assert validation.validate(new, everything_wrong()) == []
    assert validation.validate(down(new), down(everything_wrong())) == []


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        (service(rolloutStrategy={"maxSurge": -1}), service(rolloutStrategy={"maxSurge": -2}), False),
        (service(rolloutStrategy={"maxSurge": -1}), service(rolloutStrategy={"maxSurge": "200%"}), True),
        (service(rolloutStrategy={"maxSurge": "x"}), service(rolloutStrategy={"maxSurge": "200%"}), True),
        (service({DEVICE_CLASS: "A"}), service({DEVICE_CLASS: "B"}), False),
        (service({DEVICE_CLASS: " "}), service({DEVICE_CLASS: "B"}), True),
        (
            service({DEVICE_CLASS: "a", DEVICE_COUNT: "x"}),
            service({DEVICE_CLASS: "a", DEVICE_COUNT: "0"}),
            False,
        ),
        (service(**tier({})), service(**tier({"emptyDir": {"size": "1Gi"}, "pvc": {"spec": {}}})), True),
    ],
)
def test_an_update_may_keep_what_it_broke_before_and_nothing_else(
    old: dict[str, Any], new: dict[str, Any], refused: bool
) -> None:
    assert texts(old)
    assert texts(new)
    assert bool(texts(new, old)) is refused
