"""Tracing: vLLM's flags, and OpenTelemetry's environment of whatever sends traces (TRACE-1).

Changes the pod spec it is given, which must be the caller's own copy. What the user has said stays.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api.objects import mapping, text
from aioctl.plan.workload.containers import MAIN, Item, add_named, named

_NODE: Final = "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME"
_POD: Final = "OTEL_RESOURCE_ATTRIBUTES_POD_NAME"


def attach_tracing(
    pod: Item, spec: Mapping[str, Any], *, prefill: bool, namespace: str, service: str
) -> None:
    """Let `main` send its traces to the endpoint of `spec.tracing`; nothing without one of the two."""
    tracing = mapping({"spec": spec}, "spec", "tracing")
    endpoint = text(tracing, "exporterEndpoint")
    main = named(pod, "containers", MAIN)
    if main is None or not endpoint:
        return
    _add_flag(main, "--otlp-traces-endpoint", endpoint)
    _add_flag(main, "--collect-detailed-traces", "all")
    name = f"inference-server-{'prefill' if prefill else 'decode'}"
    for variable in environment(tracing, name, namespace=namespace, service=service):
        add_named(main, "env", variable)


def environment(tracing: Mapping[str, Any], name: str, *, namespace: str, service: str) -> list[Item]:
    """The variables by which the traces of `spec.tracing` are sent, in order. `name`: who sends them."""
    attributes = {
        "k8s.namespace.name": namespace,
        "k8s.node.name": f"$({_NODE})",
        "k8s.pod.name": f"$({_POD})",
        "llmisvc.name": service,
    }
    return [
        _plain("OTEL_SERVICE_NAME", name),
        _plain("OTEL_EXPORTER_OTLP_ENDPOINT", text(tracing, "exporterEndpoint")),
        _plain("OTEL_TRACES_EXPORTER", text(tracing, "exporter")),
        _plain("OTEL_TRACES_SAMPLER", text(tracing, "sampler")),
        _plain("OTEL_TRACES_SAMPLER_ARG", text(tracing, "samplerArg")),
        _field(_NODE, "spec.nodeName"),
        _field(_POD, "metadata.name"),
        _plain("OTEL_RESOURCE_ATTRIBUTES", ",".join(f"{key}={value}" for key, value in attributes.items())),
    ]


def _add_flag(main: Item, flag: str, value: str) -> None:
    given = main.get("args") or ()
    if not any(argument == flag or argument.startswith(f"{flag}=") for argument in given):
        main["args"] = [*given, flag, value]


def _plain(name: str, value: str) -> Item:
    return {"name": name, "value": value} if value else {"name": name}


def _field(name: str, path: str) -> Item:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
