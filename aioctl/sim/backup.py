"""All that a cluster holds at a moment, and a new cluster that begins with it: what a snapshot of etcd is to the real server.

Bringing a cluster to where a story begins (CRDs, presets, a controller that has come to rest) costs many times what the
rest of the story does; so that is done once, and each story begins with the backup. Records are never changed in place, so
clusters share them. Watches, history, faults, counters and the clock are no part of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from aioctl.sim.core import Core
from aioctl.sim.records import Key, Manager, Record
from aioctl.sim.resources import GroupVersion, Object, Resource
from aioctl.sim.store import Collection


@dataclass(frozen=True)
class Kept:
    """One collection: its kind, the spec of its CRD, and the records of every version that is at hand."""

    resource: Resource
    definition: Object | None
    managers: Mapping[Key, tuple[Manager, ...]]
    records: Mapping[GroupVersion, tuple[Record, ...]]

    @classmethod
    def of(cls, collection: Collection) -> Self:
        return cls(
            collection.resource,
            collection.definition,
            {key: tuple(managers) for key, managers in collection.managers.items()},
            {at: tuple(view.records.values()) for at, view in collection.views.items() if view.is_filled},
        )

    def fill(self, collection: Collection, revision: int) -> None:
        collection.definition = self.definition
        collection.managers = {key: dict.fromkeys(managers) for key, managers in self.managers.items()}
        for at, view in collection.views.items():
            view.revision = revision
            if at in self.records:
                view.fill(self.records[at], revision)


@dataclass(frozen=True)
class Backup:
    """Collections by name, and what the next write goes on from."""

    revision: int
    collections: Mapping[str, Kept]
    addresses: int
    random: Any
    """The state of the generator of uids and names."""

    @classmethod
    def of(cls, core: Core) -> Self:
        """The cluster as it is now."""
        return cls(
            core.store.revision,
            {title: Kept.of(collection) for title, collection in core.store.collections.items()},
            core.addresses,
            core.random.getstate(),
        )

    def resources(self) -> Iterator[Resource]:
        """The kinds that are served."""
        return (kept.resource for kept in self.collections.values())

    def restore(self, core: Core) -> None:
        """Fills a cluster that serves these kinds and holds nothing."""
        core.store.revision = self.revision
        core.addresses = self.addresses
        core.random.setstate(self.random)
        for title, kept in self.collections.items():
            kept.fill(core.store.collections[title], self.revision)
            for record in core.store.collections[title].records.values():
                core.store.index(core.store.collections[title], record)
