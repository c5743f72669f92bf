"""Tracing of the model servers, and the order in which pods are filled (TRACE-1, ART-6)."""

from typing import Any

import pytest

from aioctl.plan.workload import pods
from aioctl.plan.workload.contents import fill
from aioctl.plan.workload.tracing import attach_tracing
from testbed.plan_world import World

TRACING = {
    "exporterEndpoint": "http://otel:4317",
    "sampler": "parentbased_traceidratio",
    "samplerArg": "0.05",
    "exporter": "otlp",
}


def traced(tracing: dict[str, Any], *, prefill: bool = False, **main: Any) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": [{"name": "main", **main}]}
    attach_tracing(pod, {"tracing": tracing}, prefill=prefill, namespace="ns", service="svc")
    found: dict[str, Any] = pod["containers"][0]
    return found


@pytest.mark.parametrize(
    ("prefill", "name"), [(False, "inference-server-decode"), (True, "inference-server-prefill")]
)
def test_main_gets_flags_and_environment(prefill: bool, name: str) -> None:
    main = traced(TRACING, prefill=prefill, args=["--x"])
    assert main["args"] == [
        "--x", "--otlp-traces-endpoint", "http://otel:4317", "--collect-detailed-traces", "all",
    ]  # fmt: skip
    assert main["env"] == [
        {"name": "OTEL_SERVICE_NAME", "value": name},
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4317"},
        {"name": "OTEL_TRACES_EXPORTER", "value": "otlp"},
        {"name": "OTEL_TRACES_SAMPLER", "value": "parentbased_traceidratio"},
        {"name": "OTEL_TRACES_SAMPLER_ARG", "value": "0.05"},
        {
            "name": "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "spec.nodeName"}},
        },
        {
            "name": "OTEL_RESOURCE_ATTRIBUTES_POD_NAME",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        },
        {
            "name": "OTEL_RESOURCE_ATTRIBUTES",
            "value": "k8s.namespace.name=ns,k8s.node.name=$(OTEL_RESOURCE_ATTRIBUTES_NODE_NAME),"
            "k8s.pod.name=$(OTEL_RESOURCE_ATTRIBUTES_POD_NAME),llmisvc.name=svc",
        },
    ]


@pytest.mark.parametrize(
    ("args", "added"),
    [
        (["--otlp-traces-endpoint", "http://mine"], ["--collect-detailed-traces", "all"]),
        (["--otlp-traces-endpoint=http://mine"], ["--collect-detailed-traces", "all"]),
        (["--collect-detailed-traces=worker"], ["--otlp-traces-endpoint", "http://otel:4317"]),
        # Another flag that only begins like it.
        (
            ["--otlp-traces-endpoints"],
            ["--otlp-traces-endpoint", "http://otel:4317", "--collect-detailed-traces", "all"],
        ),
    ],
)
def test_flags_of_the_users_stand(args: list[str], added: list[str]) -> None:
    assert traced(TRACING, args=args)["args"] == [*args, *added]


def test_variables_of_the_users_stand_whatever_they_hold() -> None:
    mine = {"name": "OTEL_SERVICE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    env = traced(TRACING, env=[mine])["env"]
    assert env[0] == mine
    assert len({item["name"] for item in env}) == len(env) == 8


@pytest.mark.parametrize("tracing", [{}, {**TRACING, "exporterEndpoint": ""}])
def test_without_an_endpoint_nothing_changes(tracing: dict[str, Any]) -> None:
    assert traced(tracing) == {"name": "main"}


def test_without_main_nothing_changes() -> None:
    pod = {"containers": [{"name": "x"}]}
    attach_tracing(pod, {"tracing": TRACING}, prefill=False, namespace="ns", service="svc")
    assert pod == {"containers": [{"name": "x"}]}


def test_a_pod_gets_model_adapters_tiers_and_tracing_in_this_order() -> None:
    tier = {"fileSystem": {"emptyDir": {"size": "1Gi"}}}
    spec = {
        "model": {"uri": "hf://a/b", "lora": {"adapters": [{"name": "a", "uri": "pvc://c"}]}},
        "tracing": TRACING,
        "prefill": {"kvCacheOffloading": {"cpu": "1Gi", "secondary": [tier]}},
    }
    ctx = World().context(spec)
    pod: dict[str, Any] = {"containers": [{"name": "main", "args": ["--mine"]}]}
    fill(ctx, pod, pods.prefill_side(ctx), {"metadata": {"name": "u"}}, whose="prefill deployment")
    assert [volume["name"] for volume in pod["volumes"]] == [
        "kserve-provision-location",
        "lora-pvc-a",
        "kv-cache-secondary-0",
    ]
    args = pod["containers"][0]["args"]
    assert [arg for arg in args if arg.startswith("--")] == [
        "--enable-lora", "--lora-modules", "--mine", "--otlp-traces-endpoint", "--collect-detailed-traces",
    ]  # fmt: skip
    assert pod["containers"][0]["env"][0]["value"] == "inference-server-prefill"
