"""Defaults that are filled in memory, and the values that follow from a spec (DEF-1).

Nothing here is ever written back: what the mutating webhook writes (MUT-1) is filled again, for objects older than it. All
functions are pure, take raw mappings, never change their input, and raise `FieldError` naming the field where a value has the wrong
type. "Spec" is the spec of an LLMInferenceService in the hub version, usually after its configs were merged.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api import names, user_names
from aioctl.api.objects import (
    FieldError,
    Object,
    annotations_of,
    integer,
    is_deleting,
    mapping,
    name_of,
    text,
)

Spec = Mapping[str, Any]
Parallelism = Mapping[str, Any] | None


def apply_defaults(service: Object) -> dict[str, Any]:
    """A copy in which `spec.model.name` is the service's name when absent or empty; untouched subtrees are shared."""
    if text(service, "spec", "model", "name"):
        return dict(service)
    model = {**mapping(service, "spec", "model"), "name": name_of(service)}
    return {**service, "spec": {**mapping(service, "spec"), "model": model}}


def degree(parallelism: Parallelism, field: str, *, at: str = "spec.parallelism") -> int | None:
    """One parallel degree (`tensor`, `pipeline`, `data`, `dataLocal`, `dataRPCPort`), None when absent.

    `at` is where the parallelism stands, for the text of the error.
    """
    try:
        return integer(parallelism, field)
    except FieldError as error:
        raise FieldError(f"{at}.{error.path}" if error.path else at, error.problem) from error


def is_data_parallel(parallelism: Parallelism, *, at: str = "spec.parallelism") -> bool:
    """True when `data` or `dataLocal` is above zero."""
    return any((degree(parallelism, field, at=at) or 0) > 0 for field in ("data", "dataLocal"))


def is_pipeline_parallel(parallelism: Parallelism, *, at: str = "spec.parallelism") -> bool:
    """True when `pipeline` is above zero."""
    return (degree(parallelism, "pipeline", at=at) or 0) > 0


def group_size(parallelism: Parallelism, *, at: str = "spec.parallelism") -> int | None:
    """Pods in one multi-node group: data / dataLocal, else the pipeline degree, else None (undefined)."""
    if is_data_parallel(parallelism, at=at):
        data = max(degree(parallelism, "data", at=at) or 1, 1)
        local = max(degree(parallelism, "dataLocal", at=at) or 1, 1)
        return max(1, data // local)
    if is_pipeline_parallel(parallelism, at=at):
        return degree(parallelism, "pipeline", at=at)
    return None


def _scheduler_text(spec: Spec, *path: str) -> str:
    """A string below `router.scheduler`; errors name it from `spec` on."""
    return text({"spec": spec}, "spec", "router", "scheduler", *path)


_EXTERNAL_POOL: Final = ("spec", "router", "scheduler", "pool", "ref", "name")


def external_pool_name(spec: Spec) -> str:
    """Name of the InferencePool the user brings; empty when there is none (an empty name counts as none)."""
    return text({"spec": spec}, *_EXTERNAL_POOL)


def effective_pool_name(service_name: str, spec: Spec) -> str:
    """The InferencePool traffic goes to: the external one, else the one we create."""
    return external_pool_name(spec) or names.default_pool_name(service_name)


_PICKER_NAME: Final = ("pool", "spec", "endpointPickerRef", "name")


def inline_picker_name(spec: Spec) -> str:
    """Name of the Service that an inline pool has for its endpoint picker; empty where it names none.

    Raises FieldError when it cannot be one of a Service.
    """
    own = _scheduler_text(spec, *_PICKER_NAME)
    if own and (problem := user_names.service_problem(own)):
        raise FieldError(".".join(("spec.router.scheduler", *_PICKER_NAME)), problem)
    return own


def epp_service_name(service_name: str, spec: Spec) -> str:
    """Name of the endpoint picker's Service; an inline pool may name it, but not beside a pool that the user brings.

    Raises FieldError as `inline_picker_name`.
    """
    own = "" if external_pool_name(spec) else inline_picker_name(spec)
    return own or names.picker_service_name(service_name)


def _annotation(service: Object, key: str) -> str:
    value = annotations_of(service).get(key)
    return value.casefold() if isinstance(value, str) else ""


def auth_enabled(service: Object) -> bool:
    """Authentication is on unless the annotation says `false`, ignoring case (KEY-1)."""
    return _annotation(service, names.ENABLE_AUTH) != "false"


def runs(service: Object) -> bool:
    """Whether something is to be served: it is neither stopped nor being deleted."""
    return not is_deleting(service) and not is_stopped(service)


def is_stopped(service: Object) -> bool:
    """True when the stop annotation says `true`, ignoring case (KEY-1)."""
    return _annotation(service, names.STOP) == "true"
