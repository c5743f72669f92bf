"""Admission of an LLMInferenceServiceConfig: its templates must render (ADM-6, ADM-5).

The config alone is rendered, not merged, against one fixed service; so a template that needs something the sample has
may still fail for a service that lacks it. The refusal of `baseRefs` stands in `api/`; loading the global configuration
before this is `plan/config.py`'s.
"""

from typing import Any, Final

from aioctl.api.conversion import up
from aioctl.api.kinds import V1ALPHA1
from aioctl.api.objects import FieldError, Object, mapping, name_of, namespace_of
from aioctl.golang.roundtrip import round_trip
from aioctl.golang.template import DECODE_PREFIX
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError
from aioctl.plan.templates import render, root

SAMPLE: Final[dict[str, Any]] = {
    "apiVersion": "serving.kserve.io/v1alpha2",
    "kind": "LLMInferenceService",
    "metadata": {
        "name": "test-llm-preset",
        "namespace": "test-llm-preset-test",
        "labels": {
            "app.kubernetes.io/name": "llminferenceservice",
            "app.kubernetes.io/instance": "test-llm-preset",
            "app.kubernetes.io/component": "inference",
        },
        "annotations": {"serving.kserve.io/model-uri": "llama"},
    },
    "spec": {
        "model": {"uri": "llama", "name": "llama"},
        "replicas": 2,
        "parallelism": {"data": 4, "dataLocal": 2, "tensor": 1, "expert": True},
        "template": {
            "containers": [
                {
                    "name": "kserve-container",
                    "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}],
                    "env": [
                        {"name": "MODEL_NAME", "value": "llama"},
                        {"name": "VLLM_LOGGING_LEVEL", "value": "INFO"},
                    ],
                    "resources": {
                        "requests": {"cpu": "1", "memory": "2Gi"},
                        "limits": {"cpu": "2", "memory": "4Gi"},
                    },
                }
            ],
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "nodeSelector": {"kubernetes.io/arch": "amd64"},
        },
        "worker": {"containers": [{"name": "worker"}]},
        "prefill": {
            "replicas": 1,
            "parallelism": {"tensor": 1, "pipeline": 1},
            "template": {"containers": [{"name": "prefill"}]},
        },
        "router": {
            "route": {"http": {"refs": [{"name": "custom-http-route"}]}},
            "gateway": {"refs": [{"name": "kserve-ingress-gateway", "namespace": "kserve"}]},
            "scheduler": {
                "pool": {"ref": {"name": "custom-inference-pool"}},
                "template": {"containers": [{"name": "scheduler"}]},
            },
        },
    },
}
"""The service every config must render for."""


def check_config(config_object: Object, config: GlobalConfig) -> None:
    """Passes, or raises PlanError with the text of the refusal. Both API versions are accepted."""
    hub = up(config_object) if config_object.get("apiVersion") == V1ALPHA1 else config_object
    title = f"LLMInferenceServiceConfig {namespace_of(hub)}/{name_of(hub)}"
    try:
        spec = round_trip(mapping(hub, "spec"))
    except FieldError as error:
        raise PlanError(f"{DECODE_PREFIX}{error.problem} (in {error.path})") from error
    # Rendering puts strings where strings were, so what could be decoded before can be decoded after.
    render(
        {"metadata": mapping(hub, "metadata"), "spec": spec}, root(SAMPLE, config), source=lambda _path: title
    )
