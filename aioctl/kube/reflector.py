"""Keeps a store equal to what the API server holds of one kind: LIST in pages, then WATCH, for ever.

Deletions that no watch showed are seen by difference after the next list. The list is repeated only when it must be: at the
start, and after 410 (the server forgot the version we know). A watch that ends, breaks, tells something unreadable or is
silent for too long is opened again from the last version seen; bookmarks keep that version young. While the list is out
of date the store says it is not in sync.

A kind that the API server says it does not serve is no error: after a second look the store is empty and in sync, `absent`
is true, and a new look comes every `recheck` seconds or when poked. A 404 in other words, as of a load balancer that has
lost its servers, is a failure like any other. It decides nothing and writes nothing.

An object that cannot be read stays as it was last read: it is there, whatever it has become. Only its deletion needs no more
than its name.
"""

from typing import Final
from zlib import crc32

import anyio
import anyio.lowlevel
import msgspec
import structlog
from anyio.abc import TaskStatus

from aioctl.api.kinds import SECRET, Kind, ObjectKey
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.engine.limits import Backoff
from aioctl.engine.store import Store
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.cached import Cached, key_of_raw
from aioctl.kube.client import Client, Page, WatchEvent
from aioctl.kube.errors import Gone, KubeError, Silence, is_kind_missing
from aioctl.kube.packing import Packing

SERVER_TIMEOUT: Final = 300.0
"""Seconds after which the server ends a watch, jittered by a fifth either way so that watches do not end together."""
SILENCE: Final = 90.0
"""Seconds without a byte after which a watch counts as dead: bookmarks come about every 60 s."""
RECHECK: Final = 30.0
"""Seconds between looks for a kind that is not served: half of the 60 s within which it must be noticed."""
CONFIRM: Final = 1.0
"""Seconds until the second look that makes "not served" a fact: an API server that starts up says so for a moment."""
PAGE: Final = 250
"""Objects in one answer: of 10 kB each they split in 2 ms, which is one stretch of the loop."""
SLICE: Final = 16
"""Objects read in one stretch: at 15 to 30 us each (10 kB) below the 0.5 ms of ARCH-8."""
STABLE: Final = 10.0
"""Seconds a watch must have lived to count as healthy; shorter ones add to the backoff."""

log = structlog.get_logger(__name__)


class ReflectorObserver:
    """Hook for metrics."""

    def listed(self, kind: Kind, objects: int, seconds: float) -> None:
        """A whole list came in."""

    def watch_ended(self, kind: Kind, why: str) -> None:
        """`end`, `silence`, `gone`, `error`: why a watch is over."""

    def presence_changed(self, kind: Kind, absent: bool) -> None:  # noqa: FBT001  one fact, no switch
        """The kind was found to be served or not."""


class Reflector:
    """Feeds one store; `run` is its whole life."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        store: Store[ObjectKey, Cached],
        *,
        labels: str = "",
        fields: str = "",
        namespace: str = "",
        metadata_only: bool = False,
        page: int = PAGE,
        turnstile: Turnstile | None = None,
        observer: ReflectorObserver | None = None,
        clock: Clock = SYSTEM_CLOCK,
        recheck: float = RECHECK,
        silence: float = SILENCE,
        server_timeout: float = SERVER_TIMEOUT,
    ) -> None:
        """`labels` and `fields` are selectors as in a URL; an empty `namespace` means all. Times are in seconds."""
        self.kind = kind
        self.store = store
        self.absent = False
        """The API server says that it does not serve the kind, and said so twice."""
        self._client = client
        self._labels = labels
        self._fields = fields
        self._namespace = namespace
        self._metadata_only = metadata_only
        self._page = page
        self._turnstile = turnstile or Turnstile()
        self._observer: ReflectorObserver = observer or ReflectorObserver()
        self._clock = clock
        self._recheck = recheck
        self._silence = silence
        # Spread by name, not by chance: two kinds differ, and two processes differ by when they started.
        self._server_timeout = server_timeout * (0.8 + 0.4 * (crc32(kind.resource.encode()) % 1000) / 1000)
        self._backoff: Backoff[Kind] = Backoff(base=0.2, cap=30.0)
        self._poked = anyio.Event()
        self._heard_at: float | None = None
        self._whole_list = False
        self._failure = ""
        """Why the last list failed; empty where it did not."""
        self._version = ""
        # Secrets stay as they are: as a dictionary the text of one would outlive it, and what is random cannot be packed.
        self._packing = Packing() if kind != SECRET else None

    @property
    def last_event_age(self) -> float | None:
        """Seconds since the server last told us anything (list, event, bookmark, or that it does not serve the kind);
        None before it ever did. Failures are no news: some, such as a CA that changed, only a restart can cure.
        """
        return None if self._heard_at is None else self._clock.monotonic() - self._heard_at

    def poke(self) -> None:
        """Ends the present pause: the kind may be served now, or the server be back."""
        self._poked.set()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Reports started at once; `store.wait_synced()` waits for the first list."""
        task_status.started()
        missing = 0
        while True:
            try:
                await self._list()
                missing = 0
                self._set_absent(absent=False)
                await self._watch_until_stale()
            except KubeError as error:
                if is_kind_missing(error):
                    self._heard()
                    self.store.mark_unsynced()
                    missing += 1
                    await self._not_served(missing)
                    continue
                if isinstance(error, Gone):
                    self._whole_list = True
                say = log.debug if str(error) == self._failure else log.warning
                say("list failed", kind=self.kind.resource, error=str(error))
                self._failure = str(error)
                await self._pause(self._backoff.next(self.kind))

    async def _list(self) -> None:
        started = self._clock.monotonic()
        seen: dict[ObjectKey, Cached] = {}
        version = ""
        # After a 410 between two pages all comes in one answer: that cannot be outrun.
        limit = 0 if self._whole_list else self._page
        pages = self._client.list_pages(
            self.kind,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            limit=limit,
            metadata_only=self._metadata_only,
        )
        async for page in pages:
            version = page.resource_version
            await self._take_page(page, seen)
        async with self._turnstile.turn():
            self.store.replace(seen)
        self._version = version
        self._whole_list = False
        if self._failure:
            self._failure = ""
            log.info("list works again", kind=self.kind.resource, objects=len(seen))
        self._heard()
        self._observer.listed(self.kind, len(seen), self._clock.monotonic() - started)

    async def _take_page(self, page: Page, seen: dict[ObjectKey, Cached]) -> None:
        """Puts what is new or different at once, so that what `replace` is left to do is short."""
        for start in range(0, len(page.items), SLICE):
            async with self._turnstile.turn():
                for raw in page.items[start : start + SLICE]:
                    found = self._read(raw)
                    if not isinstance(found, Cached):
                        if found is not None and (kept := self.store.get(found)) is not None:
                            seen[found] = kept
                        continue
                    known = self.store.get(found.key)
                    if known is None or known != found:
                        self.store.put(found.key, found)
                        known = found
                    seen[found.key] = known

    async def _watch_until_stale(self) -> None:
        """Watches again and again; returns when only a new list helps. Raises NotFound when the kind is gone.

        Between a list and a 410 there is one pause: a watch that comes back after its own and finds its version forgotten is
        followed by a list at once.
        """
        paused = False
        while True:
            opened = self._clock.monotonic()
            why = "end"
            try:
                await self._watch()
            except Gone:
                why = "gone"
                self.store.mark_unsynced()
            except KubeError as error:
                if is_kind_missing(error):
                    raise
                why = "silence" if isinstance(error, Silence) else "error"
                log.info("watch broke", kind=self.kind.resource, error=str(error))
            self._observer.watch_ended(self.kind, why)
            if self._clock.monotonic() - opened >= STABLE:
                self._backoff.forget(self.kind)
            elif not (why == "gone" and paused):
                await self._pause(self._backoff.next(self.kind))
                paused = True
            if why == "gone":
                return

    async def _watch(self) -> None:
        watching = self._client.watch(
            self.kind,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            resource_version=self._version,
            server_timeout=self._server_timeout,
            idle_timeout=self._silence,
            metadata_only=self._metadata_only,
        )
        async with watching as events:
            self._heard()
            async for event in events:
                async with self._turnstile.turn():
                    self._take(event)

    def _take(self, event: WatchEvent) -> None:
        self._heard()
        found = self._read(event.object)
        if not isinstance(found, Cached):
            if found is not None and event.type == "DELETED":
                self.store.remove(found)
            return
        self._version = found.resource_version or self._version
        if event.type == "BOOKMARK":
            return  # an object with nothing but a version
        if event.type == "DELETED":
            self.store.remove(found.key)
        elif self.store.get(found.key) != found:
            self.store.put(found.key, found)

    def _read(self, raw: bytes) -> Cached | ObjectKey | None:
        """One object, or its key where no more can be read; that is said in the log and does not stop the others."""
        try:
            return Cached.from_raw(raw, self.kind, self._packing)
        except (msgspec.MsgspecError, RecursionError):  # the latter: nested deeper than some thousand levels
            key = key_of_raw(raw)
            # Not its text: it may be a Secret. The error says where it is wrong.
            log.exception(
                "unreadable object",
                kind=self.kind.resource,
                object=str(key or ""),
                known=key in self.store,
                bytes=len(raw),
            )
            return key

    async def _not_served(self, times: int) -> None:
        if times < 2:
            await self._pause(CONFIRM)
            return
        self._set_absent(absent=True)
        self.store.replace({})
        await self._pause(self._recheck)

    def _set_absent(self, *, absent: bool) -> None:
        if absent != self.absent:
            self.absent = absent
            self._observer.presence_changed(self.kind, absent)

    def _heard(self) -> None:
        self._heard_at = self._clock.monotonic()

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._poked.wait()
        self._poked = anyio.Event()
