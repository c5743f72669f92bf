"""An HTTP server on the running loop with the deadlines and bounds that aiohttp's own server lacks.

aiohttp parses and answers; this module decides who gets in and for how long. It accepts connections in small batches (a
burst of 700 must not be one stretch of the loop), gives a handshake slot only to clients that have begun to talk, cuts
off half a header after its deadline, bounds connections, and on stop serves what has already come in before it closes.
What is answered is the handler's business.
"""

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import anyio
import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from anyio.abc import TaskGroup, TaskStatus

from aioctl.serving.limits import Limits

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_ACCEPT_BATCH: Final = 16
_NO_DESCRIPTORS_PAUSE: Final = 0.1
"""Seconds. Out of file descriptors: only others can free some."""
_COMPLAINT_PAUSE: Final = 60.0
"""Seconds between two lines in the log about that."""
_LINGER: Final = 5.0
"""Seconds for which the rest of a refused body is read and dropped, so that the client can read the answer."""
_TLS_CLOSE: Final = 2.0
"""Seconds for the client's part of closing TLS."""
_LOST_CHECK: Final = 0.01
_FAREWELL: Final = 1.0
"""Seconds (at most half of the drain) in which a stopping server still answers what comes over open connections, and closes
each with its answer. Go's client does not repeat a POST that it sent just when an idle connection was closed."""

log = structlog.get_logger(__name__)
_no_access_log = logging.getLogger("aioctl.no-access-log")
_no_access_log.setLevel(
    logging.CRITICAL
)  # metrics count the calls; a line for each would be the loudest log there is


class TlsSource(Protocol):
    """The context for new connections, and when there is one. `LiveCertificate` is one."""

    @property
    def context(self) -> ssl.SSLContext | None: ...

    async def wait_loaded(self) -> None: ...


class ConnectionObserver(Protocol):
    """Hooks for the metrics of connections."""

    def handshake_failed(self) -> None: ...

    def header_timed_out(self) -> None: ...


class NoConnectionObserver:
    def handshake_failed(self) -> None:
        pass

    def header_timed_out(self) -> None:
        pass


class Connection(RequestHandler):
    """aiohttp's connection with a deadline for headers.

    The deadline runs from the opening for the first request and from the first byte for the others; while a request is
    being answered it is off, and between requests aiohttp's own idle timer runs.
    """

    __slots__ = ("_answering", "_deadline", "_handler_of_loss", "_limit", "_on_timeout", "lost")

    def __init__(
        self,
        manager: web.Server,
        *,
        limits: Limits,
        on_lost: Callable[[], None],
        on_timeout: Callable[[], None],
    ) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle,
            access_log=_no_access_log,
            lingering_time=_LINGER,
            auto_decompress=False,
        )
        self._limit = limits.header
        self._handler_of_loss = on_lost
        self._on_timeout = on_timeout
        self._deadline: asyncio.TimerHandle | None = None
        self._answering = False
        self.lost = anyio.Event()
        """Set as soon as the connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._arm()

    def data_received(self, data: bytes) -> None:
        if not self._answering and self._deadline is None:
            self._arm()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._disarm()
        self.lost.set()
        super().connection_lost(exc)
        self._handler_of_loss()

    def begin(self) -> None:
        """A header is complete and being answered."""
        self._answering = True
        self._disarm()

    def end(self) -> None:
        self._answering = False

    def _arm(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(self._limit, self._cut_off)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut_off(self) -> None:
        self._deadline = None
        self._on_timeout()
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()  # a polite TLS goodbye would wait for a client that does not talk


class ListenError(Exception):
    """The address cannot be bound; says which, and why."""


class HttpServer:
    """One listening socket and its connections. `tls` None serves plain HTTP."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: Handler,
        *,
        limits: Limits,
        tls: TlsSource | None = None,
        observer: ConnectionObserver | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._handler = handler
        self._limits = limits
        self._tls = tls
        self._observer: ConnectionObserver = observer or NoConnectionObserver()
        self._handshakes = anyio.Semaphore(limits.handshakes)
        self._room = anyio.Semaphore(limits.connections)
        self.port = 0
        """The port in use, once it is bound."""
        self.serving = False
        """True while connections are accepted."""
        self.draining = False
        self._end_by = math.inf
        self._complained_at = -math.inf
        self._adopting: set[anyio.CancelScope] = set()

    @property
    def connections(self) -> int:
        """Open connections, those in their handshake included."""
        return self._limits.connections - self._room.value

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled, then drains. Raises ListenError when the address cannot be bound.

        Started as soon as it listens; without a certificate as soon as the address is bound: until there is one, it
        refuses connections, and those who wait for the start must not wait for a certificate.
        """
        server = web.Server(self._answer, handler_cancellation=True)
        with _bound(self._host, self._port) as listener:
            self.port = listener.getsockname()[1]
            if self._tls is not None and self._tls.context is None:
                task_status.started()
                await self._tls.wait_loaded()
                listener.listen(self._limits.backlog)
            else:
                listener.listen(self._limits.backlog)
                task_status.started()
            self.serving = True
            try:
                async with anyio.create_task_group() as openings:
                    try:
                        await self._accept(listener, server, openings)
                    finally:
                        self._begin_to_drain()
                        self._accept_rest(listener, server, openings)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._drain(server)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101  made in _open, and nowhere else
        connection.begin()
        try:
            return await self._handler(request)
        finally:
            connection.end()

    async def _accept(self, listener: socket.socket, server: web.Server, openings: TaskGroup) -> None:
        while True:
            await anyio.wait_readable(listener)
            for _ in range(_ACCEPT_BATCH):
                await self._room.acquire()
                try:
                    accepted, _ = listener.accept()
                except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                    self._room.release()
                    break
                except OSError as error:
                    self._room.release()
                    self._complain(error)
                    await anyio.sleep(_NO_DESCRIPTORS_PAUSE)
                    break
                openings.start_soon(self._open, accepted, server)

    def _complain(self, error: OSError) -> None:
        """Out of file descriptors or memory: said now and then, as it may last and come back with every attempt."""
        now = anyio.current_time()
        if now - self._complained_at >= _COMPLAINT_PAUSE:
            self._complained_at = now
            log.error("cannot accept connections", port=self.port, open=self.connections, error=str(error))

    def _accept_rest(self, listener: socket.socket, server: web.Server, openings: TaskGroup) -> None:
        """What the kernel has completed belongs to us: closing the listener would reset it."""
        with suppress(OSError, anyio.WouldBlock):
            while True:
                self._room.acquire_nowait()
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    self._room.release()
                    raise
                openings.start_soon(self._open_at_once, accepted, server)
        listener.close()

    async def _open(self, accepted: socket.socket, server: web.Server) -> None:
        """Wait for the first byte, then for a handshake slot. Only the handshake itself outlives a stop."""
        accepted.setblocking(False)
        context = self._tls.context if self._tls is not None else None
        if context is None:
            await self._adopt(accepted, None, server)
            return
        try:
            with anyio.fail_after(self._limits.handshake):
                await anyio.wait_readable(accepted)
                await self._handshakes.acquire()
        except BaseException as error:
            accepted.close()
            self._room.release()
            if not isinstance(error, TimeoutError):
                raise
            self._observer.handshake_failed()
            return
        try:
            await self._adopt(accepted, context, server)
        finally:
            self._handshakes.release()

    async def _open_at_once(self, accepted: socket.socket, server: web.Server) -> None:
        accepted.setblocking(False)
        await self._adopt(accepted, self._tls.context if self._tls is not None else None, server)

    async def _adopt(
        self, accepted: socket.socket, context: ssl.SSLContext | None, server: web.Server
    ) -> None:
        """Make a connection of the socket, TLS handshake included; from then on it releases its room itself."""

        def factory() -> Connection:
            return Connection(
                server,
                limits=self._limits,
                on_lost=self._room.release,
                on_timeout=self._observer.header_timed_out,
            )

        options: dict[str, Any] = {}
        if context is not None:
            options = {
                "ssl": context,
                "ssl_handshake_timeout": self._limits.handshake,
                "ssl_shutdown_timeout": _TLS_CLOSE,
            }
        opened = False
        with anyio.CancelScope(shield=True, deadline=self._end_by) as scope:
            self._adopting.add(scope)
            with suppress(OSError):  # TLS errors, resets and time-outs alike
                await asyncio.get_running_loop().connect_accepted_socket(factory, accepted, **options)
                opened = True
        self._adopting.discard(scope)
        if not opened:
            self._room.release()
            self._observer.handshake_failed()

    def _begin_to_drain(self) -> None:
        self.serving, self.draining = False, True
        self._end_by = anyio.current_time() + self._limits.drain
        for scope in self._adopting:
            scope.deadline = self._end_by

    async def _drain(self, server: web.Server) -> None:
        """Calls in flight end, open connections get one more answer, idle ones are closed; then the rest is cut."""
        with anyio.CancelScope(deadline=self._end_by):
            with anyio.move_on_after(min(_FAREWELL, self._limits.drain / 2)):
                for connection in tuple(server.connections):
                    if isinstance(connection, Connection):
                        await connection.lost.wait()
            server.pre_shutdown()
            await server.shutdown(self._limits.drain)
        for connection in server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._all_lost()

    async def _all_lost(self) -> None:
        """Goodbyes over TLS take a moment; a loop that ends before leaves their sockets open."""
        with anyio.move_on_after(_TLS_CLOSE):
            while self.connections:  # noqa: ASYNC110  connections are lost in callbacks
                await anyio.sleep(_LOST_CHECK)


def _bound(host: str, port: int) -> socket.socket:
    """A socket that does not listen yet; an empty host means all addresses, of both families where there are two."""
    dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        listener.setblocking(False)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {host or '*'}:{port}: {error.strerror}") from error
    return listener
