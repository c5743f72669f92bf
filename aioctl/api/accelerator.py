"""What a service computes on, as KServe's inventory metric tells it from the resources of its containers (SERIES-1)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aioctl.api.objects import mapping, sequence

GPU: Final = "gpu"
CPU: Final = "cpu"
UNKNOWN: Final = "unknown"
_GPUS: Final = frozenset({"nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu", "habana.ai/gaudi"})
_GPU_PREFIXES: Final = ("nvidia.com/mig", "gpu.intel.com/")


def accelerator(pod_specs: Sequence[Mapping[str, Any]]) -> str:
    """`gpu`; else `unknown` where pods ask for other extended resources or claim devices; else `cpu`.

    Of a device class it is not known what it hands out.
    """
    names = {name for spec in pod_specs for name in _resources(spec)}
    if any(name in _GPUS or name.startswith(_GPU_PREFIXES) for name in names):
        return GPU
    if any("/" in name for name in names) or any(sequence(spec, "resourceClaims") for spec in pod_specs):
        return UNKNOWN
    return CPU


def _resources(spec: Mapping[str, Any]) -> Iterator[str]:
    for container in sequence(spec, "containers"):
        for field in ("requests", "limits"):
            yield from mapping(container, "resources", field)
