"""Whether a controller has come to rest, for tests in real time: that nothing is written may only mean that it has not come to it.

Of one in this process its own queues and caches tell; of one that is a process its metrics page does.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import httpx
from prometheus_client.parser import text_string_to_metric_families

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.app import Application
from aioctl.controller.controller import Controller

ANSWERS_WITHIN: Final = 60.0
SOON: Final = 0.5
"""Seconds in which delayed work counts as work: longer than tests let a status settle, shorter than any look that is repeated."""
_NOW: Final = ("workqueue_depth", "controller_runtime_active_workers")
_DONE: Final = "controller_runtime_reconcile_total"


class At(NamedTuple):
    """An object, by the name of its kind as CRDs are named."""

    resource: str
    namespace: str
    name: str


def listed(versions: Mapping[str, str]) -> dict[At, str]:
    """Resource versions; given as `<resource> <namespace>/<name>` -> `<uid>/<resource version>`."""
    found = {}
    for title, version in versions.items():
        resource, _, key = title.partition(" ")
        namespace, _, name = key.partition("/")
        found[At(resource, namespace, name)] = version.partition("/")[2]
    return found


def is_busy(application: Application, listed: Mapping[At, str], *, namespace: str = "") -> bool:
    """Whether the program still starts, works, tells, or has not seen what was listed (resource versions); in the namespace, or anywhere.

    One that does not lead has nothing to do but to watch.
    """
    controller = application.controller
    if application.leads() and not controller._working:
        return True
    return (
        has_work(controller, namespace) or has_events(controller, namespace) or is_behind(controller, listed)
    )


def has_work(controller: Controller, namespace: str = "") -> bool:
    """Whether a service or config of the namespace ('' = any) is worked on, or will be soon."""
    return any(namespace in ("", key.namespace) for key in _keys_at_work(controller))


def has_events(controller: Controller, namespace: str = "") -> bool:
    """Whether an event of something in the namespace ('' = any) is written, or will be soon: they come after the work, one by one."""
    recorder, soon = controller.recorder, controller.clock.monotonic() + SOON
    writing = [recorder._in_flight] if recorder._in_flight is not None else []
    due = (same for same in recorder._waiting if recorder._known[same].due <= soon)
    return any(namespace in ("", same.namespace) for same in (*writing, *due))


def _keys_at_work(controller: Controller) -> Iterator[ObjectKey]:
    soon = controller.clock.monotonic() + SOON
    for queue in (controller.queue, controller.confined_queue, controller.config_queue):
        yield from queue._running
        yield from queue._again
        yield from (key for key, entry in queue._waiting.items() if entry.ready_at <= soon)


def is_behind(controller: Controller, listed: Mapping[At, str]) -> bool:
    """Whether a cache holds another version of something than was listed, or lacks a service."""
    cached = {
        At(watch.kind.resource, item.key.namespace, item.key.name): item.resource_version
        for watch, store in controller.caches.stores.items()
        for item in store.values()
    }
    return any(
        cached.get(at, "" if at.resource == kinds.SERVICE.resource else version) != version
        for at, version in listed.items()
    )


class Work(NamedTuple):
    """Keys in the queue or in work, and how many were worked off since the process began."""

    now: int
    done: int


async def work_of(page: str) -> Work:
    """Of the program with this metrics page. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(timeout=ANSWERS_WITHIN) as http:
        text = (await http.get(page)).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return Work(
        int(sum(sample.value for sample in samples if sample.name in _NOW)),
        int(sum(sample.value for sample in samples if sample.name == _DONE)),
    )
