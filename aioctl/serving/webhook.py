"""The HTTPS server of the webhooks: which path, how large, in which order, and how the answer leaves.

A call passes four gates: its path, its announced size, the pace at which its body has to come, and the line (bytes in
flight are bounded). The handler then turns bytes into an `Answer` whose pieces are written while they are made, each batch in a turn of
the turnstile, so that an answer of 100 MB neither stops the loop nor exists twice; a large one has a deadline too. What
the bytes mean is not known here.
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol

import anyio
from aiohttp import web
from anyio.abc import TaskStatus
from structlog.contextvars import bound_contextvars

from aioctl.engine.tracing import Kind, span
from aioctl.serving.body import BodyReading
from aioctl.serving.connection import ConnectionObserver
from aioctl.serving.http_server import HttpServer, TlsSource
from aioctl.serving.limits import KIB, Limits
from aioctl.serving.line import ClientLate, Line, Listener, Refused, Share

_BATCH: Final = 128 * KIB
"""Bytes written in one turn: about 0.1 ms of encryption."""
_RETRY_AFTER: Final = "1"
_CLOSE: Final = {"Connection": "close"}
"""Whoever did not send its body in time gets no second place for it."""
_TEXT: Final = "text/plain; charset=utf-8"

Piece = bytes | bytearray | memoryview


async def _nothing(_size: int) -> None:
    pass


@dataclass(slots=True)
class Call:
    """One request, its body read. The handler takes the body, so that nobody else keeps it alive."""

    path: str
    content_type: str
    started: float
    """Loop time at which the header was complete: waiting in line counts as latency."""
    body: bytes | bytearray
    charge: Callable[[int], Awaitable[None]] = _nothing
    """Waits until the bytes that the body is about to become fit into memory too. Raises line.Refused."""

    def take(self) -> bytes | bytearray:
        """The body; it is not kept here."""
        body, self.body = self.body, b""
        return body


@dataclass(slots=True)
class Answer:
    """What to send. `pieces` is consumed once; `length` is the sum of their sizes, if it is known."""

    status: int
    content_type: str
    pieces: Iterable[Piece]
    length: int | None = None
    sent: Callable[[], None] | None = None
    """Called when the last piece is written, or the client is gone."""

    @classmethod
    def of(cls, status: int, body: bytes, content_type: str = "application/json") -> "Answer":
        return cls(status, content_type, (body,), len(body))

    @classmethod
    def text(cls, status: int, text: str) -> "Answer":
        return cls.of(status, f"{text}\n".encode(), _TEXT)


class Turns(Protocol):
    """Lets one CPU-bound stretch run per loop iteration; `engine.turnstile.Turnstile` is one."""

    def turn(self, *, urgent: bool = False) -> AbstractAsyncContextManager[None]: ...


class Handler(Protocol):
    """Answers the calls of one path."""

    @property
    def body_limit(self) -> int:
        """The largest body, in bytes, that is read at all."""
        ...

    @property
    def line(self) -> str:
        """Handlers with the same word share a line and its memory; the others' calls cannot hold theirs up."""
        ...

    def too_large(self, size: int) -> Answer:
        """For a body of `size` bytes, which is beyond the limit and will not be read."""
        ...

    async def answer(self, call: Call) -> Answer: ...


class WebhookObserver(ConnectionObserver):
    """Hooks for the metrics of calls; paths are those of the handlers, never a client's words."""

    def call_started(self, path: str) -> None: ...

    def call_ended(self, path: str, status: int, seconds: float, body_bytes: int) -> None:
        """`status` 499: the client went away first, or did not read the answer."""

    def line_changed(self, waiting: int, bytes_in_flight: int) -> None: ...

    def body_late(self) -> None:
        """A body did not come, or too slowly."""


class WebhookServer:
    """Serves `handlers` by path over TLS; every replica runs one, leader or not."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: TlsSource | None,
        handlers: Mapping[str, Handler],
        *,
        limits: Limits,
        turnstile: Turns,
        observer: WebhookObserver | None = None,
        known_clients: Container[str] = (),
    ) -> None:
        """`known_clients`: the paths that only a client with a certificate may call; `tls` says whose are good."""
        self._handlers = dict(handlers)
        self._known_clients = known_clients
        self._limits = limits
        self._turnstile = turnstile
        self._observer: WebhookObserver = observer or WebhookObserver()
        self._lines = {handler.line: Line(limits, self._report) for handler in handlers.values()}
        self._server = HttpServer(host, port, self._handle, limits=limits, tls=tls, observer=self._observer)

    @property
    def port(self) -> int:
        """The port in use, once it is bound."""
        return self._server.port

    @property
    def serving(self) -> bool:
        return self._server.serving

    @property
    def connections(self) -> int:
        return self._server.connections

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled, then lets calls in flight end. See `HttpServer.run`."""
        await self._server.run(task_status=task_status)

    def _report(self) -> None:
        lines = self._lines.values()
        self._observer.line_changed(
            sum(line.waiting for line in lines), sum(line.bytes_in_flight for line in lines)
        )

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._handlers.get(request.path)  # without the query: the API server adds ?timeout=30s
        if handler is None:
            return await self._send(
                request, Answer.text(HTTPStatus.NOT_FOUND, f"no webhook at {request.path}")
            )
        if request.method != "POST":
            refusal = Answer.text(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} takes POST only")
            return await self._send(request, refusal, {"Allow": "POST"})
        if request.path in self._known_clients and not _has_certificate(request):
            text = f"{request.path} takes calls only from clients with a certificate"
            return await self._send(request, Answer.text(HTTPStatus.UNAUTHORIZED, text), _CLOSE)
        started = anyio.current_time()
        status, size = 499, request.content_length or 0
        self._observer.call_started(request.path)
        try:
            with (
                bound_contextvars(path=request.path, uid="", object=""),
                # The API server's own trace, where it has one (its --tracing-config-file).
                span(
                    f"POST {request.path}", Kind.SERVER, {"http.route": request.path}, request.headers
                ) as told,
            ):
                response = await self._admitted(request, handler, started)
                told.set("http.response.status_code", response.status)
            status = response.status
            return response
        finally:
            self._observer.call_ended(request.path, status, anyio.current_time() - started, size)

    async def _admitted(
        self, request: web.BaseRequest, handler: Handler, started: float
    ) -> web.StreamResponse:
        announced = request.content_length
        # Without an announcement nothing can be reserved: such a body counts, and ends, as a small one.
        limit = (
            handler.body_limit if announced is not None else min(handler.body_limit, self._limits.small_body)
        )
        size = limit if announced is None else announced
        if size > limit:
            return await self._send(request, handler.too_large(size))
        try:
            async with self._lines[handler.line].share(size) as share:
                return await self._read_and_answer(request, handler, share, started, size)
        except Refused as error:
            refusal = Answer.text(HTTPStatus.TOO_MANY_REQUESTS, str(error))
            return await self._send(request, refusal, {"Retry-After": _RETRY_AFTER})

    async def _read_and_answer(
        self, request: web.BaseRequest, handler: Handler, share: Share, started: float, size: int
    ) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        reading = BodyReading(request, share, self._limits, size)
        try:
            body = await reading.whole()
        except ClientLate as late:
            self._observer.body_late()
            return await self._send(
                request, Answer.text(HTTPStatus.REQUEST_TIMEOUT, reading.explain(late)), _CLOSE
            )
        del reading
        if body is None:
            return await self._send(request, handler.too_large(size + 1))
        call = Call(request.path, request.headers.get("Content-Type", ""), started, body, share.take)
        del body
        return await self._send(request, await handler.answer(call), share=share)

    async def _send(
        self,
        request: web.BaseRequest,
        answer: Answer,
        headers: Mapping[str, str] | None = None,
        share: Share | None = None,
    ) -> web.StreamResponse:
        """Writes the answer: a small one whole, a large one batch by batch while it holds its share."""
        if answer.length is not None and answer.length <= _BATCH:
            whole = web.Response(status=answer.status, headers=headers, body=_batch(iter(answer.pieces)))
            whole.headers["Content-Type"] = answer.content_type
            if self._server.draining:
                whole.force_close()
            if answer.sent is not None:
                answer.sent()
            return whole
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.headers["Content-Type"] = answer.content_type
        if self._server.draining:
            response.force_close()
        if answer.length is None:
            response.enable_chunked_encoding()
        else:
            response.content_length = answer.length
        try:
            await self._write(request, response, iter(answer.pieces), share)
        except ClientLate:
            self._observer.answer_timed_out()
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("the answer was not read in time") from None
        finally:
            if answer.sent is not None:
                answer.sent()
        return response

    async def _write(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        pieces: Iterable[Piece],
        share: Share | None,
    ) -> None:
        """Raises ClientLate when the client does not read."""
        end = anyio.current_time() + self._limits.answer
        reader = share or Listener()
        with reader.listening(end):
            await response.prepare(request)
        while True:
            async with self._turnstile.turn(urgent=True):
                batch = _batch(pieces)
            with reader.listening(end):
                if not batch:
                    await response.write_eof()
                    return
                await response.write(batch)


def _has_certificate(request: web.BaseRequest) -> bool:
    """The client showed one; the handshake would have failed if it were not good."""
    return request.transport is not None and bool(request.transport.get_extra_info("peercert"))


def _batch(pieces: Iterable[Piece]) -> bytes:
    """The next pieces, joined to about the size of one write; empty at the end."""
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= _BATCH:
            break
    return b"".join(batch)
