"""A fleet of services that look like real ones, and its creation: what the demo, the bench and the tests put on a cluster.

The specs are the same for the same seed. Half of them are v1alpha1; the shapes are single node, prefill/decode, data parallel
with workers, LoRA adapters, inline pools and custom routes (SCHEMA-1).
"""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2, Kind
from aioctl.api.names import ENABLE_AUTH
from aioctl.api.objects import namespace_of
from aioctl.kube.client import Client
from aioctl.sim.seed import DEMO_NAMESPACE

Object = dict[str, Any]
CREATORS: Final = 16
"""Creations at the same moment, as of a busy pipeline; more only wait in the API server."""
_MODELS: Final = (
    ("hf://facebook/opt-125m", "facebook/opt-125m"),
    ("hf://Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct"),
    ("hf://meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"),
    ("hf://deepseek-ai/DeepSeek-R1-0528", "deepseek-ai/DeepSeek-R1-0528"),
    ("pvc://models/granite-3.1-8b", "ibm-granite/granite-3.1-8b"),
)

_Spec = dict[str, Any]
_ROUTER: Final[_Spec] = {"route": {}, "gateway": {}, "scheduler": {}}


def _resources(chance: random.Random, *, gpus: bool) -> _Spec:
    amounts = {"cpu": str(chance.choice((2, 4, 8, 16))), "memory": f"{chance.choice((8, 16, 32, 64))}Gi"}
    if gpus:
        amounts["nvidia.com/gpu"] = str(chance.choice((1, 2, 8)))
    return {"limits": amounts, "requests": dict(amounts)}


def _pod(chance: random.Random, *, gpus: bool = True) -> _Spec:
    """A main container as users write it: resources, some environment, now and then a probe or a toleration."""
    main: _Spec = {"name": "main", "resources": _resources(chance, gpus=gpus)}
    if not gpus:
        main["image"] = "quay.io/example/vllm-cpu:v0.11"
    main["env"] = [
        {"name": "VLLM_LOGGING_LEVEL", "value": chance.choice(("INFO", "DEBUG"))},
        {"name": "VLLM_ADDITIONAL_ARGS", "value": f"--max-model-len={chance.choice((4096, 8192, 32768))}"},
    ]
    if chance.random() < 0.4:
        main["livenessProbe"] = {
            "httpGet": {"path": "/health", "port": 8000, "scheme": "HTTPS"},
            "initialDelaySeconds": chance.choice((120, 300, 4800)),
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
        }
    pod: _Spec = {"containers": [main]}
    if gpus and chance.random() < 0.3:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return pod


def _single_node(chance: random.Random) -> _Spec:
    return {
        "replicas": chance.randint(1, 4),
        "router": dict(_ROUTER),
        "template": _pod(chance, gpus=chance.random() < 0.7),
    }


def _prefill_decode(chance: random.Random) -> _Spec:
    spec = _single_node(chance)
    spec["prefill"] = {"replicas": chance.randint(1, 4), "template": _pod(chance)}
    return spec


def _data_parallel(chance: random.Random) -> _Spec:
    data, local = chance.choice(((4, 2), (16, 8), (32, 8)))
    return {
        "replicas": 1,
        "parallelism": {"data": data, "dataLocal": local, "expert": True, "tensor": 1},
        "router": dict(_ROUTER),
        "template": _pod(chance),
        "worker": _pod(chance),
    }


def _adapters(chance: random.Random) -> _Spec:
    spec = _single_node(chance)
    names = chance.sample(("sql", "support", "summaries", "triage"), k=chance.randint(1, 3))
    spec["model"] = {
        "lora": {"adapters": [{"name": name, "uri": f"hf://example/lora-{name}"} for name in names]}
    }
    return spec


def _inline_scheduler(chance: random.Random) -> _Spec:
    spec = _single_node(chance)
    spec["router"] = {
        **_ROUTER,
        "scheduler": {
            "template": {
                "containers": [{"name": "main", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}]
            }
        },
    }
    return spec


_SHAPES: Final[tuple[Callable[[random.Random], _Spec], ...]] = (
    _single_node,
    _prefill_decode,
    _data_parallel,
    _adapters,
    _inline_scheduler,
    _single_node,
)


def _inline_pool(name: str, *, is_old: bool) -> _Spec:
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/part-of": "llminferenceservice",
        "kserve.io/component": "workload",
    }
    if is_old:
        picker = {"name": f"{name}-epp-service", "failureMode": "FailOpen"}
        return {"selector": labels, "targetPortNumber": 8000, "extensionRef": {**picker, "portNumber": 9002}}
    picker_v1 = {"name": f"{name}-epp-service", "failureMode": "FailOpen", "port": {"number": 9002}}
    return {
        "selector": {"matchLabels": labels},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": picker_v1,
    }


def service(number: int, *, seed: int = 0, namespace: str = DEMO_NAMESPACE) -> Object:
    """The number-th service of a fleet; every second one is v1alpha1."""
    # Repeatable variety, not secrecy.
    chance = random.Random(f"{seed}/{number}")  # noqa: S311
    is_old = number % 2 == 1
    name = f"llm-{number:04d}"
    spec = _SHAPES[(number // 2) % len(_SHAPES)](chance)
    uri, model = chance.choice(_MODELS)
    spec["model"] = {"uri": uri, "name": model, **spec.get("model", {})}
    if is_old and chance.random() < 0.6:
        spec["model"]["criticality"] = chance.choice(("Critical", "Standard", "Sheddable"))
    if chance.random() < 0.2:
        scheduler = {**spec["router"]["scheduler"], "pool": {"spec": _inline_pool(name, is_old=is_old)}}
        spec["router"] = {**spec["router"], "scheduler": scheduler}
    return {
        "apiVersion": V1ALPHA1 if is_old else V1ALPHA2,
        "kind": "LLMInferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"team": chance.choice(("search", "support", "research"))},
            # Plain Kubernetes has no AuthPolicy, and without it an authenticated service gets no route.
            "annotations": {ENABLE_AUTH: "false"},
        },
        "spec": spec,
    }


def services(count: int, *, seed: int = 0, namespace: str = DEMO_NAMESPACE) -> list[Object]:
    """A fleet, in the order of creation."""
    return [service(number, seed=seed, namespace=namespace) for number in range(count)]


def kind_of(service: Mapping[str, Any]) -> Kind:
    """The kind under whose version a service is written."""
    return kinds.SERVICE_V1ALPHA1 if service["apiVersion"] == V1ALPHA1 else kinds.SERVICE


async def create(
    client: Client,
    fleet: Iterable[Object],
    *,
    at_once: int = CREATORS,
    starting: Callable[[Object], None] = lambda _: None,
) -> None:
    """Creates the services, each in its own version, as fast as the API server takes them. `starting` is called before each.

    Raises KubeError in a group.
    """
    limit = anyio.CapacityLimiter(at_once)

    async def one(service: Object) -> None:
        async with limit:
            starting(service)
            await client.create(kind_of(service), namespace_of(service), service)

    async with anyio.create_task_group() as group:
        for service in fleet:
            group.start_soon(one, service)
