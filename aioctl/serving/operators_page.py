"""The operators' page over HTTP: the document, what it shows as JSON, and changes as server-sent events. Reads only.

`GET /ui/` is the page, `/ui/fleet` all it shows, `/ui/service/NAMESPACE/NAME` one service, `/ui/events` what changes. Whoever
reaches the port may ask, so everything is bounded: answers at once, in all and from one address, and the time in which a
client has to take a part of one. What is shown is the business of the board and of `detail`.

Rules: UI-1.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import anyio
from aiohttp import web
from anyio.abc import TaskStatus

from aioctl.serving.board import Board
from aioctl.serving.document import PRIVATE, document
from aioctl.serving.http_server import HttpServer
from aioctl.serving.limits import Limits
from aioctl.serving.places import Full, Places

Detail = Callable[[str, str], Awaitable[bytes | None]]
"""Of a namespace and a name, the service as JSON; None when there is none."""

ROOT: Final = "/ui/"
STREAMS: Final = 24
STREAMS_PER_PEER: Final = 8
"""Pages that are open at once. All that come through a port-forward have one address."""
ANSWERS: Final = 16
ANSWERS_PER_PEER: Final = 8
PATIENCE: Final = 10.0
"""Seconds in which a client has to take a part of its answer."""
INTERVAL: Final = 0.5
"""Seconds between two rounds of changes for one client."""
HEARTBEAT: Final = 15.0
"""Seconds after which a client hears something, so that it and what lies between notice a dead connection."""
KEPT: Final = 1.0
"""Seconds for which one service is not looked at again, whoever asks."""
_MOST_KEPT: Final = 64
_JSON: Final = {"Content-Type": "application/json; charset=utf-8", **PRIVATE}
_EVENTS: Final = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no", **PRIVATE}
_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8", **PRIVATE}


class OperatorsPage:
    """Answers requests below `/ui/`. `hosts`: names that the request may be for, so that no other site's name leads here;
    empty: any."""

    def __init__(
        self,
        board: Board,
        detail: Detail,
        *,
        hosts: frozenset[str] = frozenset(),
        patience: float = PATIENCE,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self._document = document()
        self._board = board
        self._detail = detail
        self._hosts = hosts
        self._patience = patience
        self._heartbeat = heartbeat
        self.streams = Places(STREAMS, STREAMS_PER_PEER)
        self._answers = Places(ANSWERS, ANSWERS_PER_PEER)
        self._kept: dict[tuple[str, str], tuple[float, bytes | None]] = {}

    def serves(self, path: str) -> bool:
        """Whether the path is one of this page's."""
        return path == ROOT.rstrip("/") or path.startswith(ROOT)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._hosts and _host(request) not in self._hosts:
            return _refusal(HTTPStatus.MISDIRECTED_REQUEST, "this page is served under its own name only")
        if request.method not in ("GET", "HEAD"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "the page reads and never writes; use GET")
        if request.path == ROOT.rstrip("/"):
            return web.Response(status=HTTPStatus.FOUND, headers={"Location": ROOT, **PRIVATE})
        try:
            match request.path.removeprefix(ROOT).split("/"):
                case [""]:
                    return await self._send(request, iter([self._document.body]), self._document.headers)
                case ["fleet"]:
                    return await self._send(request, self._board.document(), _JSON)
                case ["service", namespace, name]:
                    return await self._service(request, namespace, name)
                case ["events"] if request.method == "GET":
                    return await self._follow(request)
        except Full as full:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(full), {"Retry-After": "5"})
        return _refusal(HTTPStatus.NOT_FOUND, f"no page at {request.path}; there is {ROOT}")

    async def _service(self, request: web.BaseRequest, namespace: str, name: str) -> web.StreamResponse:
        key = (namespace, name)
        known = self._kept.get(key)
        now = anyio.current_time()
        if known is None or now - known[0] > KEPT:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            known = self._kept[key] = (now, await self._detail(namespace, name))
        if known[1] is None:
            return _refusal(HTTPStatus.NOT_FOUND, f"no service {name} in namespace {namespace}")
        return await self._send(request, iter([known[1]]), _JSON)

    async def _send(
        self, request: web.BaseRequest, parts: Iterator[bytes], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """An answer part by part, so that a client that does not read holds one part of it."""

        async def send(response: web.StreamResponse) -> None:
            if request.method == "GET":
                for part in parts:
                    await self._write(response, part)
            await response.write_eof()

        return await self._within(self._answers, request, headers, send)

    async def _follow(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._within(self.streams, request, _EVENTS, self._changes)

    async def _within(
        self,
        places: Places,
        request: web.BaseRequest,
        headers: Mapping[str, str],
        send: Callable[[web.StreamResponse], Awaitable[None]],
    ) -> web.StreamResponse:
        """One answer in one of the places. Its connection is cut when it has to give way, or does not read. Raises Full."""
        response = web.StreamResponse(headers=headers)
        sent = False
        with anyio.CancelScope() as scope, places.taken(request.remote or "", scope.cancel):
            await response.prepare(request)
            with suppress(TimeoutError):
                await send(response)
                sent = True
        if not sent and request.transport is not None:
            request.transport.abort()  # what the client has not read it will not read
        return response

    async def _changes(self, response: web.StreamResponse) -> None:
        """Goes on for as long as the client reads."""
        seen: int | None = None
        with self._board.watching():
            while True:
                news, seen = self._board.events(seen), self._board.revision
                for part in news:
                    await self._write(response, part)
                await anyio.sleep(INTERVAL)
                with anyio.move_on_after(self._heartbeat) as waited:
                    await self._board.changed(seen)
                if waited.cancelled_caught:
                    await self._write(response, b": still here\n\n")

    async def _write(self, response: web.StreamResponse, part: bytes) -> None:
        """Raises TimeoutError for a client that does not read."""
        with anyio.fail_after(self._patience):
            await response.write(part)


class PageServer:
    """Serves the page and nothing else, over plain HTTP."""

    def __init__(self, host: str, port: int, page: OperatorsPage) -> None:
        self._page = page
        self._server = HttpServer(host, port, self._answer, limits=Limits(drain=0.5))

    @property
    def port(self) -> int:
        """The port in use, once it is bound."""
        return self._server.port

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled. Raises ListenError."""
        await self._server.run(task_status=task_status)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._page.serves(request.path):
            return await self._page.answer(request)
        return web.Response(status=HTTPStatus.FOUND, headers={"Location": ROOT, **PRIVATE})


def _host(request: web.BaseRequest) -> str:
    """The name of the Host header without its port."""
    host = request.host
    return host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]


def _refusal(status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**_TEXT, **(headers or {})})
