"""Which well-known configs a service is laid over, by the shape of its spec (PRESET-1, PRESET-6).

Only names are chosen here; `combine.py` looks them up and merges. The three pipeline-parallel names are chosen although
KServe ships no such config: an administrator supplies them. Names of shipped configs are pinned: a service keeps the
names it began with, so that a new generation of presets under a new prefix leaves its pods alone. A name that stands in the
status holds, whoever wrote it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api.defaulting import external_pool_name, is_data_parallel, is_pipeline_parallel
from aioctl.api.names import WELL_KNOWN_SUFFIXES, pin_key
from aioctl.api.objects import Object, dig, present, sequence
from aioctl.plan import epp_config, scheduler_config
from aioctl.plan.policy import Policy

TEMPLATE: Final = "template"
SCHEDULER: Final = "scheduler"
ROUTE: Final = "router-route"
LATENCY_PREDICTOR: Final = "scheduler-latency-predictor"
TOKENIZER: Final = "tokenizer"
TRACING: Final = "tracing"
LATENCY_PRODUCER: Final = "predicted-latency-producer"
_CONFIG: Final = "config-llm-"


def pins(service: Object, policy: Policy) -> dict[str, str]:
    """The name of each well-known config that holds for the service, by its key in status.annotations.

    Names that stand there already hold; the others are today's. Empty where configs are not pinned.
    """
    if not policy.pins_configs:
        return {}
    # A stored status of the wrong type is replaced; until then it keeps nothing.
    stored = dig(service, "status", "annotations")
    return {pin_key(suffix): _pinned(stored, suffix, policy) for suffix in WELL_KNOWN_SUFFIXES}


def _pinned(stored: object, suffix: str, policy: Policy) -> str:
    kept = dig(stored, pin_key(suffix)) if policy.pins_configs else None
    return kept if kept and isinstance(kept, str) else f"{policy.config_prefix}{suffix}"


def name_of(preset: str, service: Object, policy: Policy) -> str:
    """The name of a config, by its last part such as `template`: the pinned one, but for the route, which follows the gateway."""
    suffix = f"{_CONFIG}{preset}"
    if preset == ROUTE:
        return f"{policy.config_prefix}{suffix}"
    return _pinned(dig(service, "status", "annotations"), suffix, policy)


def pin_of(preset: str, service: Object, policy: Policy) -> str:
    """The key under which the service keeps a name that is no longer today's; empty where it has today's."""
    suffix = f"{_CONFIG}{preset}"
    return pin_key(suffix) if name_of(preset, service, policy) != f"{policy.config_prefix}{suffix}" else ""


def chosen(spec: Mapping[str, Any], seen: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """The presets for a spec into which the baseRefs were merged, weakest first, by their last part.

    `seen` is the spec with the text of the ConfigMap that it refers to for the picker: a tokenizer is wanted for that, too, but
    no latency predictor, which would restart a running picker.
    """
    return tuple(_chosen(spec, spec if seen is None else seen))


def _chosen(spec: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    if present(spec, "router", "scheduler"):
        if not external_pool_name(spec):
            yield SCHEDULER
        if scheduler_config.needs_tokenizer(seen):
            yield TOKENIZER
        if LATENCY_PRODUCER in epp_config.plugin_types(scheduler_config.visible_text(spec)):
            yield LATENCY_PREDICTOR
    if present(spec, "router", "route") and not sequence(spec, "router", "route", "http", "refs"):
        yield ROUTE
    if present(spec, "tracing"):
        yield TRACING
    main_role = ""
    if present(spec, "prefill"):
        yield from _workload("prefill-", spec["prefill"], at="spec.prefill")
        main_role = "decode-"
    yield from _workload(main_role, spec, at="spec")


def _workload(role: str, workload: Mapping[str, Any], *, at: str) -> Iterator[str]:
    """Single node, or multi-node by kind of parallelism; a worker with neither kind gets no preset at all."""
    parallelism = workload.get("parallelism")
    if not present(workload, "worker"):
        yield f"{role}{TEMPLATE}"
    elif is_data_parallel(parallelism, at=f"{at}.parallelism"):
        yield f"{role}worker-data-parallel"
    elif is_pipeline_parallel(parallelism, at=f"{at}.parallelism"):
        yield f"{role}worker-pipeline-parallel"
