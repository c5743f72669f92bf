"""One version of a resource and those who watch it: what the watch cache is to the real server.

The view of the stored version, which is here, is always there and costs nothing; those of other versions are in
`converted_views.py`. History is bounded; a watch from before it gets 410.
"""

import bisect
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import anyio

from aioctl.sim.errors import too_old
from aioctl.sim.records import Change, Key, Record
from aioctl.sim.resources import GroupVersion


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
        self.repeats = False
        """Every line is said twice."""
        self._is_abandoned = False

    def offer(self, change: Change) -> None:
        """Takes a change of the view; called by the view only."""
        if self.is_closed:
            return
        kind = self._wants(change)
        if kind:
            self.push(change.metadata_line(kind) if self._partial else change.line(kind))

    def push(self, line: bytes) -> None:
        due = anyio.current_time() + self.delay if self.delay else 0.0
        if self._lines:
            due = max(due, self._lines[-1][0])  # a stream keeps its order when its lag shrinks
        self._lines += [(due, line)] * (2 if self.repeats else 1)
        if len(self._lines) > self.LIMIT:
            self.close()
        self._news.set()

    def close(self) -> None:
        """Ends the stream after what is buffered."""
        self.is_closed = True
        self._news.set()

    def stall(self, *, on: bool) -> None:
        self.is_stalled = on or self._is_abandoned
        self._news.set()

    def abandon(self) -> None:
        """Stalls it for good."""
        self._is_abandoned = True
        self.stall(on=True)

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


class View:
    """All objects of a resource in one version, the recent history, and who watches."""

    def __init__(self, at: GroupVersion, history: int) -> None:
        self.at = at
        self.records: dict[Key, Record] = {}
        self._sorted: list[Key] | None = None
        self._history: deque[Change] = deque(maxlen=history)
        self._compacted = 0
        # In the order in which they came: a set would tell them in another one in each process.
        self._watchers: dict[Watcher, None] = {}
        self.revision = 0
        """What the view has seen."""

    # -- reading

    @property
    def is_filled(self) -> bool:
        """False: nothing can be read here yet."""
        return True

    def use(self) -> None:
        """Somebody asked for the resource, in whatever version."""

    async def ready(self) -> None:
        """Until the view can be read. Raises StatusError 429 when that takes too long."""

    async def is_fresh(self, revision: int) -> bool:
        """Waits for a revision that was written; False when the view does not get there."""
        return self.revision >= revision

    def fill(self, records: Iterable[Record], revision: int) -> None:
        """All there is at a revision, and no history from before it."""
        self.records = {record.key: record for record in records}
        self._sorted = None
        self.revision = revision
        self.forget_history()

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

    # -- watching

    def watch(self, watcher: Watcher, since: int | None) -> None:
        """Attaches a watcher that sees every change after `since`. Raises StatusError 410 when that is forgotten."""
        if since is not None:
            if since < self._compacted:
                raise too_old(since, self._compacted)
            start = bisect.bisect_right(self._history, since, key=lambda change: change.revision)
            for index in range(start, len(self._history)):
                watcher.offer(self._history[index])
        self._watchers[watcher] = None

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.pop(watcher, None)

    def watchers(self) -> Iterator[Watcher]:
        yield from tuple(self._watchers)

    def forget_history(self) -> None:
        """What etcd's compaction does: older watches can no longer start."""
        self._history.clear()
        self._compacted = self.revision

    # -- following the store

    def follow(self, change: Change) -> None:
        """A write of the stored objects."""
        self._take(change)

    def advance(self, revision: int) -> None:
        """Somebody else's write: the revision moves, nothing of ours changed."""
        self._seen(revision)

    async def run(self) -> None:
        """The work behind the view, if it has any; endless."""

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
        change.forget_lines()
        self._seen(change.revision)

    def _seen(self, revision: int) -> None:
        self.revision = revision

    def lose(self) -> None:
        """The server went away: watchers must come again."""
        for watcher in tuple(self._watchers):
            watcher.close()
