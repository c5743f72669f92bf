"""Nothing that a controller keeps speaks of services that are gone: found by walking all that it holds."""

import types
from collections.abc import Iterator
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.controller import Controller
from aioctl.engine.store import Store
from aioctl.kube.cached import Cached
from aioctl.kube.wire import Request, Response
from aioctl.sim.memory import MemoryWire
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

FLEETS = [pytest.param(300, marks=pytest.mark.thorough), 20]
"""On the embedded cluster, with everything that a life has: 12 ms each."""
MANY = [pytest.param(5_000, marks=pytest.mark.thorough), 500]
"""Through the caches alone, with the one plan and the one status that a service needs to be remembered: 2 ms each."""
AT_ONCE = 140
OURS = (
    "aioctl.controller.",
    "aioctl.engine.",
    "aioctl.metrics.",
    "aioctl.kube.expectations",
    "aioctl.kube.cached",
)
"""Modules whose objects are walked. Events and single reads are kept for minutes and in bounded numbers, for all alike."""
KEPT_FOR_A_WHILE = ("EventRecorder", "LiveReads")


def mentions(root: object) -> Iterator[str]:
    """Where, from `root` on, a container or field holds the key of an object in the namespace of the fleet."""
    seen: set[int] = set()
    todo: list[tuple[str, Any]] = [("", root)]
    while todo:
        path, found = todo.pop()
        if isinstance(found, ObjectKey | ObjectRef):
            if found.namespace == NAMESPACE:
                yield path
            continue
        if id(found) in seen or isinstance(found, str | bytes | int | float | type):
            continue
        seen.add(id(found))
        if isinstance(found, dict):
            todo += [(f"{path}[key]", key) for key in found] + [
                (f"{path}[{key}]", v) for key, v in found.items()
            ]
        elif isinstance(found, list | tuple | set | frozenset) or type(found).__name__ == "deque":
            todo += [(f"{path}[]", item) for item in found]
        elif isinstance(found, types.MethodType):
            todo.append((path, found.__self__))
        elif type(found).__module__.startswith(OURS) and type(found).__name__ not in KEPT_FOR_A_WHILE:
            slots = {slot for cls in type(found).__mro__ for slot in getattr(cls, "__slots__", ())}
            fields = {name: getattr(found, name, None) for name in slots} | getattr(found, "__dict__", {})
            todo += [(f"{path}.{name}", value) for name, value in fields.items()]


async def come_and_go(stage: World, names: list[str], **spec: Any) -> None:
    for name in names:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name, **spec))
    await anyio.sleep(60)
    for name in names:
        await stage.user.delete(kinds.SERVICE, NAMESPACE, name)
    await anyio.sleep(150)  # what was due later is dropped when it falls due
    for name in names:
        assert await stage.find(kinds.SERVICE, name) is None


@pytest.mark.parametrize("fleet", FLEETS)
@virtual_time
async def test_a_fleet_that_came_and_went_leaves_nothing(fleet: int) -> None:
    """Most of it with a spec that cannot be combined, which costs the embedded cluster few writes; a part with everything."""
    async with furnished() as stage:
        controller = stage.controller()
        async with stage.running(controller):
            router: dict[str, Any] = {"scheduler": {}, "route": {}, "gateway": {}}
            names = [f"svc-{number}" for number in range(20)]
            await come_and_go(stage, names, router=router)
            assert not list(mentions(controller))
            for start in range(20, fleet, AT_ONCE):
                few = [f"svc-{number}" for number in range(start, min(start + AT_ONCE, fleet))]
                await come_and_go(stage, few, baseRefs=[{"name": "absent"}])
            assert len(controller.states) == 0
            assert not list(mentions(controller))


class Yes(MemoryWire):
    """The cluster for reads; a write is answered with its own text and stored nowhere."""

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        if request.method == "GET":
            return await super().send(request, timeout=timeout)
        return Response(200, {"content-type": "application/json"}, request.body or b"{}")


def services_of(controller: Controller) -> Store[ObjectKey, Cached]:
    (found,) = (store for watch, store in controller.caches.stores.items() if watch.kind == kinds.SERVICE)
    return found


def as_watched(number: int) -> Cached:
    """A service as a watch brings it, of a specification that cannot be combined."""
    obj = plain_service(f"svc-{number}", baseRefs=[{"name": "absent"}])
    obj["metadata"] |= {
        "uid": f"uid-{number}",
        "resourceVersion": str(number + 1_000_000),
        "generation": 1,
        "finalizers": [names.FINALIZER],
    }
    return Cached.from_raw(msgspec.json.encode(obj), kinds.SERVICE)


@pytest.mark.parametrize("many", MANY)
@virtual_time
async def test_thousands_of_services_leave_nothing(many: int) -> None:
    """A hundred at a time, each known and planned before it goes; nothing is left once the last retries are over."""
    async with furnished() as stage:
        controller = stage.controller(wire=Yes(stage.cluster))
        async with stage.running(controller):
            store = services_of(controller)
            for start in range(0, many, 100):
                came = [as_watched(number) for number in range(start, start + 100)]
                for service in came:
                    store.put(service.key, service)
                await anyio.sleep(0.1)
                assert all(controller.states.of(service.key).reads for service in came)
                for service in came:
                    store.remove(service.key)
            await anyio.sleep(60)
            assert len(controller.states) == 0
            assert not list(mentions(controller))


@virtual_time
async def test_the_walk_finds_what_is_remembered_of_a_service_that_is_there() -> None:
    async with furnished() as stage:
        controller = stage.controller()
        async with stage.running(controller):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
            await anyio.sleep(10)
            found = list(mentions(controller))
    for place in ("states._by_key", "interests._readers", "progress._observers[]._seen", "caches._by_kind"):
        assert any(place in path for path in found), place
