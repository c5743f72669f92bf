"""What the mutating webhooks write into a service: its model's name, its group, its cache, and our finalizer (MUT-1).

The patch touches `metadata`, `spec.model.name` and two fields that the schema requires only, the same in both versions: nothing
is converted, and what else Go would add by encoding an object again is not added. What was not written here, for the object is older than the webhook,
holds in memory all the same (DEF-1). The finalizer is put on as a service is created, which spares the first of its
writes (docs/decisions/0008-finalizer-at-creation.md); on update it is the controller's to add and to remove.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aioctl.api import local_model, names, weight
from aioctl.api.admission import AdmissionRequest, content, review
from aioctl.api.finalizers import finalizers_of, has_finalizer
from aioctl.api.kinds import SERVICE
from aioctl.api.objects import Object, annotations_of, dig, is_deleting, labels_of, name_of, present, text
from aioctl.api.verdict import Verdict

JsonPatch = list[dict[str, Any]]
"""Operations of RFC 6902."""
_WRITTEN: Final = ("CREATE", "UPDATE")
_MAY_BE_LEFT_OUT: Final = (
    ("spec", "model", "uri"),
    ("spec", "router", "scheduler", "config", "ref", "key"),
)


Marker = Callable[[Object], local_model.Mark | None]
"""The cache that holds a service's model; None where that cannot be told."""


def review_mutation(body: bytes, content_type: str, *, version: str, marker: Marker | None = None) -> bytes:
    """The whole answer to one call of the path for services in `version`; never raises for input.

    Where no cache can be told a service keeps the marks it had, and one that is created those it came with. Without a
    `marker` marks are left alone.
    """

    def judge(request: AdmissionRequest) -> Verdict:
        if request.operation not in _WRITTEN:
            return Verdict()
        service = content(request.obj, version, SERVICE.kind)
        noted = None if marker is None or not _is_defaulted(service) else marker(service)
        if noted is None and marker is not None and request.operation == "UPDATE":
            noted = local_model.mark_of(content(request.old, version, SERVICE.kind))
        patch = defaults_patch(service, noted)
        if request.operation == "CREATE":
            patch += finalizer_patch(service)
        return Verdict(patch=patch)

    return review(body, content_type, SERVICE.kind, judge)


def _is_defaulted(service: Object) -> bool:
    """Not in deletion; and a spec that is too heavy is not looked at, for metadata can be mended all the same."""
    return not is_deleting(service) and not weight.spec_problem(service)


def defaults_patch(service: Object, noted: local_model.Mark | None = None) -> JsonPatch:
    """The patch that writes what follows from the rest of the service, and the mark. Raises FieldError."""
    if not _is_defaulted(service):
        return []
    group = text(service, "spec", "router", "route", "group")
    labels = {names.ROUTING_GROUP: group or None, **(noted.labels if noted else {})}
    return [
        *_model_name(service),
        *_required(service),
        *_entries("/metadata/labels", labels_of(service), labels),
        *_entries("/metadata/annotations", annotations_of(service), noted.annotations if noted else {}),
    ]


def _model_name(service: Object) -> Iterator[dict[str, Any]]:
    """A service without a name yet (generateName) or without a model is left to the schema and to the plan."""
    name = name_of(service)
    if name and present(service, "spec", "model") and not text(service, "spec", "model", "name"):
        yield {"op": "add", "path": "/spec/model/name", "value": name}


def _required(service: Object) -> Iterator[dict[str, Any]]:
    """Fields that the schema requires and that mean something when they are left out: a baseRef gives the URI, the key of a
    ConfigMap is then the usual one. Go writes them as it encodes the object, and so takes a service without."""
    for path in _MAY_BE_LEFT_OUT:
        owner = path[:-1]
        if present(service, *owner) and dig(service, *path) is None:
            yield {"op": "add", "path": "/" + "/".join(path), "value": ""}


def _entries(at: str, found: Mapping[str, str], wanted: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    """Makes the map `at` hold the wanted values; None takes the key away. The rest of the map stays.

    Of a map that was too heavy to be read it is not known what it has: what is taken away is put there before.
    """
    if isinstance(found, weight.LeftOut):
        found = dict.fromkeys(wanted, "")
        yield from (
            {"op": "add", "path": f"{at}/{_escaped(key)}", "value": ""}
            for key, value in wanted.items()
            if value is None
        )
    added = {key: value for key, value in wanted.items() if value is not None and found.get(key) != value}
    if added and not found:
        yield {"op": "add", "path": at, "value": added}
        return
    for key, value in added.items():
        yield {"op": "add", "path": f"{at}/{_escaped(key)}", "value": value}
    for key in (key for key, value in wanted.items() if value is None and key in found):
        yield {"op": "remove", "path": f"{at}/{_escaped(key)}"}


def _escaped(key: str) -> str:
    """A key as one token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def finalizer_patch(service: Object) -> JsonPatch:
    """The patch that adds our finalizer; empty when it is there or the object is being deleted. Raises FieldError."""
    if has_finalizer(service, names.FINALIZER) or is_deleting(service):
        return []
    present_ones = finalizers_of(service)
    if present_ones is not None and not present_ones:
        return [{"op": "add", "path": "/metadata/finalizers", "value": [names.FINALIZER]}]
    return [{"op": "add", "path": "/metadata/finalizers/-", "value": names.FINALIZER}]
