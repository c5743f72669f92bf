"""A service that asks for ten things at once, and a plain one beside it: what do features cost a plan?"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import names
from aioctl.api.kinds import SERVICE
from aioctl.api.objects import Object
from aioctl.api.rules import dra

PLAIN: Final = "plain"
TEN: Final = "ten-features"

_HF: Final = "hf://facebook/opt-125m"
_MAIN: Final = {"containers": [{"name": "main"}]}
_NODES: Final = {"worker": _MAIN, "parallelism": {"data": 2, "dataLocal": 1}}
_SCALING: Final = {"maxReplicas": 3, "wva": {"hpa": {}}}
_CACHE: Final = {"cpu": "1Gi", "secondary": [{"fileSystem": {"emptyDir": {"size": "2Gi"}}}]}
_ROUTER: Final[Mapping[str, Any]] = {"route": {}, "gateway": {}, "scheduler": {}}

FEATURES: Final[Mapping[str, Mapping[str, Any]]] = {
    "LoRA": {"model": {"lora": {"adapters": [{"name": "adapter", "uri": "hf://facebook/opt-lora"}]}}},
    "KV cache": {"kvCacheOffloading": _CACHE},
    "tracing": {"tracing": {}},
    "DRA": {},
    "scaling": {"scaling": _SCALING},
    "prefill": {"prefill": {**_NODES, "kvCacheOffloading": _CACHE, "scaling": _SCALING}},
    "worker": _NODES,
    "scheduler": {"router": {**_ROUTER, "scheduler": {"tokenizer": {}}}},
    "publisher paths": {"annotations": {names.MODEL_ROUTING: "true"}},
    "s3": {"model": {"uri": "s3://bucket/opt-125m"}},
}
"""By name, the fields of a spec; devices are asked for by an annotation."""


def services(namespace: str, each: int) -> Iterator[Object]:
    """So many of both kinds; what a plain one has is a model, a route and a picker."""
    spec: dict[str, Any] = {"model": {"uri": _HF, "name": "facebook/opt-125m"}, "router": _ROUTER}
    ten = dict(spec)
    for fields in FEATURES.values():
        ten |= {**fields, "model": {**ten["model"], **fields.get("model", {})}}
    for number in range(each):
        yield _service(namespace, f"{PLAIN}-{number}", spec)
        yield _service(namespace, f"{TEN}-{number}", ten, annotations={dra.DEVICE_CLASS: "gpu.example.com"})


def _service(namespace: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> Object:
    return {
        "apiVersion": SERVICE.api_version,
        "kind": SERVICE.kind,
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": spec,
    }
