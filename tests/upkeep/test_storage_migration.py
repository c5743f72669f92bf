"""The storage migration rewrites every object once, names what is refused, and trims only what is really done.

Rules: STORE-1.
"""

from typing import Any

import anyio
import msgspec

from aioctl.api.kinds import CONFIG, CRD, SERVICE, SERVICE_V1ALPHA1, Kind
from aioctl.engine.limits import TokenBucket
from aioctl.kube.client import Client
from aioctl.kube.errors import TransportError
from aioctl.kube.wire import Request, Response
from aioctl.upkeep.storage_migration import LONGEST_WAIT, Rewrite, StorageMigrationObserver, migrate_storage
from testbed.scripted_wire import ScriptedWire, encode, list_body, status_body
from testbed.virtual_time import VirtualClock, virtual_time


def failure(code: int, reason: str, message: str = "") -> Response:
    return Response(code, {}, encode(status_body(code, reason, message or reason, {"name": "x"})))


class Server:
    """One CRD and its objects: what was patched, and what each patch shall answer."""

    def __init__(self, wire: ScriptedWire, kind: Kind, stored: list[str], objects: list[str]) -> None:
        self.kind = kind
        self.stored = stored
        self.version = 7
        self.objects = objects
        self.patched: list[str] = []
        self.answers: dict[str, list[Response | Exception]] = {}
        self.changes_under_way = 0
        path = CRD.path("", kind.resource)
        wire.answer("GET", path, self.crd)
        wire.answer("PATCH", f"{path}/status", self.trim)
        wire.answer("GET", kind.path(), self.list)
        for name in objects:
            wire.answer("PATCH", kind.path("n", name), self.patch)

    def crd(self, request: Request) -> Response:
        versions = [{"name": "v1alpha1", "storage": False}, {"name": "v1alpha2", "storage": True}]
        body = {
            "metadata": {"name": self.kind.resource, "resourceVersion": str(self.version)},
            "spec": {"versions": versions},
            "status": {"storedVersions": self.stored},
        }
        return Response(200, {}, encode(body))

    def list(self, request: Request) -> Response:
        items: list[dict[str, Any]] = [
            {"metadata": {"name": name, "namespace": "n", "uid": f"u-{name}", "resourceVersion": "1"}}
            for name in self.objects
        ]
        if ("continue", "rest") in request.query:
            return Response(200, {}, encode(list_body(items[2:], "1")))
        return Response(200, {}, encode(list_body(items[:2], "1", "rest" if items[2:] else "")))

    def patch(self, request: Request) -> Response:
        assert msgspec.json.decode(request.body or b"") == {}
        name = request.path.rpartition("/")[2]
        self.patched.append(name)
        answers = self.answers.get(name)
        answer = answers.pop(0) if answers else Response(200, {}, b"{}")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def trim(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body or b"")
        if self.changes_under_way:
            self.changes_under_way -= 1
            self.version += 1
        if body["metadata"]["resourceVersion"] != str(self.version):
            return failure(409, "Conflict")
        self.stored = body["status"]["storedVersions"]
        return Response(200, {}, b"{}")


class Seen(StorageMigrationObserver):
    def __init__(self) -> None:
        self.results: list[Rewrite] = []
        self.left: list[int] = []

    def rewrite(self, kind: Kind, result: Rewrite) -> None:
        self.results.append(result)

    def remaining(self, kind: Kind, objects: int) -> None:
        self.left.append(objects)


class Scene:
    def __init__(self, *objects: str, stored: tuple[str, ...] = ("v1alpha1", "v1alpha2")) -> None:
        self.wire = ScriptedWire()
        self.server = Server(self.wire, SERVICE, list(stored), list(objects))
        self.seen = Seen()

    async def migrate(self, *kinds: Kind, rate: float = 20) -> None:
        pace = TokenBucket(rate, 1, VirtualClock())
        await migrate_storage(Client(self.wire), kinds or (SERVICE,), pace=pace, observer=self.seen)


@virtual_time
async def test_every_object_is_rewritten_at_the_given_pace_and_then_the_old_version_is_dropped() -> None:
    scene = Scene(*"abcde")
    await scene.migrate(rate=2)
    assert scene.server.patched == list("abcde")
    assert scene.server.stored == ["v1alpha2"]
    assert scene.seen.results == [Rewrite.MIGRATED] * 5
    assert scene.seen.left == [5, 4, 3, 2, 1, 0]
    assert anyio.current_time() == 2.0


@virtual_time
async def test_a_crd_that_holds_only_its_storage_version_costs_one_read() -> None:
    scene = Scene("a", stored=("v1alpha2",))
    await scene.migrate()
    assert [request.method for request in scene.wire.requests] == ["GET"]


@virtual_time
async def test_objects_are_addressed_in_the_storage_version_whatever_version_the_caller_names() -> None:
    scene = Scene("a")
    await scene.migrate(SERVICE_V1ALPHA1)
    assert scene.server.patched == ["a"]


@virtual_time
async def test_objects_that_vanish_or_change_meanwhile_count_as_done() -> None:
    scene = Scene(*"abc")
    scene.server.answers = {"a": [failure(404, "NotFound")], "b": [failure(409, "Conflict")]}
    await scene.migrate()
    assert scene.seen.results == [Rewrite.GONE, Rewrite.CONFLICT, Rewrite.MIGRATED]
    assert scene.server.stored == ["v1alpha2"]


@virtual_time
async def test_a_404_of_something_else_is_a_refusal_by_admission() -> None:
    scene = Scene(*"ab")
    missing = status_body(
        404, "NotFound", "denied: configmaps not found", {"kind": "configmaps", "name": "c"}
    )
    scene.server.answers = {"a": [Response(404, {}, encode(missing))]}
    await scene.migrate()
    assert scene.seen.results == [Rewrite.REFUSED, Rewrite.MIGRATED, Rewrite.MIGRATED]
    assert scene.server.patched == ["a", "b", "a"]


@virtual_time
async def test_a_refused_object_stops_no_other_and_keeps_the_old_version_listed_until_it_is_mended() -> None:
    scene = Scene(*"abc")
    refusals = [failure(403, "Forbidden", "admission webhook denied the request: spec.x")] * 3
    scene.server.answers = {"b": list(refusals)}
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scene.migrate)
        await anyio.sleep(1)
        assert scene.server.patched == ["a", "b", "c"]
        assert scene.server.stored == ["v1alpha1", "v1alpha2"]
    # Later attempts only send what is left.
    assert scene.server.patched == ["a", "b", "c", "b", "b", "b"]
    assert scene.server.stored == ["v1alpha2"]
    assert 2 + 4 + 8 <= anyio.current_time() < 2 + 4 + 8 + 1


@virtual_time
async def test_the_waits_between_attempts_are_capped() -> None:
    scene = Scene("a")
    scene.server.answers = {"a": [failure(422, "Invalid")] * 20}
    await scene.migrate()
    growing = sum(2.0 * 2**attempt for attempt in range(8))
    assert anyio.current_time() <= growing + 12 * LONGEST_WAIT + 5


@virtual_time
async def test_a_crd_that_changed_meanwhile_is_not_trimmed_but_looked_at_again() -> None:
    scene = Scene(*"ab")
    scene.server.changes_under_way = 1
    await scene.migrate()
    assert scene.server.patched == ["a", "b"]
    assert scene.server.stored == ["v1alpha2"]
    assert anyio.current_time() >= 2


@virtual_time
async def test_a_server_that_fails_ends_the_attempt_and_the_next_goes_on_where_it_stopped() -> None:
    scene = Scene(*"abcdefghij")
    broken = TransportError("reset", maybe_sent=True)
    scene.server.answers = {name: [broken] for name in "cdefg"}
    await scene.migrate()
    assert scene.server.patched == [*"abcdefg", *"cdefghij"]
    assert scene.server.stored == ["v1alpha2"]


@virtual_time
async def test_one_crd_that_is_not_there_does_not_stop_the_other() -> None:
    scene = Scene("a")
    path = CRD.path("", CONFIG.resource)
    scene.wire.answer("GET", path, failure(404, "NotFound"), failure(403, "Forbidden"))
    configs = Server(scene.wire, CONFIG, ["v1alpha1"], ["c"])
    await scene.migrate(CONFIG, SERVICE)
    assert scene.server.stored == ["v1alpha2"]
    assert configs.stored == ["v1alpha2"]
    assert 6 <= anyio.current_time() < 7


@virtual_time
async def test_the_list_is_read_as_metadata_in_pages() -> None:
    scene = Scene(*"abc")
    await scene.migrate()
    lists = scene.wire.asked("GET", SERVICE.path())
    assert len(lists) == 2
    assert all("PartialObjectMetadataList" in request.headers["Accept"] for request in lists)
