"""Fields below `spec.router`, and what only a router gives a meaning, from which nothing follows (COND-9): one function a row.

`as_written` tells only what no config can change, `combined` all of it.
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api import names
from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import MAIN, Finding, containers, listed, named

_ROUTER: Final = ("spec", "router")
_SCHEDULER: Final = (*_ROUTER, "scheduler")
_TEMPLATE: Final = (*_SCHEDULER, "template")
_OWN_PICKER: Final = ("template", "config", "replicas", "labels", "annotations", "tokenizer")
_PICKER_FLAGS: Final = tuple(
    f"{dashes}{name}"
    for dashes in ("--", "-")
    for name in ("config-text", "configText", "config-file", "configFile")
)
"""As Go's flag package reads them."""
_ROUTING: Final = f"spec.annotations[{names.MODEL_ROUTING}]"


def as_written(service: Object) -> Iterator[Finding]:
    """Of a service in v1alpha2 before any config is laid under it."""
    yield from _of_itself(service)
    yield from _routes_of_others(service)
    if not dig(service, "spec", "baseRefs"):
        yield from _of_what_is_missing(service)


def combined(service: Object) -> Iterator[Finding]:
    """Of a service with its combined spec, templates rendered."""
    yield from _of_itself(service)
    yield from _of_what_is_missing(service)
    yield from _config_of_nobody(service)


def _of_itself(service: Object) -> Iterator[Finding]:
    for row in (_ingress, _picker_of_others, _optional, _own_flags, _routing_by_model):
        yield from row(service)


def _of_what_is_missing(service: Object) -> Iterator[Finding]:
    yield from _unscheduled(service)
    yield from _gateway_alone(service)


def _ingress(service: Object) -> Iterator[Finding]:
    if dig(service, *_ROUTER, "ingress") is not None:
        yield Finding("spec.router.ingress", "routes are HTTPRoutes; no Ingress is made or read")


def _picker_of_others(service: Object) -> Iterator[Finding]:
    """What would be the picker's, and the pool, where the pool is another's."""
    if not dig(service, *_SCHEDULER, "pool", "ref", "name"):
        return
    for field in _OWN_PICKER:
        if dig(service, *_SCHEDULER, field) is not None:
            yield Finding(f"spec.router.scheduler.{field}", "the pool of pool.ref has a picker of its own")
    if dig(service, *_SCHEDULER, "pool", "spec") is not None:
        yield Finding("spec.router.scheduler.pool.spec", "pool.ref names a pool that is there")


def _optional(service: Object) -> Iterator[Finding]:
    if dig(service, *_SCHEDULER, "config", "ref", "optional") is True:
        yield Finding("spec.router.scheduler.config.ref.optional", "the picker needs its configuration")


def _own_flags(service: Object) -> Iterator[Finding]:
    """Of two configurations the picker reads the last, which is that of the spec."""
    if not dig(service, *_SCHEDULER, "config"):
        return
    for word in listed(named(dig(service, *_TEMPLATE), "containers", MAIN), "args"):
        flag = str(word).partition("=")[0]
        if flag in _PICKER_FLAGS:
            yield Finding(f"{flag} in spec.router.scheduler.template", "scheduler.config comes after it")


def _routing_by_model(service: Object) -> Iterator[Finding]:
    said = dig(service, "spec", "annotations", names.MODEL_ROUTING)
    if said and said not in ("true", "false"):
        yield Finding(_ROUTING, 'only "true" asks for routing by model')


def _routes_of_others(service: Object) -> Iterator[Finding]:
    """As written only: the presets of model servers have the annotation."""
    asked = dig(service, "spec", "annotations", names.MODEL_ROUTING) == "true"
    if asked and dig(service, *_ROUTER, "route", "http", "refs"):
        yield Finding(_ROUTING, "routes of http.refs are left as they are")


def _unscheduled(service: Object) -> Iterator[Finding]:
    """Prefill pods hold accelerators, and only a picker sends requests to them."""
    router = dig(service, *_ROUTER)
    if router is None or dig(service, "spec", "prefill") is None:
        return
    if dig(service, *_SCHEDULER) is None:
        yield Finding("spec.prefill", "without spec.router.scheduler no request is led to its pods")


def _gateway_alone(service: Object) -> Iterator[Finding]:
    router = dig(service, *_ROUTER)
    if (
        dig(router, "gateway") is not None
        and dig(router, "route") is None
        and dig(router, "scheduler") is None
    ):
        yield Finding("spec.router.gateway", "without spec.router.route nothing leads through it")


def _config_of_nobody(service: Object) -> Iterator[Finding]:
    pod = dig(service, *_TEMPLATE)
    if dig(service, *_SCHEDULER, "pool", "ref", "name") or not containers(pod, "containers"):
        return
    if named(pod, "containers", MAIN) is None:
        for field in ("config", "replicas"):
            if dig(service, *_SCHEDULER, field) is not None:
                why = f"no container in spec.router.scheduler.template is named {MAIN}"
                yield Finding(f"spec.router.scheduler.{field}", why)
