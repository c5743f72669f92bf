"""Fields from which nothing follows beside others of the same service (COND-9): the table of them, one function a row.

`as_written` tells only what no config can change, `combined` all of it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aioctl.api import local_model, model_uri
from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import (
    INITIALIZER,
    MAIN,
    PODS,
    SIDES,
    Finding,
    containers,
    named,
    pods,
    shown,
    variables,
)
from aioctl.api.rules.dra import CONTAINER_NAME
from aioctl.golang import quantity

_LORA: Final = ("spec", "model", "lora")
_LIMITS: Final = ("maxRank", "maxAdapters", "maxCpuAdapters")
_MADE_OF_CACHE: Final = "OffloadingConnector"
"""In every flag that a preset makes of `kvCacheOffloading`."""
_WITHOUT_ARGUMENT: Final = ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off")
"""Samplers of the OpenTelemetry SDKs."""
_TRACED_BY: Final = {
    "exporter": "OTEL_TRACES_EXPORTER",
    "sampler": "OTEL_TRACES_SAMPLER",
    "samplerArg": "OTEL_TRACES_SAMPLER_ARG",
}
"""By field of `tracing`, the variable that it is without one of the user's."""
_MOUNTED: Final = (model_uri.PVC, model_uri.OCI, model_uri.OCI_NATIVE)


def as_written(service: Object) -> Iterator[Finding]:
    """Of a service in v1alpha2 before any config is laid under it."""
    rows = [
        _of_adapters,
        _confidential,
        _initializer,
        _account_of_workers,
        _no_cache,
        _sampled,
        _traced_otherwise,
        _processes_apart,
    ]
    if not dig(service, "spec", "baseRefs"):
        rows.append(_limits_of_nothing)
    for row in rows:
        yield from row(service)


def combined(service: Object) -> Iterator[Finding]:
    """Of a service with its combined spec, templates rendered."""
    rows: tuple[Callable[[Object], Iterator[Finding]], ...] = (
        _of_adapters,
        _confidential,
        _initializer,
        _account_of_workers,
        _no_cache,
        _limits_of_nothing,
        _own_modules,
        _cache_unread,
        _nothing_to_trace,
        _claim_of_nobody,
    )
    for row in rows:
        yield from row(service)


def _limits_of_nothing(service: Object) -> Iterator[Finding]:
    if not dig(service, *_LORA, "adapters"):
        yield from _limits(service, "there are no adapters")


def _own_modules(service: Object) -> Iterator[Finding]:
    if dig(service, *_LORA, "adapters") and "--lora-modules" in shown(dig(service, "spec", "template")):
        yield from _limits(service, "a command of its pods has --lora-modules of its own")


def _limits(service: Object, why: str) -> Iterator[Finding]:
    for field in _LIMITS:
        if dig(service, *_LORA, field) is not None:
            yield Finding(f"spec.model.lora.{field}", why)


def _of_adapters(service: Object) -> Iterator[Finding]:
    """Adapters have the fields of a model, and two of these mean nothing there."""
    for index, adapter in enumerate(_adapters(service)):
        for field, why in (
            ("lora", "an adapter has no adapters"),
            ("confidential", "only that of spec.model is read"),
        ):
            if adapter.get(field) is not None:
                yield Finding(f"spec.model.lora.adapters[{index}].{field}", why)


def _confidential(service: Object) -> Iterator[Finding]:
    """Beside what the validation of KServe warns of."""
    found = dig(service, "spec", "model", "confidential")
    if not isinstance(found, Mapping):
        return
    if found.get("enabled") is True:
        if dig(service, "spec", "storageInitializer", "enabled") is False:
            yield Finding(
                "spec.model.confidential", "storageInitializer.enabled is false, nothing is downloaded"
            )
        elif _scheme(dig(service, "spec", "model")) == model_uri.OCI_NATIVE:
            yield Finding("spec.model.confidential", "the kubelet mounts the image, nothing is downloaded")
        elif local_model.is_cached(service):
            yield Finding("spec.model.confidential", "a LocalModelCache has the model, nothing is downloaded")
    if found.get("enabled") is False and found.get("resourceId"):
        yield Finding("spec.model.confidential.resourceId", "enabled is false")


def _initializer(service: Object) -> Iterator[Finding]:
    """A container for downloads where there are none."""
    scheme, cached = _scheme(dig(service, "spec", "model")), local_model.is_cached(service)
    if (scheme not in _MOUNTED and not cached) or dig(
        service, "spec", "storageInitializer", "enabled"
    ) is False:
        return
    if any(_scheme(adapter) in model_uri.DOWNLOADED for adapter in _adapters(service)):
        return
    for path, pod in pods(service):
        if named(pod, "initContainers", INITIALIZER) is not None:
            why = (
                "the model is mounted from a LocalModelCache" if cached else f"a {scheme}:// model is mounted"
            )
            yield Finding(f"{path}.initContainers: {INITIALIZER}", why)


def _account_of_workers(service: Object) -> Iterator[Finding]:
    for at in SIDES:
        leader, worker = (dig(service, *at, pod, "serviceAccountName") for pod in PODS)
        if leader and worker and leader != worker:
            path = ".".join(at)
            yield Finding(
                f"{path}.worker.serviceAccountName", f"that of {path}.template is for all of its pods"
            )


def _cache_unread(service: Object) -> Iterator[Finding]:
    for at in SIDES:
        commands = " ".join(shown(dig(service, *at, pod)) for pod in PODS)
        if dig(service, *at, "kvCacheOffloading") and commands and _MADE_OF_CACHE not in commands:
            yield Finding(
                f"{'.'.join(at)}.kvCacheOffloading",
                "no command of its pods has the --kv-transfer-config made of it; templates read the service alone",
            )


def _no_cache(service: Object) -> Iterator[Finding]:
    for at in SIDES:
        size = dig(service, *at, "kvCacheOffloading", "cpu")
        if size is not None and _is_nothing(size):
            yield Finding(f"{'.'.join(at)}.kvCacheOffloading", "a cache of size 0 holds nothing")


def _is_nothing(size: object) -> bool:
    try:
        return quantity.parse(str(size)) == 0
    except ValueError:
        return False


def _sampled(service: Object) -> Iterator[Finding]:
    """As written only: presets give an argument to whatever sampler."""
    tracing = dig(service, "spec", "tracing")
    sampler = dig(tracing, "sampler")
    if sampler in _WITHOUT_ARGUMENT and dig(tracing, "samplerArg"):
        yield Finding("spec.tracing.samplerArg", f"the sampler {sampler} takes none")


def _traced_otherwise(service: Object) -> Iterator[Finding]:
    """As written only: what presets say of tracing gives way to variables without a word."""
    for path, pod in pods(service):
        own = variables(named(pod, "containers", MAIN))
        for field, variable in _TRACED_BY.items():
            if dig(service, "spec", "tracing", field) and variable in own:
                yield Finding(f"spec.tracing.{field}", f"{MAIN} in {path} has {variable}")


def _processes_apart(service: Object) -> Iterator[Finding]:
    """As written only: of the combined spec it is told where it is known how images come into pods."""
    if dig(service, "spec", "storageInitializer", "enabled") is False or local_model.is_cached(service):
        return
    if _scheme(dig(service, "spec", "model")) == model_uri.OCI:
        yield from processes_apart(service, "a modelcar needs it true, unless ociModelMode is native")


def processes_apart(service: Object, why: str) -> Iterator[Finding]:
    """The pods that want no process to see another's, of a service whose server reads the files of a container beside it."""
    for path, pod in pods(service):
        if pod.get("shareProcessNamespace") is False:
            yield Finding(f"{path}.shareProcessNamespace", why)


def _nothing_to_trace(service: Object) -> Iterator[Finding]:
    if dig(service, "spec", "tracing") is None:
        return
    for path, pod in pods(service):
        if containers(pod, "containers") and named(pod, "containers", MAIN) is None:
            yield Finding("spec.tracing", f"no container in {path} is named {MAIN}")


def _claim_of_nobody(service: Object) -> Iterator[Finding]:
    wanted = str(dig(service, "metadata", "annotations", CONTAINER_NAME) or "").strip()
    for path, pod in pods(service):
        if wanted and containers(pod, "containers") and named(pod, "containers", wanted) is None:
            yield Finding(CONTAINER_NAME, f"no container in {path} is named {wanted}")


def _adapters(service: Object) -> list[Mapping[str, Any]]:
    found = dig(service, *_LORA, "adapters")
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _scheme(model: object) -> str:
    return str(dig(model, "uri") or "").partition(model_uri.SEPARATOR)[0]
