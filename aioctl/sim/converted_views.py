"""The view of a version that is not the stored one: filled and fed through the conversion webhook.

As in kube-apiserver 1.34 (measured, `tests/contract/test_conversion_failures.py`), every version has a cache of its own that
starts with the first request for the resource in any version. It converts all objects in one review, then one change after
the other. Nobody but those who read from it suffers when that fails: while it was never filled, or was lost, lists and
watches get 429; while it is stuck at a change that cannot be converted, it shows what it had. It tries again by itself.
"""

import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

import anyio

from aioctl.sim.errors import StatusError, too_many_requests
from aioctl.sim.records import Change, Record
from aioctl.sim.resources import GroupVersion
from aioctl.sim.views import View

READY_WAIT: Final = 1.0
"""Seconds that a request waits for a cache that is being filled. The real server refuses at once with `Retry-After: 1`, and
well-behaved clients come again; this way tests need no second attempt."""
FRESH_WAIT: Final = 3.0
"""Seconds that a list waits for a cache that is behind; then it goes to the store."""
FILL_PAUSE: Final = 1.0
RETRY_PAUSE: Final = 0.1
STUCK_LIMIT: Final = 30.0
"""Seconds for which one cache tries a change that cannot be converted; then it gives up its watchers and fills anew."""
FORGIVEN_AFTER: Final = 60.0
"""Seconds without a failure after which the limit starts anew."""

Translate = Callable[[Sequence[Record], GroupVersion, str], Awaitable[Sequence[Record]]]
"""Records into a version for a cause (`cache`, `list`), all or none in one conversion. Raises StatusError."""
Source = Callable[[], tuple[Sequence[Record], int]]
"""All stored records, and the revision at which they are."""


class ConvertedView(View):
    """All objects of a resource in one version that is made by conversion."""

    def __init__(
        self, at: GroupVersion, kind: str, history: int, translate: Translate, source: Source
    ) -> None:
        super().__init__(at, history)
        self._kind = kind
        self._translate = translate
        self._source = source
        self._is_used = self._is_filled = self._collects = False
        self._error: StatusError | None = None
        """Why the last attempt to fill the view failed."""
        self._backlog: deque[tuple[int, Change | None]] = deque()
        self._work = anyio.Event()
        self._progress = anyio.Event()
        self._life = 0
        """Counts how often the view was lost: what was asked for in an earlier life is of no use."""
        self._first_failure = self._last_failure = -math.inf

    # -- reading

    @property
    def is_filled(self) -> bool:
        return self._is_filled

    def use(self) -> None:
        self._is_used = True
        self._work.set()

    async def ready(self) -> None:
        self.use()
        with anyio.move_on_after(READY_WAIT):
            while not self._is_filled and self._error is None:
                await self._next_progress()
        if self._is_filled:
            return
        text = "storage is (re)initializing"
        if self._error is not None:
            text += f": failed to list {self.at.api_version}, Kind={self._kind}: {self._error.message}"
        raise too_many_requests(1, text)

    async def is_fresh(self, revision: int) -> bool:
        with anyio.move_on_after(FRESH_WAIT):
            while self._is_filled and self.revision < revision:
                await self._next_progress()
        return self._is_filled and self.revision >= revision

    async def _next_progress(self) -> None:
        if self._progress.is_set():
            self._progress = anyio.Event()
        await self._progress.wait()

    # -- following the store

    def follow(self, change: Change) -> None:
        if self._collects:
            self._backlog.append((change.revision, change))
            self._work.set()

    def advance(self, revision: int) -> None:
        if self._backlog:
            self._backlog.append((revision, None))
        else:
            self._seen(revision)

    def _seen(self, revision: int) -> None:
        super()._seen(revision)
        self._progress.set()

    def lose(self) -> None:
        """The server went away: watchers must come again, and the view fills anew when the resource is used again."""
        self._empty()
        self._is_used = False

    def _empty(self) -> None:
        self._life += 1
        self._is_filled = self._collects = False
        self._error = None
        self._backlog.clear()
        self._first_failure = self._last_failure = -math.inf
        super().lose()
        self._progress.set()

    # -- the work

    async def run(self) -> None:
        """Fills the view, and translates the backlog, one change after the other as the real server's cache does."""
        while True:
            if self._is_used and not self._is_filled:
                await self._fill()
            elif self._backlog:
                await self._step()
            else:
                self._work = anyio.Event()
                await self._work.wait()

    async def _fill(self) -> None:
        life = self._life
        records, revision = self._source()
        self._backlog.clear()
        self._collects = True
        try:
            translated = await self._translate(records, self.at, "list") if records else ()
        except StatusError as error:
            if life == self._life:
                self._collects = False
                self._error = error
                self._progress.set()
                await anyio.sleep(FILL_PAUSE)
            return
        if life != self._life:
            return
        self.fill(translated, revision)

    def fill(self, records: Iterable[Record], revision: int) -> None:
        super().fill(records, revision)
        self._is_used = self._is_filled = self._collects = True
        self._error = None
        self._progress.set()

    async def _step(self) -> None:
        entry = self._backlog[0]
        revision, change = entry
        if change is None:
            self._seen(revision)
        else:
            try:
                translated = await self._translate([change.record], self.at, "cache")
            except StatusError:
                if self._backlog and self._backlog[0] is entry:
                    await self._failed()
                return
            if not self._backlog or self._backlog[0] is not entry:
                return  # the view was lost meanwhile
            self._take(Change(change.type, translated[0], change.old_labels))
        self._backlog.popleft()

    async def _failed(self) -> None:
        now = anyio.current_time()
        if now - self._last_failure >= FORGIVEN_AFTER:
            self._first_failure = now
        self._last_failure = now
        if now - self._first_failure > STUCK_LIMIT:
            self._empty()
        else:
            await anyio.sleep(RETRY_PAUSE)
