"""Small objects for requests to both servers."""

from typing import Any

import pytest

from aioctl.api.kinds import V1ALPHA1, V1ALPHA2

MAPS = "/api/v1/namespaces/{}/configmaps"
WAITS = pytest.mark.parametrize(
    "server",
    [pytest.param("sim", marks=pytest.mark.thorough), pytest.param("real", marks=pytest.mark.real)],
    indirect=True,
)
"""Of a test that has to let seconds pass, on the simulated server too."""
PODS = {"containers": [{"name": "main", "image": "quay.io/example/vllm:1"}]}


def config_map(name: str, *, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def service(name: str = "svc", *, old: bool = False, **spec: Any) -> dict[str, Any]:
    """An LLMInferenceService; v1alpha1 when `old`."""
    full = {"model": {"uri": "hf://facebook/opt-125m"}, "template": PODS, **spec}
    at = V1ALPHA1 if old else V1ALPHA2
    return {"apiVersion": at, "kind": "LLMInferenceService", "metadata": {"name": name}, "spec": full}


def services(namespace: str, *, old: bool = False, name: str = "") -> str:
    """Their path."""
    version = "v1alpha1" if old else "v1alpha2"
    path = f"/apis/serving.kserve.io/{version}/namespaces/{namespace}/llminferenceservices"
    return f"{path}/{name}" if name else path


def pool_v1(name: str = "pool", **changes: Any) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {"app": "a"}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"name": "epp", "port": {"number": 9002}},
        **changes,
    }
    return {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": name},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def pool_old(name: str = "pool", **changes: Any) -> dict[str, Any]:
    spec = {"selector": {"app": "a"}, "targetPortNumber": 8000, "extensionRef": {"name": "epp"}, **changes}
    return {
        "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferencePool",
        "metadata": {"name": name},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def pools(namespace: str, version: str = "v1") -> str:
    group = "inference.networking.k8s.io" if version == "v1" else "inference.networking.x-k8s.io"
    return f"/apis/{group}/{version}/namespaces/{namespace}/inferencepools"
