"""A reflector on a scripted wire, and what a server sends it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from aioctl.api.kinds import POOL_V1, Kind, ObjectKey
from aioctl.engine.store import Delta, Store
from aioctl.kube.cached import Cached
from aioctl.kube.client import Client
from aioctl.kube.reflector import Reflector, ReflectorObserver
from aioctl.kube.wire import Response
from testbed.scripted_wire import ScriptedStream, ScriptedWire, encode, list_body, status_body
from testbed.virtual_time import VirtualClock

PATH = POOL_V1.path()
EXPIRED = status_body(410, "Expired", "too old resource version")
NO_KIND = Response(404, {}, b"404 page not found\n")


def pool(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "n",
            "uid": f"u-{name}",
            "resourceVersion": str(version),
            **more,
        }
    }


def listing(*items: Any, version: int, more: str = "") -> Response:
    return Response(200, {}, encode(list_body(list(items), str(version), more)))


class Watcher(ReflectorObserver):
    def __init__(self) -> None:
        self.lists: list[int] = []
        self.ends: list[str] = []
        self.absences: list[bool] = []

    def listed(self, kind: Kind, objects: int, seconds: float) -> None:
        self.lists.append(objects)

    def watch_ended(self, kind: Kind, why: str) -> None:
        self.ends.append(why)

    def presence_changed(self, kind: Kind, absent: bool) -> None:
        self.absences.append(absent)


class Scene:
    """One reflector on a scripted wire."""

    def __init__(self, **options: Any) -> None:
        self.wire = ScriptedWire()
        self.store: Store[ObjectKey, Cached] = Store()
        self.deltas: list[tuple[str, str, bool]] = []
        self.store.subscribe(self._note)
        self.seen = Watcher()
        self.reflector = Reflector(
            Client(self.wire), POOL_V1, self.store, observer=self.seen, clock=VirtualClock(), **options
        )

    def _note(self, delta: Delta[ObjectKey, Cached]) -> None:
        verb = "added" if delta.old is None else "removed" if delta.new is None else "changed"
        self.deltas.append((verb, delta.key.name, delta.initial))

    @property
    def held(self) -> dict[str, str]:
        return {item.key.name: item.resource_version for item in self.store.values()}

    def synced(self) -> bool:
        return self.store.synced

    def absent(self) -> bool:
        return self.reflector.absent

    def list_answer(self, *answers: Response | Exception) -> None:
        self.wire.answer("GET", PATH, *answers)

    def stream(self, **options: Any) -> ScriptedStream:
        return self.wire.stream_answer(PATH, **options)

    def versions_watched(self) -> list[str]:
        return [dict(request.query)["resourceVersion"] for request in self.wire.asked("WATCH")]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            await tasks.start(lambda task_status: self.reflector.run(task_status=task_status))
            yield
            tasks.cancel_scope.cancel()


async def settle() -> None:
    await anyio.sleep(0.001)
