"""What the mutating webhook adds to a service as it is created: our finalizer, and nothing else.

Without it the controller adds the finalizer by the first of its two writes of a service, and each write of a service costs
one to four conversions (WEB-1), at the worst moment: when a fleet is created. Where this webhook is not
installed or does not answer, the controller still does it. Nothing of the user's spec is defaulted (DEF-1).
"""

from collections.abc import Mapping
from typing import Any

from aioctl.api import names
from aioctl.api.admission import AdmissionRequest, Verdict, content, review
from aioctl.api.kinds import SERVICE
from aioctl.api.objects import is_deleting, sequence

JsonPatch = list[dict[str, Any]]
"""Operations of RFC 6902."""


def review_mutation(body: bytes, content_type: str, *, version: str) -> bytes:
    """The whole answer to one call of the path for services in `version`; never raises for input.

    Only a creation is changed: on update the finalizer is the controller's to add and to remove.
    """

    def judge(request: AdmissionRequest) -> Verdict:
        if request.operation != "CREATE":
            return Verdict()
        return Verdict(patch=finalizer_patch(content(request.obj, version, SERVICE.kind)))

    return review(body, content_type, SERVICE.kind, judge)


def finalizer_patch(service: Mapping[str, Any]) -> JsonPatch:
    """The patch that adds our finalizer; empty when it is there or the object is being deleted. Raises FieldError."""
    present = sequence(service, "metadata", "finalizers")
    if names.FINALIZER in present or is_deleting(service):
        return []
    if not present:
        return [{"op": "add", "path": "/metadata/finalizers", "value": [names.FINALIZER]}]
    return [{"op": "add", "path": "/metadata/finalizers/-", "value": names.FINALIZER}]
