"""Which of our own writes the caches have not shown yet.

A plan made from a cache that lags behind our last write would repeat or undo it. So every write is noted here with the
version the server answered, and a reconcile asks first whether something is still pending; if so it comes back a moment
later. A deadline ends the wait, because a lost watch must not stop a service for ever: then the plan is made from what
there is, and resourceVersions guard the writes.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from aioctl.api.kinds import Kind, ObjectKey, ObjectRef
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.kube.cached import Cached

DEADLINE: Final = 10.0
"""Seconds; a watch that works delivers within milliseconds."""

Lookup = Callable[[Kind, ObjectKey], Cached | None]


@dataclass(frozen=True, slots=True)
class _Expected:
    uid: str
    resource_version: str
    """Empty: the object shall disappear."""
    wholly: bool
    """Nothing holds it any more: its deletionTimestamp alone is not enough."""
    was_there: bool
    """The cache held this very object when we wrote: should it be missing later, somebody deleted it since."""
    until: float
    owner: Hashable | None


class Expectations:
    """Notes writes, and compares them with what `lookup` finds in the caches."""

    def __init__(self, lookup: Lookup, *, deadline: float = DEADLINE, clock: Clock = SYSTEM_CLOCK) -> None:
        """`lookup(kind, key)` reads a cache. Writes of kinds that no cache holds should not be noted."""
        self._lookup = lookup
        self._deadline = deadline
        self._clock = clock
        self._expected: dict[ObjectRef, _Expected] = {}
        self._owned: dict[Hashable, set[ObjectRef]] = {}

    def wrote(
        self, kind: Kind, key: ObjectKey, uid: str, resource_version: str, *, owner: Hashable | None = None
    ) -> None:
        """Created, updated or patched: the answer's uid and version. `owner` is whose reconcile wrote (a queue key)."""
        self._expect(kind, key, uid, resource_version, owner, wholly=False)

    def deleted(self, kind: Kind, key: ObjectKey, uid: str, *, owner: Hashable | None = None) -> None:
        """Asked for the deletion of this very object; finalizers may keep it, then its deletionTimestamp is enough."""
        self._expect(kind, key, uid, "", owner, wholly=False)

    def released(self, kind: Kind, key: ObjectKey, uid: str, *, owner: Hashable | None = None) -> None:
        """Took the last finalizer off this very object in deletion, so it is gone."""
        self._expect(kind, key, uid, "", owner, wholly=True)

    def pending(self, refs: Iterable[ObjectRef]) -> bool:
        """True while the caches have not shown our last write to one of the objects, and its deadline is not over."""
        return any(self._unseen(ref) for ref in refs)

    def pending_for(self, owner: Hashable) -> bool:
        """The same for all writes noted with this owner."""
        return self.pending(tuple(self._owned.get(owner, ())))

    def __len__(self) -> int:
        return len(self._expected)

    def _expect(
        self,
        kind: Kind,
        key: ObjectKey,
        uid: str,
        resource_version: str,
        owner: Hashable | None,
        *,
        wholly: bool,
    ) -> None:
        ref = ObjectRef(kind, key.namespace, key.name)
        seen = self._lookup(kind, key)
        was_there = seen is not None and seen.uid == uid
        self._forget(ref)
        self._forget_overdue()
        until = self._clock.monotonic() + self._deadline
        self._expected[ref] = _Expected(uid, resource_version, wholly, was_there, until, owner)
        if owner is not None:
            self._owned.setdefault(owner, set()).add(ref)

    def _unseen(self, ref: ObjectRef) -> bool:
        expected = self._expected.get(ref)
        if expected is None:
            return False
        seen = self._lookup(ref.kind, ref.key)
        shown = _gone(expected, seen) if not expected.resource_version else _shown(expected, seen)
        if not shown and self._clock.monotonic() < expected.until:
            return True
        self._forget(ref)
        return False

    def _forget_overdue(self) -> None:
        """Nobody may ever ask again, e.g. for the children of a deleted service. The oldest stand first."""
        now = self._clock.monotonic()
        while self._expected:
            ref, expected = next(iter(self._expected.items()))
            if expected.until > now:
                return
            self._forget(ref)

    def _forget(self, ref: ObjectRef) -> None:
        expected = self._expected.pop(ref, None)
        if expected is None or expected.owner is None:
            return
        refs = self._owned[expected.owner]
        refs.discard(ref)
        if not refs:
            del self._owned[expected.owner]


def _gone(expected: _Expected, seen: Cached | None) -> bool:
    return seen is None or seen.uid != expected.uid or (seen.deleting and not expected.wholly)


def _shown(expected: _Expected, seen: Cached | None) -> bool:
    if seen is None:
        return expected.was_there
    if seen.resource_version == expected.resource_version:
        return True
    if seen.uid != expected.uid and expected.was_there:
        return True
    return _newer(seen.resource_version, expected.resource_version)


def _newer(seen: str, written: str) -> bool:
    """Versions are opaque by contract but numbers in every API server; where they are not, only equality counts."""
    return seen.isdecimal() and written.isdecimal() and int(seen) > int(written)
