"""Fields from which nothing follows beside others of the same service (COND-9): the table of them, one function a row.

`as_written` tells only what no config can change, `combined` all of it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aioctl.api import model_uri
from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import INITIALIZER, MAIN, PODS, SIDES, Finding, containers, named, pods, shown
from aioctl.api.rules.dra import CONTAINER_NAME

_LORA: Final = ("spec", "model", "lora")
_LIMITS: Final = ("maxRank", "maxAdapters", "maxCpuAdapters")
_OWN_PICKER: Final = ("template", "config", "replicas", "labels", "annotations", "tokenizer")
_SCHEDULER: Final = ("spec", "router", "scheduler")
_MADE_OF_CACHE: Final = "OffloadingConnector"
"""In every flag that a preset makes of `kvCacheOffloading`."""
_MOUNTED: Final = (model_uri.PVC, model_uri.OCI, model_uri.OCI_NATIVE)


def as_written(service: Object) -> Iterator[Finding]:
    """Of a service in v1alpha2 before any config is laid under it."""
    rows = [_ingress, _picker_of_others, _of_adapters, _confidential, _initializer, _account_of_workers]
    if not dig(service, "spec", "baseRefs"):
        rows.append(_limits_of_nothing)
    for row in rows:
        yield from row(service)


def combined(service: Object) -> Iterator[Finding]:
    """Of a service with its combined spec, templates rendered."""
    rows: tuple[Callable[[Object], Iterator[Finding]], ...] = (
        _ingress,
        _picker_of_others,
        _of_adapters,
        _confidential,
        _initializer,
        _account_of_workers,
        _limits_of_nothing,
        _own_modules,
        _cache_unread,
        _nothing_to_trace,
        _claim_of_nobody,
    )
    for row in rows:
        yield from row(service)


def _ingress(service: Object) -> Iterator[Finding]:
    if dig(service, "spec", "router", "ingress") is not None:
        yield Finding("spec.router.ingress", "routes are HTTPRoutes; no Ingress is made or read")


def _picker_of_others(service: Object) -> Iterator[Finding]:
    """What would be the picker's, where the pool is another's."""
    if not dig(service, *_SCHEDULER, "pool", "ref", "name"):
        return
    for field in _OWN_PICKER:
        if dig(service, *_SCHEDULER, field) is not None:
            yield Finding(f"spec.router.scheduler.{field}", "the pool of pool.ref has a picker of its own")


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
    if found.get("enabled") is False and found.get("resourceId"):
        yield Finding("spec.model.confidential.resourceId", "enabled is false")


def _initializer(service: Object) -> Iterator[Finding]:
    """A container for downloads where there are none."""
    scheme = _scheme(dig(service, "spec", "model"))
    if scheme not in _MOUNTED or dig(service, "spec", "storageInitializer", "enabled") is False:
        return
    if any(_scheme(adapter) in model_uri.DOWNLOADED for adapter in _adapters(service)):
        return
    for path, pod in pods(service):
        if named(pod, "initContainers", INITIALIZER) is not None:
            yield Finding(f"{path}.initContainers: {INITIALIZER}", f"a {scheme}:// model is mounted")


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
