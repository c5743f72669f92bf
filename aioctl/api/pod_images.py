"""Containers of a combined spec that nobody gave an image (WORK-9).

An API server refuses a Deployment with one. A LeaderWorkerSet it takes, and then none of its pods: both sides of a service
are looked at before the first asks for accelerators.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import INITIALIZER, containers, pods

_PICKER: Final = ("spec", "router", "scheduler")
_MADE_WITHOUT: Final = "tokenizer"
"""Of the picker's containers the one that newer pickers do not have, whatever the template says."""


class Missing(NamedTuple):
    """A container without an image."""

    at: str
    """The pod spec that has it, such as `spec.prefill.template`."""
    field: str
    """Below that, such as `containers[0]`."""
    name: str

    def __str__(self) -> str:
        called = f"container {self.name}" if self.name else "the container"
        return (
            f"{self.at}.{self.field}.image: {called} has no image and no config gives it one; set it, or give the container "
            "the name of one that a config has"
        )


def missing(combined: Object) -> Iterator[Missing]:
    """In the order of the spec. What a download makes or takes away, the storage initializer, is left out."""
    made = {INITIALIZER} if dig(combined, "spec", "storageInitializer", "enabled") is not False else set()
    for at, pod in pods(combined):
        yield from _of_pod(at, pod, made)
    if dig(combined, *_PICKER, "pool", "ref") is None:
        for owner, left_out in ((_PICKER, {*made, _MADE_WITHOUT}), ((*_PICKER, "tokenizer"), made)):
            yield from _of_pod(".".join((*owner, "template")), dig(combined, *owner, "template"), left_out)


def _of_pod(at: str, pod: object, left_out: set[str]) -> Iterator[Missing]:
    for field in ("initContainers", "containers"):
        for index, container in enumerate(containers(pod, field)):
            name = str(container.get("name") or "")
            if not container.get("image") and name not in left_out:
                yield Missing(at, f"{field}[{index}]", name)
