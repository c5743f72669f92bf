"""An indexed store of the latest known items, and the deltas between what was known before and after.

A feeder (a reflector) writes with `put`, `remove` and `replace`; everybody else reads, or subscribes and is told
`Delta(key, old, new)`. A relist comes in through `replace`, which works by difference: what is missing from the new list
is seen as a removal, what did not change is not seen at all. Items are taken as immutable and never copied.

Everything is synchronous: between two awaits of a reader the store does not change. Writes that a handler makes are
delivered after the delta it is being told of, so every handler sees all deltas in one order. A handler or indexer that
raises is logged with the key and passed over: one odd item must not stop the feed of all the others.
"""

import operator
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import anyio
import structlog

__all__ = ["Delta", "Store"]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

log = structlog.get_logger(__name__)

_MANY: Final = 32
"""Keys of one value, from which on it is cheaper to remember their order than to sort them at each question."""


@dataclass(frozen=True, slots=True)
class Delta(Generic[K, T]):
    """One change. `old is None`: added; `new is None`: removed; `initial`: part of the first list, not a live change."""

    key: K
    old: T | None
    new: T | None
    initial: bool


@dataclass(frozen=True, slots=True)
class _Entry(Generic[T]):
    item: T
    values: tuple[tuple[str, Hashable], ...]
    """(index, value) pairs under which the item is found, remembered so that removal needs no indexer."""


class Store(Generic[K, T]):
    """Items by key. `indexers` names the indexes; each returns the values under which an item is found.

    `same` decides in `replace` whether an item changed (default: equality); give it something cheaper where items
    carry a version. Sorted results need keys that can be compared with each other.
    """

    def __init__(
        self,
        indexers: Mapping[str, Callable[[T], Iterable[Hashable]]] | None = None,
        *,
        same: Callable[[T, T], bool] = operator.eq,
    ) -> None:
        self._indexers = dict(indexers or {})
        self._same = same
        self._entries: dict[K, _Entry[T]] = {}
        self._indexes: dict[str, dict[Hashable, set[K]]] = {name: {} for name in self._indexers}
        self._sorted: dict[tuple[str, Hashable], list[K]] = {}
        """Of values that many items carry, until the next one comes or goes."""
        self._handlers: list[Callable[[Delta[K, T]], None]] = []
        self._undelivered: deque[Delta[K, T]] = deque()
        self._delivering = False
        self._initial = True
        self._synced = False
        self._synced_event = anyio.Event()

    # Reading

    def get(self, key: K) -> T | None:
        """The item, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry.item

    def keys(self) -> list[K]:
        """All keys, in the order in which they came; a snapshot."""
        return list(self._entries)

    def values(self) -> list[T]:
        """All items, in the order in which they came; a snapshot."""
        return [entry.item for entry in self._entries.values()]

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def by_index(self, index: str, value: Hashable) -> list[T]:
        """The items that carry `value` in the index, sorted by key. Raises KeyError for an index that does not exist."""
        return [self._entries[key].item for key in self.keys_by_index(index, value)]

    def keys_by_index(self, index: str, value: Hashable) -> Sequence[K]:
        """Keys of the items that carry `value` in the index, sorted; not to be changed. Raises KeyError."""
        keys = self._indexes[index].get(value)
        if not keys:
            return ()
        if len(keys) < _MANY:
            return sorted(cast("set[Any]", keys))
        known = self._sorted.get((index, value))
        if known is None:
            known = self._sorted[index, value] = sorted(cast("set[Any]", keys))
        return known

    def carries(self, index: str, value: Hashable, key: K) -> bool:
        """Whether the item carries `value` in the index. Raises KeyError for an index that does not exist."""
        return key in self._indexes[index].get(value, ())

    @property
    def synced(self) -> bool:
        """Whether the store holds a whole list. While it does not, a missing item is unknown, not absent."""
        return self._synced

    async def wait_synced(self) -> None:
        """Returns once the store holds a whole list."""
        while not self._synced:
            await self._synced_event.wait()

    # Writing

    def put(self, key: K, item: T) -> None:
        """Adds or replaces one item; always a delta."""
        self._set(key, item)
        self._deliver()

    def remove(self, key: K) -> None:
        """Removes the item; no delta if there is none."""
        self._unset(key)
        self._deliver()

    def replace(self, items: Mapping[K, T]) -> None:
        """Takes over a whole list by difference, and marks the store synced.

        The store already holds the new list, and says so, when the handlers hear of the first difference.
        """
        for key in [key for key in self._entries if key not in items]:
            self._unset(key)
        for key, item in items.items():
            known = self._entries.get(key)
            if known is None or not (known.item is item or self._same(known.item, item)):
                self._set(key, item)
        self._initial = False
        self._synced = True
        self._synced_event.set()
        self._deliver()

    def mark_unsynced(self) -> None:
        """Says that the held list is out of date until the next `replace`. The items stay."""
        if self._synced:
            self._synced = False
            self._synced_event = anyio.Event()

    # Telling

    def subscribe(self, handler: Callable[[Delta[K, T]], None]) -> None:
        """Calls the handler for every delta from now on, and at once, as initial deltas, for the items already held."""
        self._handlers.append(handler)
        for key, entry in list(self._entries.items()):
            self._tell(handler, Delta(key, None, entry.item, initial=True))

    def _deliver(self) -> None:
        if self._delivering:
            return  # a handler wrote: the loop below, further up the stack, delivers it in its turn
        self._delivering = True
        try:
            while self._undelivered:
                delta = self._undelivered.popleft()
                for handler in list(self._handlers):
                    self._tell(handler, delta)
        finally:
            self._delivering = False

    def _tell(self, handler: Callable[[Delta[K, T]], None], delta: Delta[K, T]) -> None:
        try:
            handler(delta)
        except Exception:
            log.exception("handler failed on a delta", key=str(delta.key))

    # Bookkeeping

    def _set(self, key: K, item: T) -> None:
        values = self._index_values(key, item)
        old = self._entries.get(key)
        self._entries[key] = _Entry(item, values)
        if old is None or old.values != values:
            if old is not None:
                self._unindex(key, old)
            for index, value in values:
                self._indexes[index].setdefault(value, set()).add(key)
                self._sorted.pop((index, value), None)
        self._undelivered.append(Delta(key, None if old is None else old.item, item, self._initial))

    def _unset(self, key: K) -> None:
        old = self._entries.pop(key, None)
        if old is None:
            return
        self._unindex(key, old)
        self._undelivered.append(Delta(key, old.item, None, self._initial))

    def _unindex(self, key: K, entry: _Entry[T]) -> None:
        for index, value in entry.values:
            keys = self._indexes[index].get(value)
            if keys is None:
                continue  # the indexer named the value twice
            keys.discard(key)
            self._sorted.pop((index, value), None)
            if not keys:
                del self._indexes[index][value]

    def _index_values(self, key: K, item: T) -> tuple[tuple[str, Hashable], ...]:
        values: list[tuple[str, Hashable]] = []
        for index, indexer in self._indexers.items():
            try:
                # list(...) first: an indexer that fails halfway leaves no half of its values
                values.extend((index, value) for value in list(indexer(item)))
            except Exception:
                log.exception("indexer failed on an item", key=str(key), index=index)
        return tuple(values)
