"""Which well-known configs a service is laid over, by the shape of its spec (PRESET-1, PRESET-3).

Only names are chosen here; `combine.py` looks them up and merges. The three pipeline-parallel names are chosen although
KServe ships no such config: an administrator supplies them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aioctl.api.defaulting import external_pool_name, is_data_parallel, is_pipeline_parallel
from aioctl.api.objects import present, sequence

PREFIX = "kserve-config-llm-"
SCHEDULER = f"{PREFIX}scheduler"
ROUTE = f"{PREFIX}router-route"


def chosen(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the presets for a spec into which the baseRefs were merged, weakest first."""
    return tuple(_chosen(spec))


def _chosen(spec: Mapping[str, Any]) -> Iterator[str]:
    if present(spec, "router", "scheduler") and not external_pool_name(spec):
        yield SCHEDULER
    if present(spec, "router", "route") and not sequence(spec, "router", "route", "http", "refs"):
        yield ROUTE
    main_role = ""
    if present(spec, "prefill"):
        yield from _workload("prefill-", spec["prefill"], at="spec.prefill")
        main_role = "decode-"
    yield from _workload(main_role, spec, at="spec")


def _workload(role: str, workload: Mapping[str, Any], *, at: str) -> Iterator[str]:
    """Single node, or multi-node by kind of parallelism; a worker with neither kind gets no preset at all."""
    parallelism = workload.get("parallelism")
    if not present(workload, "worker"):
        yield f"{PREFIX}{role}template"
    elif is_data_parallel(parallelism, at=f"{at}.parallelism"):
        yield f"{PREFIX}{role}worker-data-parallel"
    elif is_pipeline_parallel(parallelism, at=f"{at}.parallelism"):
        yield f"{PREFIX}{role}worker-pipeline-parallel"
