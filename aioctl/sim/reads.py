"""Get, list and watch.

Lists and watches come out of the view (watch cache) of the request's version, lists out of the store when that stays behind;
a get asks the store, unless `resourceVersion=0` allows the cache. What each costs in conversions is WEB-1's table. Pages of one list show one
moment: the records of the first page's revision are kept for the rest until they are too old.
"""

import base64
import math
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import anyio
import msgspec

from aioctl.sim.core import Core
from aioctl.sim.errors import StatusError, bad_request, expired, not_found, too_new
from aioctl.sim.faults import Call, Faults, StaleReads
from aioctl.sim.records import Change, Record, as_list_item, partial_metadata, watch_line
from aioctl.sim.requests import (
    JSON_HEADERS,
    SimReply,
    SimRequest,
    Target,
    wants_metadata_only,
    wants_table,
)
from aioctl.sim.resources import Resource, Version
from aioctl.sim.selectors import FieldMatch, LabelMatch, parse_labels
from aioctl.sim.store import Collection
from aioctl.sim.tables import table
from aioctl.sim.views import View, Watcher

KEPT_LISTS: Final = 100
"""Paged lists that may be under way; the oldest is forgotten first (410 for its next page)."""
_TOKEN: Final = re.compile(f"{base64.urlsafe_b64encode(b'page/').decode()[:6]}.*")
BOOKMARK_SECONDS: Final = 60.0
DEFAULT_WATCH_SECONDS: Final = 1800.0
_EXPIRED_CONTINUE: Final = (
    "The provided continue parameter is too old to display a consistent list result. "
    "You must start a new list without the continue parameter."
)


@dataclass(frozen=True, slots=True)
class _Selection:
    """What of a collection a request wants."""

    namespace: str
    labels: LabelMatch | None
    fields: FieldMatch

    @classmethod
    def parse(cls, request: SimRequest, target: Target, resource: Resource) -> "_Selection":
        return cls(
            target.namespace,
            parse_labels(request.argument("labelSelector")),
            FieldMatch(request.argument("fieldSelector"), resource.selectable),
        )

    @property
    def selects(self) -> bool:
        """True with a selector."""
        return self.labels is not None or self.fields.is_set

    def has(self, record: Record) -> bool:
        return (
            self.fits_key(record)
            and (self.labels is None or self.labels(record.labels))
            and (not self.fields.needs_object or self.fields.matches_object(record.decode()))
        )

    def fits_key(self, record: Record) -> bool:
        return (not self.namespace or record.key[0] == self.namespace) and self.fields.matches_key(
            *record.key
        )

    def event_for(self, change: Change) -> str:
        """The event a watcher with this selection sees: an object that stops matching is DELETED for it."""
        record = change.record
        if not self.fits_key(record):
            return ""
        if self.fields.needs_object and not self.fields.matches_object(record.decode()):
            return ""
        if self.labels is None:
            return change.type
        was = change.old_labels is not None and self.labels(change.old_labels)
        if change.type == "DELETED":
            return "DELETED" if was else ""
        now = self.labels(record.labels)
        if now:
            return "MODIFIED" if was else "ADDED"
        return "DELETED" if was else ""


class Reader:
    """The reading verbs on one cluster."""

    def __init__(
        self,
        core: Core,
        faults: Faults,
        *,
        opened: Callable[[Watcher, Call], None],
        closed: Callable[[Watcher], None],
        lists_from_cache: bool,
    ) -> None:
        """`lists_from_cache`: lists without resourceVersion come out of the watch cache once it has caught up, as
        kube-apiserver 1.34 does; False makes them quorum reads."""
        self._core = core
        self._faults = faults
        self._opened = opened
        self._closed = closed
        self._lists_from_cache = lists_from_cache
        self._pages: OrderedDict[str, tuple[Sequence[Record], int]] = OrderedDict()
        self._page_count = 0

    # -- get

    async def get(
        self, collection: Collection, version: Version, target: Target, request: SimRequest, call: Call
    ) -> SimReply:
        resource = collection.resource
        key = (target.namespace, target.name)
        stale = self._stale(collection, call)
        if target.subresource not in {"", "status"} or (target.subresource and not resource.status):
            raise not_found(resource.title, resource.group, target.name)
        if stale is not None:
            record = stale.records.get(key)
        elif request.argument("resourceVersion") == "0":
            view = collection.views[version.at]
            record = (view if view.is_filled else collection.main).records.get(key)
        else:
            record = collection.records.get(key)
        if record is None:
            raise not_found(resource.title, resource.group, target.name)
        record = await self._core.as_record(collection, record, version.at)
        if wants_metadata_only(request):
            return SimReply(200, JSON_HEADERS, partial_metadata(record.raw))
        if wants_table(request):
            return SimReply(
                200, JSON_HEADERS, table([record], version, str(record.revision), self._core.clock.now())
            )
        return SimReply(200, JSON_HEADERS, record.raw)

    def _stale(self, collection: Collection, call: Call) -> StaleReads | None:
        stale = self._faults.stale.get(collection.resource.title)
        return stale if stale is not None and stale.match.fits(call) else None

    # -- list

    async def list(
        self, collection: Collection, version: Version, target: Target, request: SimRequest, call: Call
    ) -> SimReply:
        selection = _Selection.parse(request, target, collection.resource)
        token = request.argument("continue")
        if token:
            records, revision = self._continue(token)
        else:
            records, revision = await self._start_list(collection, version, selection, request, call)
            records = [record for record in records if selection.has(record)]
        limit = _whole(request, "limit")
        rest = records[limit:] if limit else ()
        page = records[:limit] if limit else records
        if any(record.at != version.at for record in page):
            page = await self._core.translator(collection.resource.title)(page, version.at, "list")
        metadata: dict[str, object] = {"resourceVersion": str(revision)}
        if rest:
            metadata["continue"] = self._keep(rest, revision)
            if not request.argument("labelSelector") and not request.argument("fieldSelector"):
                metadata["remainingItemCount"] = len(rest)
        return SimReply(200, JSON_HEADERS, self._list_body(collection, version, request, page, metadata))

    def _list_body(
        self,
        collection: Collection,
        version: Version,
        request: SimRequest,
        page: Sequence[Record],
        metadata: dict[str, object],
    ) -> bytes:
        resource = collection.resource
        if wants_table(request):
            return table(page, version, str(metadata["resourceVersion"]), self._core.clock.now(), metadata)
        head = msgspec.json.encode(metadata)
        if wants_metadata_only(request):
            items = b",".join(partial_metadata(record.raw) for record in page)
            kind, at = "PartialObjectMetadataList", "meta.k8s.io/v1"
        else:
            items = b",".join(
                as_list_item(record, resource.kind, bare=not resource.custom) for record in page
            )
            kind, at = f"{resource.kind}List", version.at.api_version
        return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[%b]}' % (
            kind.encode(),
            at.encode(),
            head,
            items,
        )

    async def _start_list(
        self, collection: Collection, version: Version, selection: _Selection, request: SimRequest, call: Call
    ) -> tuple[Sequence[Record], int]:
        stale = self._stale(collection, call)
        if stale is not None:
            return [stale.records[key] for key in sorted(stale.records)], stale.revision
        wanted = request.argument("resourceVersion")
        is_exact = request.argument("resourceVersionMatch") == "Exact"
        now = self._core.store.revision
        if is_exact and wanted and int(wanted) != now:
            raise expired(f"too old resource version: {wanted} ({now})")
        view = collection.views[version.at]
        is_page = bool(_whole(request, "limit")) and not selection.selects
        if is_exact or not (wanted or self._lists_from_cache) or (is_page and not view.is_filled):
            return await self._from_store(collection, version, selection, request)
        least = now if not wanted else _revision(wanted)
        if least > now:
            raise too_new(least, now)
        await view.ready()
        if await view.is_fresh(least):
            return view.snapshot(selection.namespace), view.revision
        if wanted:
            raise too_new(least, view.revision)
        return await self._from_store(collection, version, selection, request)

    async def _from_store(
        self, collection: Collection, version: Version, selection: _Selection, request: SimRequest
    ) -> tuple[Sequence[Record], int]:
        """What is stored in the key range of the request; converted here, unless that is left to each page."""
        revision = self._core.store.revision
        records: Sequence[Record] = [
            record for record in collection.main.snapshot(selection.namespace) if selection.fits_key(record)
        ]
        if records and version.at != collection.resource.stored and not _whole(request, "limit"):
            records = await self._core.translator(collection.resource.title)(records, version.at, "list")
        return records, revision

    def _keep(self, rest: Sequence[Record], revision: int) -> str:
        self._page_count += 1
        token = base64.urlsafe_b64encode(f"page/{revision}/{self._page_count}".encode()).decode()
        self._pages[token] = rest, revision
        while len(self._pages) > KEPT_LISTS:
            self._pages.popitem(last=False)
        return token

    def _continue(self, token: str) -> tuple[Sequence[Record], int]:
        found = self._pages.get(token)
        if found is None and not _TOKEN.fullmatch(token):
            raise bad_request("invalid continue token: continue key is not valid")
        if found is None:
            raise expired(_EXPIRED_CONTINUE)
        return found

    def expire_pages(self) -> None:
        """Forgets all lists under way, as compaction does."""
        self._pages.clear()

    # -- watch

    async def watch(
        self, collection: Collection, version: Version, target: Target, request: SimRequest, call: Call
    ) -> SimReply:
        selection = _Selection.parse(request, target, collection.resource)
        if target.name:
            selection.fields.name = target.name
        view = collection.views[version.at]
        await view.ready()
        watcher = Watcher(selection.event_for, partial=wants_metadata_only(request))
        watcher.delay, watcher.repeats = self._faults.lag_of(call), self._faults.is_repeated(call)
        since = _revision(request.argument("resourceVersion"))
        starts_with_all = request.flag("sendInitialEvents") or (
            since == 0 and request.argument("sendInitialEvents") != "false"
        )
        headers = {**JSON_HEADERS, "transfer-encoding": "chunked"}
        if starts_with_all:
            await self._caught_up(view, since or self._core.store.revision, request)
            self._offer_all(view, watcher, selection)
            if request.flag("sendInitialEvents"):
                ends: dict[str, object] = {"annotations": {"k8s.io/initial-events-end": "true"}}
                watcher.push(_bookmark(collection.resource, version, view.revision, ends))
            view.watch(watcher, None)
        else:
            try:
                view.watch(watcher, since)
            except StatusError as error:
                # The real server's cache has said 200 by then: the refusal is an event.
                watcher.push(watch_line("ERROR", error.body()))
                watcher.close()
        self._opened(watcher, call)
        return SimReply(200, headers, self._stream(collection, version, request, view, watcher))

    @staticmethod
    async def _caught_up(view: View, revision: int, request: SimRequest) -> None:
        """Before the objects that a watch begins with: where a bookmark says that these are all, they must be."""
        while not await view.is_fresh(revision):
            await view.ready()
            if not request.flag("sendInitialEvents"):
                return

    @staticmethod
    def _offer_all(view: View, watcher: Watcher, selection: _Selection) -> None:
        for record in view.snapshot(selection.namespace):
            if selection.has(record):
                watcher.offer(Change("ADDED", record, None))

    def _stream(
        self, collection: Collection, version: Version, request: SimRequest, view: View, watcher: Watcher
    ) -> "WatchStream":
        def close() -> None:
            view.unwatch(watcher)
            self._closed(watcher)

        def bookmark() -> bytes:
            return _bookmark(collection.resource, version, view.revision, {})

        seconds = _whole(request, "timeoutSeconds") or DEFAULT_WATCH_SECONDS
        wants_bookmarks = request.flag("allowWatchBookmarks")
        return WatchStream(watcher, bookmark if wants_bookmarks else None, seconds, close)


class WatchStream(AsyncIterator[bytes]):
    """The body of a watch: whole lines, several at once when they are there. Close it when the client is gone."""

    def __init__(
        self,
        watcher: Watcher,
        bookmark: Callable[[], bytes] | None,
        seconds: float,
        close: Callable[[], None],
    ) -> None:
        self._watcher = watcher
        self._bookmark = bookmark
        self._end = anyio.current_time() + seconds
        self._next_bookmark = anyio.current_time() + BOOKMARK_SECONDS if bookmark else math.inf
        self._close = close
        self._is_open = True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while self._is_open:
            lines = None
            with anyio.CancelScope(deadline=min(self._end, self._next_bookmark)):
                lines = await self._watcher.take()
            if lines:
                return lines
            if lines is not None:
                break
            if lines := self._at_deadline():
                return lines
        await self.aclose()
        raise StopAsyncIteration

    def _at_deadline(self) -> bytes:
        now = anyio.current_time()
        lines = b""
        if self._bookmark is not None and self._watcher.is_drained:
            lines = self._bookmark()
        self._next_bookmark = now + BOOKMARK_SECONDS if self._bookmark else math.inf
        if now >= self._end:
            self._watcher.close()
            self._end = math.inf
        return lines

    async def aclose(self) -> None:
        if self._is_open:
            self._is_open = False
            self._watcher.close()
            self._close()


def _bookmark(resource: Resource, version: Version, revision: int, metadata: dict[str, object]) -> bytes:
    obj = {
        "kind": resource.kind,
        "apiVersion": version.at.api_version,
        "metadata": {"resourceVersion": str(revision), "creationTimestamp": None, **metadata},
    }
    return watch_line("BOOKMARK", msgspec.json.encode(obj))


def _whole(request: SimRequest, name: str) -> int:
    value = request.argument(name)
    if not value:
        return 0
    if not value.isdigit():
        raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax')
    return int(value)


def _revision(value: str) -> int:
    if value and not value.isdigit():
        why = f'strconv.ParseUint: parsing "{value}": invalid syntax'
        raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{value}": {why}')
    return int(value or 0)
