"""Which changes that a watch shows are our own writes, and whom they must not wake.

A reconcile plans with the answers to its writes laid over the caches, so a service need not be woken by what its own
reconcile wrote. Everybody else who read that object must be. A write's version is known only from its answer, and the watch is
often faster. So while a write is on its way, a change of that object does not wake the writer at once; the answer then
tells whether the change was the write itself. If it was not, or no answer came, the writer is woken. It loses no time by
that: its reconcile runs until the write is over, and a key is not run twice at once.

Knows no clock and waits for nothing.
"""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Final

from aioctl.api.kinds import ObjectKey, ObjectRef

MOST_HELD: Final = 32
"""Versions kept for one write on its way; more of them wake the writer at once. One is the rule."""
MOST_KNOWN: Final = 20_000
"""Versions of finished writes that no watch has shown yet, of all services; the oldest are dropped and would wake."""

Wake = Callable[[ObjectKey, int], None]
"""Takes a service and the priority it is woken with."""


class OwnWrite:
    """One write on its way."""

    def __init__(self, writer: ObjectKey) -> None:
        self.writer = writer
        self.version = ""
        self.held: dict[str, int | None] = {}
        """Versions the watches showed so far, each with the priority it would have woken the writer with, if at all."""
        self.missed = False
        """More was shown than is held: it may have been this write."""

    def made(self, version: str) -> None:
        """The answer: this write, and nothing else since the plan it stems from, made this version of the object."""
        self.version = version

    def hold(self, version: str, priority: int | None) -> bool:
        """Whether the version is kept until the write is over."""
        if version not in self.held and len(self.held) >= MOST_HELD:
            self.missed = True
            return False
        priorities = [known for known in (self.held.get(version), priority) if known is not None]
        self.held[version] = max(priorities, default=None)
        return True


class OwnWrites:
    """The writes on their way, and the versions that finished ones made and no watch has shown yet."""

    def __init__(self, wake: Wake, *, most_known: int = MOST_KNOWN) -> None:
        """`wake` is called when a write is over and something else changed its object meanwhile."""
        self._wake = wake
        self._most_known = most_known
        self._on_their_way: dict[ObjectRef, list[OwnWrite]] = {}
        self._known: dict[tuple[ObjectRef, str], ObjectKey] = {}

    @contextmanager
    def writing(self, ref: ObjectRef, writer: ObjectKey) -> Iterator[OwnWrite]:
        """Surrounds one request, of a reconcile of `writer`. Where `made` is not called, whatever was shown wakes."""
        write = OwnWrite(writer)
        self._on_their_way.setdefault(ref, []).append(write)
        try:
            yield write
        finally:
            self._end(ref, write)

    def to_wake(
        self, ref: ObjectRef, version: str, concerned: AbstractSet[ObjectKey], priority: int
    ) -> set[ObjectKey]:
        """Whom of those concerned a change that a watch shows wakes now; the rest wrote it, or may have and wait."""
        keys = set(concerned)
        writer = self._known.pop((ref, version), None)
        if writer is not None:
            keys.discard(writer)
        for write in self._on_their_way.get(ref, ()):
            if write.hold(version, priority if write.writer in keys else None):
                keys.discard(write.writer)
        return keys

    def __len__(self) -> int:
        """What is remembered: writes on their way and versions."""
        return len(self._known) + sum(len(writes) for writes in self._on_their_way.values())

    def _end(self, ref: ObjectRef, write: OwnWrite) -> None:
        writes = self._on_their_way[ref]
        writes.remove(write)
        if not writes:
            del self._on_their_way[ref]
        foreign = [
            priority
            for version, priority in write.held.items()
            if version != write.version and priority is not None
        ]
        if write.version and write.version not in write.held and not write.missed:
            self._know(ref, write.version, write.writer)
        if foreign:
            self._wake(write.writer, max(foreign))

    def _know(self, ref: ObjectRef, version: str, writer: ObjectKey) -> None:
        if len(self._known) >= self._most_known:
            del self._known[next(iter(self._known))]
        self._known[ref, version] = writer
