"""Calls to an API server in terms of kinds: get, create, update, patch, delete, lists in pages, watches.

Objects are raw JSON mappings; nothing is validated or cached here. Only what is certain to have changed nothing is
repeated, a few times within seconds: 429, 503 with Retry-After, a refused connection; reads also after other server and
transport errors. What the server asks to wait is waited here only up to the client's patience. A write that may have
arrived is never repeated: the caller plans again from what it sees. Everything else is raised as the `kube.errors` tree
and left to the queue.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import anyio
import msgspec
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)

from aioctl.api.encoding import decode_deep
from aioctl.api.kinds import Kind
from aioctl.engine.tracing import Kind as SpanKind
from aioctl.engine.tracing import span
from aioctl.kube.errors import (
    ApiError,
    KubeError,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
    from_response,
    from_status,
)
from aioctl.kube.wire import Request, Response, Stream, Wire

FIELD_MANAGER: Final = "aioctl"
CALL_TIMEOUT: Final = 35.0
"""Seconds for one answer: a write may wait 30 s for a conversion or admission webhook on the server's side."""
LIST_TIMEOUT: Final = 60.0
"""Seconds for one page: the API server's own limit for requests that are not watches."""
MAX_ATTEMPTS: Final = 4
REPEAT_WITHIN: Final = 20.0
"""Seconds after the first try in which another may begin: calls that run into their deadline are not repeated."""
PATIENCE: Final = 10.0
"""Seconds the server may ask to wait within a call; a longer wait is the caller's business."""

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
METADATA_ONLY: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_JSON: Final = "application/json"

log = structlog.get_logger(__name__)
_backoff = wait_random_exponential(multiplier=0.1, max=2.0)


class Limiter(Protocol):
    """The client-side rate limit; `engine.limits.TokenBucket` is one."""

    async def acquire(self) -> None: ...


class ClientObserver:
    """Hook for `rest_client_requests_total` and `rest_client_request_duration_seconds`."""

    def request_done(self, method: str, code: str, seconds: float) -> None:
        """One exchange ended; `code` is the status, or `<error>` when no answer came (client-go's word)."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: each object as raw JSON. `resource_version` is that of the whole list."""

    items: list[bytes]
    resource_version: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """ADDED, MODIFIED, DELETED or BOOKMARK, with the object as raw JSON."""

    type: str
    object: bytes


class _ListMeta(msgspec.Struct):
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


class _Line(msgspec.Struct):
    type: str
    object: msgspec.Raw


_list_decoder = msgspec.json.Decoder(_List)
_line_decoder = msgspec.json.Decoder(_Line)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
T = TypeVar("T")


class Client:
    """A client for one API server. Answers of reads and writes are plain dicts, made for the caller alone."""

    def __init__(
        self,
        wire: Wire,
        *,
        limiter: Limiter | None = None,
        observer: ClientObserver | None = None,
        field_manager: str = FIELD_MANAGER,
        call_timeout: float = CALL_TIMEOUT,
        list_timeout: float = LIST_TIMEOUT,
        patience: float = PATIENCE,
        tells_failures: bool = True,
    ) -> None:
        """`limiter` bounds the requests per second (None: no bound); watches pass it once, when they are opened.
        `field_manager`: the name that writes stand under in `metadata.managedFields`.

        `call_timeout`: seconds for the answer to one request that is no page of a list, and for a watch to open;
        `list_timeout`: for a page.
        `patience`: seconds the server may ask to wait before a repetition; if it asks for more, that is raised
        (`errors.asked_to_wait`).
        `tells_failures`: a write that fails is a line of the log; False where who calls tells of each cause once.
        """
        self._wire = wire
        self._call_timeout = call_timeout
        self._list_timeout = list_timeout
        self._patience = patience
        self._limiter = limiter
        self._field_manager = field_manager
        self._observer: ClientObserver = observer or ClientObserver()
        self._tells_failures = tells_failures

    def with_patience(self, seconds: float) -> "Client":
        """The same client, wire and all, with another patience: none for those who must not wait in a call."""
        other = copy(self)
        other._patience = seconds
        return other

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        """The object. Raises NotFound and the rest of the tree."""
        return await self._call(Request("GET", _path(kind, namespace, name), headers={"Accept": _JSON}))

    async def get_raw(
        self, path: str, *, query: tuple[tuple[str, str], ...] = (), accept: str = _JSON
    ) -> bytes:
        """The body of any path, e.g. `/apis/<group>/<version>`. Raises the tree."""
        response = await self._send(Request("GET", path, query, {"Accept": accept}), self._call_timeout)
        return response.body

    async def create(
        self, kind: Kind, namespace: str, body: Mapping[str, Any], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """POSTs the object to its collection; returns it as stored. Raises AlreadyExists."""
        return await self._write("POST", kind.path(namespace), body, dry_run=dry_run)

    async def update(
        self, kind: Kind, body: Mapping[str, Any], *, subresource: str = "", dry_run: bool = False
    ) -> dict[str, Any]:
        """PUTs the whole object, addressed by its own metadata; its resourceVersion guards it. Raises Conflict."""
        metadata = body["metadata"]
        path = _path(kind, metadata.get("namespace", ""), metadata["name"], subresource)
        return await self._write("PUT", path, body, dry_run=dry_run)

    async def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Mapping[str, Any] | list[Any],
        *,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """PATCHes; a resourceVersion in a merge patch guards it. Raises NotFound, Conflict."""
        path = _path(kind, namespace, name, subresource)
        return await self._write("PATCH", path, body, content_type=content_type, dry_run=dry_run)

    async def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "Background",
    ) -> None:
        """Deletes, if given only that very object (uid) at that version. Raises NotFound, Conflict."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if propagation:
            options["propagationPolicy"] = propagation
        guards = {"uid": uid, "resourceVersion": resource_version}
        if preconditions := {field: value for field, value in guards.items() if value}:
            options["preconditions"] = preconditions
        headers = {"Accept": _JSON, "Content-Type": _JSON}
        path = _path(kind, namespace, name)
        await self._send(
            Request("DELETE", path, (), headers, msgspec.json.encode(options)), self._call_timeout
        )

    async def list_pages(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        limit: int = 500,
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[Page]:
        """The list in pages of `limit` objects (0: all at once), consistent at one resource version.

        An empty `resource_version` asks for the newest. Raises Gone when the server forgot that version between pages.
        """
        selectors = _selectors(labels, fields)
        more = ""
        while True:
            query = [*selectors]
            if limit:
                query.append(("limit", str(limit)))
            if more:
                query.append(("continue", more))
            elif resource_version:
                query.append(("resourceVersion", resource_version))
            headers = {"Accept": METADATA_LIST_ONLY if metadata_only else _JSON}
            request = Request("GET", kind.path(namespace), tuple(query), headers)
            response = await self._send(request, self._list_timeout)
            found = _decode(request, _list_decoder, response.body)
            more = found.metadata.continue_
            items = [bytes(item) for item in found.items or ()]
            yield Page(items, found.metadata.resource_version, more=bool(more))
            if not more:
                return

    @asynccontextmanager
    async def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        server_timeout: float = 300.0,
        idle_timeout: float = 90.0,
        metadata_only: bool = False,
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """Changes after `resource_version`, bookmarks included; the server ends the stream after `server_timeout` seconds.

        Not retried. Opening and reading raise Gone when that version is no longer kept, the rest of the tree, and
        TransportError when the stream breaks or is silent for `idle_timeout` seconds.
        """
        query = (
            *_selectors(labels, fields),
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", str(max(1, round(server_timeout)))),
        )
        if resource_version:
            query = (*query, ("resourceVersion", resource_version))
        headers = {"Accept": METADATA_ONLY if metadata_only else _JSON}
        request = Request("GET", kind.path(namespace), query, headers)
        if self._limiter is not None:
            await self._limiter.acquire()
        started = anyio.current_time()
        code = "<error>"
        try:
            opening = self._wire.stream(
                request, connect_timeout=self._call_timeout, idle_timeout=idle_timeout
            )
            async with opening as stream:
                code = str(stream.status)
                self._observer.request_done("GET", code, anyio.current_time() - started)
                if stream.status >= 400:
                    raise from_response(Response(stream.status, stream.headers, await stream.body()))
                yield _events(request, stream)
        except TransportError:
            if code == "<error>":
                self._observer.request_done("GET", code, anyio.current_time() - started)
            raise

    async def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | list[Any],
        *,
        content_type: str = _JSON,
        dry_run: bool,
    ) -> dict[str, Any]:
        query = [("fieldManager", self._field_manager)]
        if dry_run:
            query.append(("dryRun", "All"))
        headers = {"Accept": _JSON, "Content-Type": content_type}
        return await self._call(Request(method, path, tuple(query), headers, msgspec.json.encode(body)))

    async def _call(self, request: Request) -> dict[str, Any]:
        response = await self._send(request, self._call_timeout)
        return _decode(request, _object_decoder, response.body)

    async def _send(self, request: Request, limit: float) -> Response:
        """One call with its retries; returns only successes."""
        # tenacity costs a tenth of a call that succeeds, so it comes in when the first attempt has failed.
        until = anyio.current_time() + min(REPEAT_WITHIN, limit)
        try:
            return await self._once(request, limit)
        except KubeError as error:
            failures = [error]

        def repeats(error: BaseException) -> bool:
            if isinstance(error, ApiError) and (error.retry_after or 0.0) > self._patience:
                return False
            return may_repeat(error, reading=request.method == "GET") and anyio.current_time() < until

        async def attempt() -> Response:
            if failures:
                raise failures.pop()
            return await self._once(request, limit)

        attempts = AsyncRetrying(
            sleep=anyio.sleep,
            stop=stop_after_attempt(MAX_ATTEMPTS),
            wait=_wait,
            retry=retry_if_exception(repeats),
            reraise=True,
        )
        return await attempts(attempt)

    async def _once(self, request: Request, limit: float) -> Response:
        if self._limiter is not None:
            await self._limiter.acquire()
        started = anyio.current_time()
        code = "<error>"
        try:
            attributes = {"http.request.method": request.method, "url.path": request.path}
            with span(request.method, SpanKind.CLIENT, attributes) as told:
                response = await self._wire.send(request, timeout=limit)
                told.set("http.response.status_code", response.status)
            code = str(response.status)
        finally:
            self._observer.request_done(request.method, code, anyio.current_time() - started)
        if warning := response.headers.get("warning"):
            log.info("the API server warns", method=request.method, path=request.path, warning=warning)
        if response.status >= 300:
            error = from_response(response)
            # A write that fails is worth a line; a read of what is not there is daily business.
            say = log.info if self._tells_failures and request.method != "GET" else log.debug
            say("API call failed", method=request.method, path=request.path, status=code, error=str(error))
            raise error
        return response


def may_repeat(error: BaseException, *, reading: bool) -> bool:
    """True when sending the same request again is harmless and may help soon."""
    match error:
        case TooManyRequests():
            return True
        case ServerUnavailable(status=503, retry_after=float()):
            return True
        case ServerUnavailable():
            return reading
        case TransportError():
            return reading or not error.maybe_sent
        case _:
            return False


def _path(kind: Kind, namespace: str, name: str, subresource: str = "") -> str:
    """Of one object. An empty name would be that of the collection, where a DELETE deletes all of it."""
    if not name:
        raise ValueError(f"an object of {kind.resource} has no name")
    return kind.path(namespace, name, subresource)


def _wait(state: RetryCallState) -> float:
    """Jittered doubling from 0.1 s, and at least what the server asked for."""
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.retry_after if isinstance(error, ApiError) else None
    return (asked or 0.0) + _backoff(state)


async def _events(request: Request, stream: Stream) -> AsyncIterator[WatchEvent]:
    async for line in stream.lines():
        event = _decode(request, _line_decoder, line)
        if event.type == "ERROR":
            status = _decode(request, _object_decoder, bytes(event.object))
            raise from_status(status)
        yield WatchEvent(event.type, bytes(event.object))


def _decode(request: Request, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decode_deep(decoder.decode, body)
    except (msgspec.MsgspecError, RecursionError) as error:
        text = f"{request.method} {request.path}: the answer cannot be read: {error}"
        raise TransportError(text, maybe_sent=True) from error


def _selectors(labels: str, fields: str) -> list[tuple[str, str]]:
    given = (("labelSelector", labels), ("fieldSelector", fields))
    return [(name, value) for name, value in given if value]
