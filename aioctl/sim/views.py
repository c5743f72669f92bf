"""One version of a resource and those who watch it: what the watch cache is to the real server.

The view of the stored version is always there and costs nothing; another one fills when it is first used and then follows
every write through a translator, which may wait for a webhook: one change after the other. History is bounded; a watch from
before it gets 410.
"""

import bisect
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence

import anyio

from aioctl.sim.errors import StatusError, too_old
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
        change.forget_lines()
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
