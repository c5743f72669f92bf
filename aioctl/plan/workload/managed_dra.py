"""Devices by dynamic resource allocation: a claim template of the service, and the pods that claim from it (DRA-1).

Annotations of the service ask for them; `aioctl.api.rules.dra` says what they may hold.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Served
from aioctl.api.objects import (
    Object,
    annotations_of,
    dig,
    is_deleting,
    mapping,
    name_of,
    present,
    sequence,
    text,
)
from aioctl.api.rules import dra
from aioctl.plan.children import build, create, delete, ensure, is_ours, remove, under
from aioctl.plan.model import Context, PlanError, Write
from aioctl.plan.observation import need
from aioctl.plan.workload.containers import Item, add_named, named

_PODS: Final = ("template", "worker")
_KIND: Final = kinds.RESOURCE_CLAIM_TEMPLATE
_CLAIM: Final = "managed-device"
_REQUEST: Final = "device"


def template_name(service: str) -> str:
    return names.child(service, "-managed-dra")


def claimed(spec: dict[str, Any], service: Object) -> dict[str, Any]:
    """The combined spec, each of whose pods claims what the service asks for; the same spec where it asks for nothing.

    Shares all but these pods with what it is given. A count that is none is told where the template is made.
    """
    if dra.DEVICE_CLASS not in annotations_of(service):
        return spec
    container = dra.container_of(service)
    result = dict(spec)
    for holder in (result, dict(mapping({"spec": spec}, "spec", "prefill"))):
        for field in _PODS:
            if present(holder, field):
                holder[field] = claiming(holder[field], template_name(name_of(service)), container)
        if holder is not result and holder:
            result["prefill"] = holder
    return result


def claiming(pod: Mapping[str, Any], template: str, container: str = "") -> dict[str, Any]:
    """The pod spec with a claim from the template, used by the container of that name, else by the first.

    Where no container has the name that is given, none uses the claim. Nothing is added twice.
    """
    made = dict(pod)
    add_named(made, "resourceClaims", {"name": _CLAIM, "resourceClaimTemplateName": template})
    containers = list(sequence(pod, "containers"))
    places = [at for at, found in enumerate(containers) if not container or text(found, "name") == container]
    for place in places[:1]:
        containers[place] = _using(containers[place])
        made["containers"] = containers
    return made


def template(ctx: Context) -> Iterator[Write]:
    """Makes the claim template, makes it anew when another is asked for, or takes it away.

    Its spec cannot be changed, and the claims of running pods outlive it. Raises PlanError for annotations that say
    nothing that could be claimed, and where the API server does not serve the kind.
    """
    name = template_name(ctx.name)
    try:
        devices = None if ctx.stopped else dra.asked(ctx.service)
    except ValueError as error:
        raise PlanError(str(error)) from error
    if devices is None:
        yield from under("failed to cleanup Managed DRA ResourceClaimTemplate: ", remove(ctx, _KIND, name))
        return
    yield from under(
        "failed to reconcile Managed DRA ResourceClaimTemplate: ", _ensure(ctx, name, _request(devices))
    )


def _using(container: Mapping[str, Any]) -> Item:
    resources = dict(mapping(container, "resources"))
    if named(resources, "claims", _CLAIM) is None:
        resources["claims"] = [*sequence(resources, "claims"), {"name": _CLAIM}]
    return {**container, "resources": resources}


def _request(devices: dra.Devices) -> Item:
    exactly: Item = {"deviceClassName": devices.device_class}
    if devices.count > 1:
        exactly["count"] = devices.count
    if devices.selectors:
        exactly["selectors"] = [{"cel": {"expression": expression}} for expression in devices.selectors]
    return {"name": _REQUEST, "exactly": exactly}


def _ensure(ctx: Context, name: str, request: Item) -> Iterator[Write]:
    if ctx.obs.served(_KIND) is Served.NO:
        raise PlanError(
            f"failed to get {_KIND.type_name} {ctx.namespace}/{name}: "
            f'no matches for kind "{_KIND.kind}" in version "{_KIND.api_version}"'
        )
    labels = {names.NAME: ctx.name, names.PART_OF: names.PART_OF_VALUE}
    made = build(ctx, _KIND, name, labels=labels, spec={"spec": {"devices": {"requests": [request]}}})
    live = need(ctx.obs.get(_KIND, ctx.namespace, name))
    if live is None or not is_ours(ctx, live) or _asks(live) == [_plain(request)]:
        yield from ensure(ctx, _KIND, made, same=lambda _wanted, _live: True)
    elif not is_deleting(live):
        yield delete(_KIND, live)
        yield create(_KIND, made)


def _asks(template: Object) -> list[tuple[Any, ...]]:
    return [_plain(request) for request in sequence(template, "spec", "spec", "devices", "requests")]


def _plain(request: Any) -> tuple[Any, ...]:
    """What a request asks for, in one form for what we send and what an API server makes of it."""
    exactly = mapping(request, "exactly")
    selectors = tuple(dig(each, "cel", "expression") for each in sequence(exactly, "selectors"))
    return request.get("name"), exactly.get("deviceClassName"), exactly.get("count") or 1, selectors
