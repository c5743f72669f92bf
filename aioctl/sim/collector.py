"""Garbage collection and the emptying of namespaces: what the controller manager does on a real cluster.

Dependents whose last owner is gone are deleted (background), deleted before their owner (foreground) or let go (orphan).
Works through a queue of hints, so that a burst of deletions is one pass each; off when the cluster stands for a bare API
server.
"""

from collections import deque
from typing import Any

import anyio

from aioctl.sim.core import Core
from aioctl.sim.deletion import FOREGROUND, ORPHAN
from aioctl.sim.errors import StatusError
from aioctl.sim.records import Key, Record
from aioctl.sim.store import Collection
from aioctl.sim.writes import Writer


class Collector:
    """Runs until cancelled; `note` feeds it."""

    def __init__(self, core: Core, writer: Writer, *, delay: float) -> None:
        """`delay`: seconds between a deletion and its consequences."""
        self._core = core
        self._writer = writer
        self._delay = delay
        self._queue: deque[tuple[Collection, Key, Record]] = deque()
        self._news = anyio.Event()

    def note(self, collection: Collection, record: Record, kind: str) -> None:
        """A write happened: remember it if it can have consequences."""
        is_marked = b'"deletionTimestamp"' in record.raw
        if kind == "DELETED" or is_marked or (kind == "ADDED" and record.owners):
            self._queue.append((collection, record.key, record))
            self._news.set()

    async def run(self) -> None:
        while True:
            while self._queue:
                if self._delay:
                    await anyio.sleep(self._delay)
                collection, key, record = self._queue.popleft()
                await self._work(collection, key, record)
            self._news = anyio.Event()
            await self._news.wait()

    async def _work(self, collection: Collection, key: Key, record: Record) -> None:
        current = collection.records.get(key)
        if current is None or current.uid != record.uid:
            await self._owner_gone(record)
            await self._namespace_emptier(key[0])
            return
        if self._core.store.orphaned(current):
            await self._delete(collection, key)
            return
        obj = current.decode()
        if not obj["metadata"].get("deletionTimestamp"):
            return
        if collection.resource.title == "namespaces":
            await self._empty(key[1])
            await self._namespace_emptier(key[1])
        elif ORPHAN in (obj["metadata"].get("finalizers") or ()):
            await self._let_go(current)
            await self._drop_finalizer(collection, key, ORPHAN)
        elif FOREGROUND in (obj["metadata"].get("finalizers") or ()):
            await self._foreground(collection, current)

    async def _owner_gone(self, record: Record) -> None:
        for collection, dependent in self._core.store.dependents(record.uid):
            if self._core.store.orphaned(dependent):
                await self._delete(collection, dependent.key)
        # Owners that wait in the foreground for this one.
        for uid in record.owners:
            found = self._core.store.find_uid(uid)
            if found is not None:
                owner = found[0].records[found[1]]
                if FOREGROUND.encode() in owner.raw:
                    await self._foreground(found[0], owner)

    async def _foreground(self, collection: Collection, owner: Record) -> None:
        dependents = self._core.store.dependents(owner.uid)
        for dependent_collection, dependent in dependents:
            if b'"deletionTimestamp"' not in dependent.raw:
                await self._delete(dependent_collection, dependent.key, policy="Foreground")
        blocking = [
            dependent
            for _, dependent in self._core.store.dependents(owner.uid)
            if _blocks(dependent.decode(), owner.uid)
        ]
        if not blocking:
            await self._drop_finalizer(collection, owner.key, FOREGROUND)

    async def _let_go(self, owner: Record) -> None:
        for collection, dependent in self._core.store.dependents(owner.uid):
            obj = dependent.decode()
            metadata = obj["metadata"]
            metadata["ownerReferences"] = [
                ref for ref in metadata["ownerReferences"] if ref.get("uid") != owner.uid
            ]
            self._writer.rewrite(collection, obj, dependent.key)

    async def _drop_finalizer(self, collection: Collection, key: Key, finalizer: str) -> None:
        record = collection.records.get(key)
        if record is None:
            return
        obj = record.decode()
        finalizers = obj["metadata"].get("finalizers") or []
        if finalizer in finalizers:
            obj["metadata"]["finalizers"] = [item for item in finalizers if item != finalizer]
            self._writer.rewrite(collection, obj, key)

    async def _delete(self, collection: Collection, key: Key, *, policy: str = "") -> None:
        version = collection.resource.version(collection.resource.stored)
        if version is None:
            return
        try:
            await self._writer.delete_object(collection, version, key, policy=policy)
        except StatusError as error:
            if error.code != 404:
                # A webhook refused or failed: the real collector tries again later.
                await anyio.sleep(1)
                record = collection.records.get(key)
                if record is not None:
                    self._queue.append((collection, key, record))

    async def _empty(self, namespace: str) -> None:
        for collection in list(self._core.store.collections.values()):
            if collection.resource.namespaced:
                for record in collection.main.snapshot(namespace):
                    await self._delete(collection, record.key)

    async def _namespace_emptier(self, namespace: str) -> None:
        namespaces = self._core.collection("namespaces")
        record = namespaces.records.get(("", namespace))
        if record is None or b'"deletionTimestamp"' not in record.raw:
            return
        for collection in self._core.store.collections.values():
            if collection.resource.namespaced and collection.main.snapshot(namespace):
                return
        obj = record.decode()
        obj["spec"]["finalizers"] = []
        self._writer.rewrite(namespaces, obj, record.key)


def _blocks(dependent: dict[str, Any], uid: str) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(ref.get("uid") == uid and ref.get("blockOwnerDeletion") for ref in references)
