"""Objects as bytes, their history, and the watchers that follow it: what etcd and the watch cache are to the real server.

Every write gets the next revision. An object is kept as the JSON it is served as, with a little metadata beside it for
selectors and garbage collection; a change is encoded once for all watchers of a version. Each version of a resource has a
`View` (the real server's watch cache of that version): the view of the stored version is always there and costs nothing,
another one fills when it is first used and then follows every write through a translator, which may wait for a webhook.
Nothing here knows HTTP, defaults or permissions.
"""

import bisect
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import anyio
import msgspec

from aioctl.sim.errors import StatusError, too_old
from aioctl.sim.resources import GroupVersion, Object, Resource

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""


class Record(NamedTuple):
    """One object at one revision. `raw` starts with apiVersion and kind, in the version `at`."""

    key: Key
    revision: int
    uid: str
    at: GroupVersion
    raw: bytes
    labels: Mapping[str, str]
    owners: tuple[str, ...]

    def decode(self) -> Object:
        """A fresh copy that may be changed."""
        decoded: Object = msgspec.json.decode(self.raw)
        return decoded


def encode(obj: Object) -> bytes:
    """JSON with apiVersion and kind first, so that lists of built-in kinds can cut them off."""
    head = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    return msgspec.json.encode({**head, **obj})


def record_of(obj: Object, key: Key, revision: int) -> Record:
    """The record of a complete object; sets its resourceVersion."""
    metadata = obj["metadata"]
    metadata["resourceVersion"] = str(revision)
    return Record(
        key,
        revision,
        metadata.get("uid", ""),
        GroupVersion.parse(obj["apiVersion"]),
        encode(obj),
        metadata.get("labels") or {},
        tuple(ref.get("uid", "") for ref in metadata.get("ownerReferences") or ()),
    )


class Change:
    """One event of a view, with the labels before it (None: the object was not there before)."""

    __slots__ = ("_lines", "old_labels", "record", "revision", "type")

    def __init__(self, kind: str, record: Record, old_labels: Mapping[str, str] | None) -> None:
        self.type = kind
        self.record = record
        self.revision = record.revision
        self.old_labels = old_labels
        self._lines: dict[str, bytes] = {}

    def line(self, kind: str) -> bytes:
        """The watch line; the same bytes for all watchers."""
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = watch_line(kind, self.record.raw)
        return line

    def metadata_line(self, kind: str) -> bytes:
        """The watch line with metadata only."""
        line = self._lines.get("metadata " + kind)
        if line is None:
            line = self._lines["metadata " + kind] = watch_line(kind, partial_metadata(self.record.raw))
        return line


def watch_line(kind: str, raw: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)


class _MetadataOnly(msgspec.Struct):
    metadata: msgspec.Raw


_decode_metadata = msgspec.json.Decoder(_MetadataOnly).decode


def partial_metadata(raw: bytes) -> bytes:
    """The object as PartialObjectMetadata (meta.k8s.io/v1)."""
    head = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}'
    return head % bytes(_decode_metadata(raw).metadata)


class Watcher:
    """One open watch: a buffer that a view fills and one reader empties."""

    LIMIT = 20_000
    """Changes that may wait for a slow reader; then the stream is closed, as the real server does."""

    def __init__(self, wants: Callable[[Change], str], *, partial: bool, client: str = "") -> None:
        """`wants` names the event type the watcher sees for a change, or is empty for none."""
        self._wants = wants
        self.client = client
        self._partial = partial
        self._lines: list[tuple[float, bytes]] = []
        self._news = anyio.Event()
        self.is_closed = False
        self.delay = 0.0
        """Seconds that every change is held back: cache lag by script."""
        self.is_stalled = False
        """Nothing gets through, the stream stays open: a partition by script."""

    def offer(self, change: Change) -> None:
        """Takes a change of the view; called by the view only."""
        if self.is_closed:
            return
        kind = self._wants(change)
        if kind:
            self.push(change.metadata_line(kind) if self._partial else change.line(kind))

    def push(self, line: bytes) -> None:
        due = anyio.current_time() + self.delay if self.delay else 0.0
        self._lines.append((due, line))
        if len(self._lines) > self.LIMIT:
            self.close()
        self._news.set()

    def close(self) -> None:
        """Ends the stream after what is buffered."""
        self.is_closed = True
        self._news.set()

    def stall(self, *, on: bool) -> None:
        self.is_stalled = on
        self._news.set()

    @property
    def is_drained(self) -> bool:
        """True when the reader has everything, so that a bookmark tells the truth."""
        return not self._lines and not self.is_stalled

    async def take(self) -> bytes:
        """Everything that is due, waiting for the first; empty when the stream has ended."""
        while True:
            if not self.is_stalled:
                if count := self._due():
                    lines = b"".join(line for _, line in self._lines[:count])
                    del self._lines[:count]
                    return lines
                if self.is_closed and not self._lines:
                    return b""
            self._news = anyio.Event()
            wait = (
                self._lines[0][0] - anyio.current_time() if self._lines and not self.is_stalled else math.inf
            )
            with anyio.move_on_after(wait):
                await self._news.wait()

    def _due(self) -> int:
        if not self._lines or self._lines[-1][0] == 0.0:
            return len(self._lines)
        return bisect.bisect_right(self._lines, anyio.current_time(), key=lambda entry: entry[0])


Translate = Callable[[Sequence[Record], GroupVersion, str], Awaitable[Sequence[Record]]]
"""Records into a version for a cause (`cache`, `list`), all or none in one conversion. Raises StatusError."""


class View:
    """All objects of a resource in one version, the recent history, and who watches."""

    def __init__(self, at: GroupVersion, history: int, translate: Translate | None) -> None:
        """`translate` None: the records arrive in this version already."""
        self.at = at
        self.records: dict[Key, Record] = {}
        self._sorted: list[Key] | None = None
        self._history: deque[Change] = deque(maxlen=history)
        self._compacted = 0
        self._watchers: set[Watcher] = set()
        self._translate = translate
        self.revision = 0
        """What the view has seen; behind the store while a translation is under way."""
        self._progress = anyio.Event()
        self._backlog: deque[tuple[int, Change | None]] = deque()
        self._work = anyio.Event()
        self._filling = anyio.Lock()
        self._collects = False
        self.is_filled = translate is None

    # -- reading

    def sorted_keys(self) -> list[Key]:
        """Keys in etcd's order."""
        if self._sorted is None:
            self._sorted = sorted(self.records)
        return self._sorted

    def snapshot(self, namespace: str) -> list[Record]:
        """Records of a namespace (empty: all) in order."""
        keys: Sequence[Key] = self.sorted_keys()
        if namespace:
            start = bisect.bisect_left(keys, (namespace, ""))
            keys = keys[start : bisect.bisect_left(keys, (namespace + "\0", ""))]
        return [self.records[key] for key in keys]

    async def wait_for(self, revision: int) -> None:
        """Until the view has seen a revision."""
        while self.revision < revision and self.is_filled:
            self._progress = self._progress if not self._progress.is_set() else anyio.Event()
            await self._progress.wait()

    # -- watching

    def watch(self, watcher: Watcher, since: int | None) -> None:
        """Attaches a watcher that sees every change after `since`. Raises StatusError 410 when that is forgotten."""
        if since is not None:
            if since < self._compacted:
                raise too_old(since, self._compacted)
            start = bisect.bisect_right(self._history, since, key=lambda change: change.revision)
            for index in range(start, len(self._history)):
                watcher.offer(self._history[index])
        self._watchers.add(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)

    def watchers(self) -> Iterator[Watcher]:
        yield from tuple(self._watchers)

    def forget_history(self) -> None:
        """What etcd's compaction does: older watches can no longer start."""
        self._history.clear()
        self._compacted = self.revision

    # -- following the store

    def follow(self, change: Change) -> None:
        """A write of the stored objects; translated views take it when their turn comes."""
        if self._translate is None:
            self._take(change)
        elif self._collects:
            self._backlog.append((change.revision, change))
            self._work.set()

    def advance(self, revision: int) -> None:
        """Somebody else's write: the revision moves, nothing of ours changed."""
        if self._backlog:
            self._backlog.append((revision, None))
        else:
            self._seen(revision)

    def _take(self, change: Change) -> None:
        key = change.record.key
        if change.type == "DELETED":
            self.records.pop(key, None)
            self._sorted = None
        else:
            if key not in self.records:
                self._sorted = None
            self.records[key] = change.record
        if len(self._history) == self._history.maxlen:
            self._compacted = self._history[0].revision
        self._history.append(change)
        for watcher in tuple(self._watchers):
            watcher.offer(change)
        self._seen(change.revision)

    def _seen(self, revision: int) -> None:
        self.revision = revision
        self._progress.set()

    async def fill(self, current: Callable[[], tuple[Sequence[Record], int]]) -> None:
        """Makes the view usable: on first use everything is translated at once. Raises StatusError and stays empty."""
        if self._translate is None:
            return
        async with self._filling:
            if self.is_filled:
                return
            records, revision = current()
            self._backlog.clear()
            self._collects = True
            try:
                translated = await self._translate(records, self.at, "list") if records else ()
            except BaseException:  # cancellation included: a half-filled view must not look filled
                self.lose()
                raise
            self.records = {record.key: record for record in translated}
            self._sorted = None
            self._history.clear()
            self._compacted = revision
            self.is_filled = True
            self._seen(revision)
            self._work.set()

    def lose(self) -> None:
        """The view lost its place: watchers must come again, a translated view fills anew at its next use."""
        if self._translate is not None:
            self.is_filled = self._collects = False
            self._backlog.clear()
        for watcher in tuple(self._watchers):
            watcher.close()
        self._progress.set()

    async def run(self) -> None:
        """Translates the backlog, one change after the other as the real server's cache does; endless."""
        translate = self._translate
        if translate is None:
            return
        while True:
            while self._backlog and self.is_filled:
                await self._step(translate)
            self._work = anyio.Event()
            await self._work.wait()

    async def _step(self, translate: Translate) -> None:
        entry = self._backlog[0]
        revision, change = entry
        if change is not None:
            try:
                translated = await translate([change.record], self.at, "cache")
            except StatusError:
                self.lose()
                return
            if not self._backlog or self._backlog[0] is not entry:
                return  # the view was lost and filled anew meanwhile
            self._take(Change(change.type, translated[0], change.old_labels))
        else:
            self._seen(revision)
        self._backlog.popleft()


class Collection:
    """All objects of one resource, with a view for each version."""

    def __init__(self, resource: Resource, history: int, translate: Translate) -> None:
        self.resource = resource
        self.main = View(resource.stored, history, None)
        self.views: dict[GroupVersion, View] = {resource.stored: self.main}
        for version in resource.versions:
            if version.at != resource.stored:
                self.views[version.at] = View(version.at, history, translate)

    @property
    def records(self) -> dict[Key, Record]:
        return self.main.records


class Store:
    """All collections and the one revision they share."""

    def __init__(self, *, history: int = 5_000, first_revision: int = 100) -> None:
        """`history`: changes kept for each view; older watches get 410."""
        self._history = history
        self.revision = first_revision
        self.collections: dict[str, Collection] = {}
        self._uids: dict[str, tuple[Collection, Key]] = {}
        self._dependents: dict[str, dict[tuple[str, Key], None]] = {}

    def add(self, resource: Resource, translate: Translate) -> Collection:
        """Starts to serve a resource. Raises ValueError when it is served already."""
        if resource.title in self.collections:
            raise ValueError(f"{resource.title} is served already")
        collection = Collection(resource, self._history, translate)
        for view in collection.views.values():
            view.revision = self.revision
            view.forget_history()
        self.collections[resource.title] = collection
        return collection

    def remove(self, title: str) -> Collection | None:
        """Stops to serve a resource; its objects are gone and its watches end."""
        collection = self.collections.pop(title, None)
        if collection is None:
            return None
        for record in list(collection.records.values()):
            self._unindex(collection, record)
        for view in collection.views.values():
            for watcher in view.watchers():
                watcher.close()
        return collection

    def next_revision(self) -> int:
        return self.revision + 1

    def put(self, collection: Collection, obj: Object, key: Key) -> Record:
        """Writes a complete object at the next revision and tells everybody."""
        self.revision += 1
        old = collection.records.get(key)
        record = record_of(obj, key, self.revision)
        if old is not None:
            self._unindex(collection, old)
        self._index(collection, record)
        self._publish(collection, Change("MODIFIED" if old else "ADDED", record, old.labels if old else None))
        return record

    def delete(self, collection: Collection, key: Key) -> Record:
        """Removes an object; the last state carries the revision of its deletion, as watchers of the real server see it."""
        self.revision += 1
        old = collection.records[key]
        record = record_of(old.decode(), key, self.revision)
        self._unindex(collection, old)
        self._publish(collection, Change("DELETED", record, old.labels))
        return record

    def _publish(self, collection: Collection, change: Change) -> None:
        for other in self.collections.values():
            if other is not collection:
                for view in other.views.values():
                    view.advance(change.revision)
        for view in collection.views.values():
            view.follow(change)

    def _index(self, collection: Collection, record: Record) -> None:
        self._uids[record.uid] = (collection, record.key)
        for owner in record.owners:
            self._dependents.setdefault(owner, {})[collection.resource.title, record.key] = None

    def _unindex(self, collection: Collection, record: Record) -> None:
        self._uids.pop(record.uid, None)
        for owner in record.owners:
            entries = self._dependents.get(owner, {})
            entries.pop((collection.resource.title, record.key), None)
            if not entries:
                self._dependents.pop(owner, None)

    def find_uid(self, uid: str) -> tuple[Collection, Key] | None:
        """Where the object with this uid is."""
        return self._uids.get(uid)

    def dependents(self, uid: str) -> list[tuple[Collection, Record]]:
        """Objects that name this uid as an owner."""
        found = []
        for title, key in self._dependents.get(uid, ()):
            collection = self.collections[title]
            found.append((collection, collection.records[key]))
        return found

    def orphaned(self, record: Record) -> bool:
        """True when it has owners and none of them is there any more."""
        return bool(record.owners) and not any(uid in self._uids for uid in record.owners)


def as_list_item(record: Record, kind: str, *, bare: bool) -> bytes:
    """The object as an item of a list; items of built-in kinds come without apiVersion and kind (`bare`)."""
    if not bare:
        return record.raw
    prefix = b'{"apiVersion":"%b","kind":"%b",' % (record.at.api_version.encode(), kind.encode())
    return b"{" + record.raw.removeprefix(prefix) if record.raw.startswith(prefix) else record.raw
