"""Whether Go clients can decode an object of ours (ADM-4): JSON types, and URLs that parse.

Behind the full schema only the schemaless LoRA adapters and the URLs can be wrong; behind the minimal one, or in a
direct call, anything can. Checks the fields that the rules and planners read, in document order, and stops at the first.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from aioctl.api.kinds import V1ALPHA1
from aioctl.api.objects import FieldError, Object, boolean, integer, mapping, sequence, text
from aioctl.golang import gourl

_INT32: Final = 2**31


class Undecodable(ValueError):
    """The object cannot be decoded; the text is the URL parser's, or names the field with the wrong type."""


def _items(obj: Object, *path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """(field path, item) of a list of objects. Raises FieldError naming the first item that is none."""
    found = []
    for index, item in enumerate(sequence(obj, *path)):
        at = f"{'.'.join(path)}[{index}]"
        if not isinstance(item, Mapping):
            raise FieldError(at, "expected an object")
        found.append((at, item))
    return found


def _within(at: str, error: FieldError) -> FieldError:
    return FieldError(f"{at}.{error.path}", error.problem)


def _url(obj: Object, *path: str) -> None:
    gourl.parse(text(obj, *path))


def _check_model(model: Mapping[str, Any], at: str, fields: tuple[str, ...]) -> None:
    """A model or an adapter, which is one again; nesting goes to any depth. `fields` hold text."""
    pending = deque([(at, model)])
    while pending:
        place, current = pending.popleft()
        try:
            _url(current, "uri")
            for name in fields:
                text(current, name)
            boolean(current, "confidential", "enabled")
            text(current, "confidential", "resourceId")
            for limit in ("maxRank", "maxAdapters", "maxCpuAdapters"):
                _int32(current, "lora", limit)
            pending += [(f"{place}.{inner}", item) for inner, item in _items(current, "lora", "adapters")]
        except FieldError as error:
            raise _within(place, error) from error


def _int32(obj: Object, *path: str) -> None:
    value = integer(obj, *path)
    if value is not None and not -_INT32 <= value < _INT32:
        raise FieldError(".".join(path), f"{value} does not fit into 32 bits")


def _check_workload(obj: Object, *path: str) -> None:
    _int32(obj, *path, "replicas")
    for degree in ("tensor", "pipeline", "data", "dataLocal", "dataRPCPort"):
        _int32(obj, *path, "parallelism", degree)
    boolean(obj, *path, "parallelism", "expert")
    for pod in ("template", "worker"):
        mapping(obj, *path, pod)
        for containers in ("initContainers", "containers"):
            _items(obj, *path, pod, containers)


def _check_references(obj: Object, *path: str) -> None:
    for at, item in _items(obj, *path):
        for part in ("name", "namespace"):
            try:
                text(item, part)
            except FieldError as error:
                raise _within(at, error) from error


def _check_router(obj: Object) -> None:
    router = ("spec", "router")
    _check_references(obj, *router, "route", "http", "refs")
    route = (*router, "route", "http", "spec")
    _check_references(obj, *route, "parentRefs")
    sequence(obj, *route, "hostnames")
    _items(obj, *route, "rules")
    _check_references(obj, *router, "gateway", "refs")
    _check_references(obj, *router, "ingress", "refs")
    mapping(obj, *router, "scheduler", "template")
    text(obj, *router, "scheduler", "pool", "ref", "name")
    mapping(obj, *router, "scheduler", "pool", "spec")


def _check_status(obj: Object) -> None:
    _url(obj, "status", "url")
    _url(obj, "status", "address", "url")
    for at, item in _items(obj, "status", "addresses"):
        try:
            _url(item, "url")
        except FieldError as error:
            raise _within(at, error) from error


def check_decodable(obj: Object) -> None:
    """Raises Undecodable for the first field that Go's types would refuse, of either version and kind."""
    try:
        mapping(obj, "metadata")
        fields = ("name", "criticality") if obj.get("apiVersion") == V1ALPHA1 else ("name",)
        _check_model(mapping(obj, "spec", "model"), "spec.model", fields)
        _check_workload(obj, "spec")
        _check_workload(obj, "spec", "prefill")
        _check_router(obj)
        _check_references(obj, "spec", "baseRefs")
        _check_status(obj)
    except (FieldError, gourl.UrlError) as error:
        raise Undecodable(str(error)) from error
