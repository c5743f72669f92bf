"""What the mutating webhooks write into a service: its model's name, the label of its group, and our finalizer (MUT-1).

The patch touches `metadata` and `spec.model.name` only, the same in both versions: nothing is converted, and what Go
would add by encoding an object again is not added. What was not written here, for the object is older than the webhook,
holds in memory all the same (DEF-1). The finalizer is put on as a service is created, which spares the first of its
writes (docs/decisions/0008-finalizer-at-creation.md); on update it is the controller's to add and to remove.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import names, weight
from aioctl.api.admission import AdmissionRequest, content, review
from aioctl.api.finalizers import finalizers_of, has_finalizer
from aioctl.api.kinds import SERVICE
from aioctl.api.objects import Object, is_deleting, labels_of, name_of, present, text
from aioctl.api.verdict import Verdict

JsonPatch = list[dict[str, Any]]
"""Operations of RFC 6902."""
_WRITTEN: Final = ("CREATE", "UPDATE")


def review_mutation(body: bytes, content_type: str, *, version: str) -> bytes:
    """The whole answer to one call of the path for services in `version`; never raises for input."""

    def judge(request: AdmissionRequest) -> Verdict:
        if request.operation not in _WRITTEN:
            return Verdict()
        service = content(request.obj, version, SERVICE.kind)
        patch = defaults_patch(service)
        if request.operation == "CREATE":
            patch += finalizer_patch(service)
        return Verdict(patch=patch)

    return review(body, content_type, SERVICE.kind, judge)


def defaults_patch(service: Object) -> JsonPatch:
    """The patch that writes what follows from the rest of the service; empty for one in deletion. Raises FieldError."""
    if is_deleting(service) or weight.spec_problem(service):
        return []  # a spec that is too heavy is not looked at: metadata can be mended all the same
    group = text(service, "spec", "router", "route", "group")
    wanted = {names.ROUTING_GROUP: group or None}
    return [*_model_name(service), *_entries("/metadata/labels", labels_of(service), wanted)]


def _model_name(service: Object) -> Iterator[dict[str, Any]]:
    """A service without a name yet (generateName) or without a model is left to the schema and to the plan."""
    name = name_of(service)
    if name and present(service, "spec", "model") and not text(service, "spec", "model", "name"):
        yield {"op": "add", "path": "/spec/model/name", "value": name}


def _entries(at: str, found: Mapping[str, str], wanted: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
    """Makes the map `at` hold the wanted values; None takes the key away. The rest of the map stays."""
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
