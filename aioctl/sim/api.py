"""The simulated API server without sockets: requests in, replies out.

`SimCluster` joins store, verbs, admission, conversion, CRDs, garbage collection, faults and counters. Use it as an async
context manager: watch caches of other versions and the garbage collector run in its task group. `http.py` puts it on a
port, tests call `handle` directly, players use the same door.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import anyio
import anyio.abc
import msgspec

from aioctl.api import body_limits
from aioctl.api.review import CONVERT
from aioctl.sim import crds, discovery
from aioctl.sim.admission import Admission, warning_header
from aioctl.sim.backup import Backup
from aioctl.sim.collector import Collector
from aioctl.sim.conversion import Converter
from aioctl.sim.core import CRDS, Core, WallClock
from aioctl.sim.detached import detached
from aioctl.sim.errors import NoSuchPath, StatusError, internal, method_not_allowed, too_large
from aioctl.sim.facts import ABSENT_BY_DEFAULT, built_ins, custom_kinds
from aioctl.sim.faults import Call, ConnectionLost, Faults, Match, StaleReads
from aioctl.sim.reads import Reader
from aioctl.sim.records import Record
from aioctl.sim.requests import JSON_HEADERS, SimReply, SimRequest, Target, parse_path
from aioctl.sim.resources import GroupVersion, Object, Resource, Version
from aioctl.sim.selectors import parse_labels
from aioctl.sim.stats import Stats
from aioctl.sim.store import Collection, Store
from aioctl.sim.views import Watcher
from aioctl.sim.webhooks import HookTarget, LocalWebhooks, WebhookCaller
from aioctl.sim.writes import Writer, Written

Observer = Callable[[Resource, Record, str], None]
_VERB_OF: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}
DEFAULT_WEBHOOK: Final = {
    "service": {
        "namespace": "kserve",
        "name": "kserve-webhook-server-service",
        "path": CONVERT,
        "port": 443,
    }
}
"""Where the CRDs of our kinds say their conversion is until somebody patches them (CRD-2)."""


class SimCluster:
    """One simulated API server."""

    def __init__(
        self,
        *,
        webhooks: WebhookCaller | None = None,
        absent: Iterable[str] = ABSENT_BY_DEFAULT,
        history: int = 5_000,
        garbage_collection: bool = True,
        garbage_delay: float = 0.0,
        lists_from_cache: bool = True,
        seed: int = 0,
        start: float | None = None,
        backup: Backup | None = None,
    ) -> None:
        """`webhooks` carries conversion and admission reviews (None: nobody listens). `absent` names CRDs that are not
        installed, such as `inferencepools.inference.networking.k8s.io`. `history` is how many changes a watch can look
        back. `start` fixes wall time (seconds since the epoch); uids and names follow `seed`. With a `backup` the
        cluster begins as that says, instead of with `absent` and `seed`."""
        self.stats = Stats()
        self.faults = Faults(watchers=self._watchers)
        self.store = Store(history=history)
        caller = webhooks or LocalWebhooks()
        self._converter = Converter(caller, self._conversion_target, self.stats.conversion)
        self._absent = frozenset(absent)
        self._targets: dict[str, tuple[int, HookTarget | None]] = {}
        self._open: dict[Watcher, Call] = {}
        self._tasks: anyio.abc.TaskGroup | None = None
        self.observers: list[Observer] = []
        """Told every write at its moment, before anybody else can see it: (resource, object's record, event type)."""
        self.watch_ends: Callable[[], object] | None = None
        """Called whenever a watch has ended, whoever ended it."""
        self.documents: dict[str, Callable[[], Any]] = {"/sim/stats": self.stats.as_json}
        """JSON documents beside the API, by path; made when asked for."""
        self._is_new = backup is None
        for resource in built_ins() if backup is None else backup.resources():
            self.store.add(resource, self._translate_later(resource.title))
        mutating, validating = (
            self.store.collections[f"{role}webhookconfigurations.admissionregistration.k8s.io"]
            for role in ("mutating", "validating")
        )
        admission = Admission(mutating, validating, self._converter, caller, self.stats.admission)
        # Determinism, not secrecy: uids of tests repeat.
        generator = random.Random(seed)  # noqa: S311
        self.core = Core(self.store, self._converter, admission, WallClock(start), generator)
        if backup is not None:
            backup.restore(self.core)
        self._writer = Writer(self.core, self._written)
        self._collector = (
            Collector(self.core, self._writer, delay=garbage_delay) if garbage_collection else None
        )
        self._reader = Reader(
            self.core,
            self.faults,
            opened=self._watch_opened,
            closed=self._watch_closed,
            lists_from_cache=lists_from_cache,
        )

    def _translate_later(self, title: str) -> Any:
        async def translate(records: Any, at: GroupVersion, cause: str) -> Any:
            return await self.core.translator(title)(records, at, cause)

        return translate

    # -- life

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        for collection in self.store.collections.values():
            self._follow(collection)
        if self._collector is not None:
            self._tasks.start_soon(self._collector.run)
        if self._is_new:
            await self._begin()
        return self

    async def _begin(self) -> None:
        for title, resource in custom_kinds().items():
            if title not in self._absent:
                await self.install(resource)
        for namespace in ("default", "kube-system"):
            await self.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, client="sim"
            )
        self.stats.reset()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        for watcher in list(self._open):
            watcher.close()
        tasks, self._tasks = self._tasks, None
        if tasks is None:
            return None
        tasks.cancel_scope.cancel()
        return await tasks.__aexit__(kind, error, trace)

    def _running(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise RuntimeError("a cluster serves only while it is entered")
        return self._tasks

    def _follow(self, collection: Collection) -> None:
        if self._tasks is not None:
            for view in collection.views.values():
                self._tasks.start_soon(view.run)

    # -- kinds

    async def install(self, resource: Resource | str) -> None:
        """Serves a kind of the tables from now on, by creating its CRD (by name such as `authpolicies.kuadrant.io`)."""
        found = custom_kinds()[resource] if isinstance(resource, str) else resource
        await self.create(crds.crd_of(found, DEFAULT_WEBHOOK), client="sim")

    async def uninstall(self, title: str) -> None:
        """Deletes a CRD: its objects and watches are gone with it."""
        reply = await self.handle(
            SimRequest(
                "DELETE",
                f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{title}",
                headers={"user-agent": "sim"},
            )
        )
        _raise_for(reply)

    def _written(self, collection: Collection, record: Record, kind: str) -> None:
        if collection.resource.title == CRDS:
            self._crd_written(record, kind)
        for observer in self.observers:
            observer(collection.resource, record, kind)
        if self._collector is not None:
            self._collector.note(collection, record, kind)

    def _crd_written(self, record: Record, kind: str) -> None:
        title = record.key[1]
        if kind == "DELETED":
            self.store.remove(title)
            return
        definition = record.decode()
        resource = crds.resource_of(definition)
        served = self.store.collections.get(title)
        if served is None:
            served = self.store.add(resource, self._translate_later(title))
            self._follow(served)
        elif [v.at for v in served.resource.versions] == [v.at for v in resource.versions]:
            served.resource = resource
            if served.definition != definition["spec"]:
                served.begin_anew()
        served.definition = definition["spec"]

    def _conversion_target(self, title: str) -> HookTarget | None:
        record = self.store.collections[CRDS].records.get(("", title))
        if record is None:
            return None
        known = self._targets.get(title)
        if known is None or known[0] != record.revision:
            known = self._targets[title] = record.revision, crds.conversion_target(record.decode())
        return known[1]

    # -- requests

    async def handle(self, request: SimRequest) -> SimReply:
        """Answers one request. Raises ConnectionLost when a fault script says that there is no answer."""
        target = parse_path(request.path)
        if target is None:
            return await self._handle_other(request)
        call = Call(_verb(request, target), "", target.namespace, target.name, request.user_agent)
        status = 500
        try:
            collection, version = self.core.find(target.at, target.plural)
            call = Call(call.verb, _title(collection, target), call.namespace, call.name, call.client)
            await self.faults.before(call)
            if len(request.body) > body_limits.API_REQUEST:
                raise too_large(body_limits.API_REQUEST)
            work = partial(self._dispatch, collection, version, target, request, call)
            halted = None if call.verb == "watch" else self.faults.halted
            reply = await (work() if halted is None else detached(self._running(), halted, work))
            status = reply.status
        except StatusError as error:
            status = error.code
            return SimReply(error.code, {**JSON_HEADERS, **error.headers}, error.body())
        except ConnectionLost:
            status = 0
            raise
        finally:
            title = call.resource or target.plural
            self.stats.count(
                call.verb, title, call.client, status, is_dry_run=bool(request.argument("dryRun"))
            )
        return reply

    async def _handle_other(self, request: SimRequest) -> SimReply:
        try:
            await self.faults.before(Call("get", request.path, client=request.user_agent))
            if request.path in {"/healthz", "/readyz", "/livez"}:
                return SimReply(200, {"content-type": "text/plain"}, b"ok")
            if request.path in self.documents:
                if request.method == "DELETE":
                    self.stats.reset()
                return SimReply(200, JSON_HEADERS, msgspec.json.encode(self.documents[request.path]()))
            self.stats.count("discovery", "", request.user_agent, 200)
            resources = (collection.resource for collection in self.store.collections.values())
            return SimReply(200, JSON_HEADERS, discovery.document(request.path, resources))
        except StatusError as error:
            return SimReply(error.code, {**JSON_HEADERS, **error.headers}, error.body())

    async def _dispatch(
        self, collection: Collection, version: Version, target: Target, request: SimRequest, call: Call
    ) -> SimReply:
        collection.use()
        match call.verb:
            case "get":
                return await self._reader.get(collection, version, target, request, call)
            case "list":
                return await self._reader.list(collection, version, target, request, call)
            case "watch":
                return await self._reader.watch(collection, version, target, request, call)
            case "create" if not target.name:
                outcome = await self._writer.create(collection, version, target, request)
            case "update" if target.name:
                outcome = await self._writer.update(collection, version, target, request)
            case "patch" if target.name:
                outcome = await self._writer.patch(collection, version, target, request)
            case "delete" if not target.subresource:
                outcome = await self._writer.delete(collection, version, target, request)
            case "deletecollection":
                return await self._delete_collection(collection, version, target, request)
            case _:
                raise method_not_allowed()
        self.stats.effects[call.client] += outcome.wrote
        await self.faults.after(call, wrote=outcome.wrote)
        return _reply(collection, outcome)

    async def _delete_collection(
        self, collection: Collection, version: Version, target: Target, request: SimRequest
    ) -> SimReply:
        matches = parse_labels(request.argument("labelSelector"))
        for record in collection.main.snapshot(target.namespace):
            if matches is None or matches(record.labels):
                await self._writer.delete_object(collection, version, record.key)
        return SimReply(200, JSON_HEADERS, _success(collection, None))

    # -- in process

    async def create(self, obj: Object, *, client: str = "test") -> Object:
        """POSTs an object to where it belongs. Raises StatusError."""
        collection, version = self._home(obj)
        namespace = (obj.get("metadata") or {}).get("namespace", "") if collection.resource.namespaced else ""
        path = _path(collection.resource, version.at, namespace)
        body = msgspec.json.encode(obj)
        reply = await self.handle(SimRequest("POST", path, headers={"user-agent": client}, body=body))
        return _raise_for(reply)

    def _home(self, obj: Mapping[str, Any]) -> tuple[Collection, Version]:
        at = GroupVersion.parse(obj["apiVersion"])
        for collection in self.store.collections.values():
            version = collection.resource.version(at)
            if version is not None and collection.resource.kind == obj["kind"]:
                return collection, version
        raise NoSuchPath

    def peek(self, title: str, namespace: str, name: str) -> Object | None:
        """An object as it is stored, without a request; None when absent."""
        collection = self.store.collections.get(title)
        record = collection.records.get((namespace, name)) if collection else None
        return record.decode() if record else None

    def peek_all(self, title: str, namespace: str = "") -> list[Object]:
        """All objects of a collection as they are stored, without a request."""
        collection = self.store.collections.get(title)
        return [record.decode() for record in collection.main.snapshot(namespace)] if collection else []

    # -- misfortune that needs the store

    def _watchers(self, match: Match) -> list[Watcher]:
        return [watcher for watcher, call in self._open.items() if match.fits(call)]

    def _watch_opened(self, watcher: Watcher, call: Call) -> None:
        self._open[watcher] = call
        self.stats.watches += 1

    def _watch_closed(self, watcher: Watcher) -> None:
        if self._open.pop(watcher, None) is not None:
            self.stats.watches -= 1
            if self.watch_ends is not None:
                self.watch_ends()

    def freeze_reads(self, title: str, match: Match | None = None) -> StaleReads:
        """Matching gets and lists of a collection see it as it is now, until `thaw_reads`."""
        collection = self.store.collections[title]
        stale = StaleReads(match or Match(), dict(collection.records), self.store.revision)
        self.faults.stale[title] = stale
        return stale

    def thaw_reads(self, title: str) -> None:
        self.faults.stale.pop(title, None)

    def compact(self) -> None:
        """Forgets all history: watches from old revisions and pages of old lists get 410."""
        for collection in self.store.collections.values():
            for view in collection.views.values():
                view.forget_history()
        self._reader.expire_pages()

    async def restart(self, *, down_for: float = 0.0) -> None:
        """The server goes away and comes back: watches end, watch caches are cold, the objects stay."""
        self.faults.is_down = True
        for collection in self.store.collections.values():
            collection.begin_anew()
        self._reader.expire_pages()
        try:
            await anyio.sleep(down_for)
        finally:
            self.faults.is_down = False


def _verb(request: SimRequest, target: Target) -> str:
    if request.method in {"GET", "HEAD"}:
        if request.flag("watch"):
            return "watch"
        return "get" if target.name else "list"
    if request.method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _VERB_OF.get(request.method, request.method.lower())


def _title(collection: Collection, target: Target) -> str:
    title = collection.resource.title
    return f"{title}/{target.subresource}" if target.subresource else title


def _path(resource: Resource, at: GroupVersion, namespace: str) -> str:
    prefix = f"/apis/{at.group}/{at.version}" if at.group else f"/api/{at.version}"
    middle = f"/namespaces/{namespace}" if resource.namespaced else ""
    return f"{prefix}{middle}/{resource.plural}"


def _reply(collection: Collection, outcome: Written) -> SimReply:
    headers = dict(JSON_HEADERS)
    if outcome.warnings:
        headers["warning"] = warning_header(outcome.warnings)
    body = outcome.record.raw if outcome.record else _success(collection, outcome.removed)
    return SimReply(outcome.status, headers, body)


def _success(collection: Collection, removed: Record | None) -> bytes:
    status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if removed is not None:
        resource = collection.resource
        status["details"] = {
            "name": removed.key[1],
            **({"group": resource.group} if resource.group else {}),
            "kind": resource.plural,
            "uid": removed.uid,
        }
    return msgspec.json.encode(status)


def _raise_for(reply: SimReply) -> Object:
    """The decoded body of a success. Raises StatusError."""
    body = reply.body if isinstance(reply.body, bytes) else b"{}"
    if reply.status == 404 and body.startswith(b"404"):
        raise NoSuchPath
    decoded: Object = msgspec.json.decode(body)
    if reply.status < 400:
        return decoded
    message = decoded.get("message", "")
    if not decoded.get("reason") and reply.status >= 500:
        raise internal(message)
    raise StatusError(reply.status, decoded.get("reason", ""), message, details=decoded.get("details"))
