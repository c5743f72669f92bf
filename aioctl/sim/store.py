"""All objects of all resources and the one revision they share: what etcd is to the real server.

Every write gets the next revision and is told to the views of its resource. Owners and dependents are indexed by uid for the
garbage collector. Nothing here knows HTTP, defaults or permissions.
"""

from collections.abc import Sequence
from typing import Final

from aioctl.sim.converted_views import ConvertedView, Translate
from aioctl.sim.errors import plain_500
from aioctl.sim.records import Change, Key, Manager, Record, record_of
from aioctl.sim.resources import GroupVersion, Object, Resource
from aioctl.sim.views import View

MAX_OBJECT: Final = 1_572_864
"""Bytes of JSON; etcd's limit for one request is 1.5 MiB."""


class Collection:
    """All objects of one resource, with a view for each version."""

    def __init__(self, resource: Resource, history: int, translate: Translate) -> None:
        self.resource = resource
        self.definition: Object | None = None
        """The spec of its CRD, if it has one."""
        self.managers: dict[Key, dict[Manager, None]] = {}
        """Who wrote each object, in order of their first write."""
        self.main = View(resource.stored, history)
        self.views: dict[GroupVersion, View] = {resource.stored: self.main}
        for version in resource.versions:
            if version.at != resource.stored:
                self.views[version.at] = ConvertedView(
                    version.at, resource.kind, history, translate, self._stored
                )

    def _stored(self) -> tuple[Sequence[Record], int]:
        return self.main.snapshot(""), self.main.revision

    def use(self) -> None:
        """A request of any kind, in any version: from now on every version is kept at hand."""
        for view in self.views.values():
            view.use()

    def begin_anew(self) -> None:
        """Another spec of the CRD or another server: watches end, history is forgotten, versions are cold again."""
        for view in self.views.values():
            view.lose()
            view.forget_history()

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
            view.lose()
        return collection

    def put(self, collection: Collection, obj: Object, key: Key) -> Record:
        """Writes a complete object at the next revision and tells everybody. Raises StatusError for one too large."""
        record = record_of(obj, key, self.revision + 1)
        if len(record.raw) > MAX_OBJECT:
            raise plain_500("etcdserver: request is too large")
        self.revision += 1
        old = collection.records.get(key)
        if old is not None:
            self._unindex(collection, old)
        self.index(collection, record)
        self._publish(collection, Change("MODIFIED" if old else "ADDED", record, old.labels if old else None))
        return record

    def delete(self, collection: Collection, key: Key) -> Record:
        """Removes an object; the last state carries the revision of its deletion, as watchers of the real server see it."""
        self.revision += 1
        collection.managers.pop(key, None)
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

    def index(self, collection: Collection, record: Record) -> None:
        """Notes where the object is, and whom it names as owners."""
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
