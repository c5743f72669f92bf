"""An HTTP server on the running loop with the deadlines and bounds that aiohttp's own server lacks.

aiohttp parses and answers; this module decides who gets in and for how long. It accepts connections in small batches (a
burst of 700 must not be one stretch of the loop), begins a TLS handshake only with a whole ClientHello, closes the longest
idle connection for a new one when it is full, and on stop serves what has already come in before it closes. What a
connection does with its time is `connection`'s business, who has to go is `room`'s, what is answered is the handler's.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

import anyio
import structlog
from aiohttp import web
from anyio.abc import TaskGroup, TaskStatus

from aioctl.serving import hello
from aioctl.serving.connection import Connection, ConnectionObserver, readable
from aioctl.serving.limits import KIB, Limits
from aioctl.serving.room import FairPlaces, Guest, Room
from aioctl.serving.seldom import Seldom
from aioctl.serving.tls import GOODBYE, TlsProtocol

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_ACCEPT_BATCH: Final = 16
_NO_DESCRIPTORS_PAUSE: Final = 0.1
"""Seconds. Out of file descriptors: only others can free some."""
_COMPLAINT_PAUSE: Final = 60.0
"""Seconds between two lines in the log about that."""
_HELLO_READ: Final = 4 * KIB
_LOST_CHECK: Final = 0.01
_FAREWELL: Final = 3.0
"""Seconds (at most half of the drain) in which a stopping server waits for its clients to close their idle connections, and
still answers what comes over them. Go's client closes one within milliseconds of being asked; the rest is for a machine that is
busy. Whoever does not close is closed."""

log = structlog.get_logger(__name__)


class TlsSource(Protocol):
    """The context for new connections, and when there is one. `LiveCertificate` is one."""

    @property
    def context(self) -> ssl.SSLContext | None: ...

    async def wait_loaded(self) -> None: ...


class ListenError(Exception):
    """The address cannot be bound; says which, and why."""


class HttpServer:
    """One listening socket and its connections. `tls` None serves plain HTTP."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: RequestHandler,
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
        self._observer: ConnectionObserver = observer or ConnectionObserver()
        self._handshakes = FairPlaces(limits.handshakes)
        self._complaints = Seldom(log.warning, "TLS handshake failed")
        self._room = Room(
            limits, evicted=self._observer.connection_evicted, refused=self._observer.connection_refused
        )
        self._guests: dict[Connection, Guest] = {}
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
        return self._room.count

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
        connection.begin(request.version)
        try:
            return await self._handler(request)
        finally:
            connection.end()

    def lost(self, connection: Connection) -> None:
        self._room.leave(self._guests.pop(connection))

    def working(self, connection: Connection) -> None:
        guest = self._guests.get(connection)
        if guest is not None:  # else lost meanwhile
            self._room.busy(guest)

    def resting(self, connection: Connection, *, served: bool) -> None:
        guest = self._guests.get(connection)
        if guest is not None:
            self._room.idle(guest, served=served)

    async def _accept(self, listener: socket.socket, server: web.Server, openings: TaskGroup) -> None:
        while True:
            await anyio.wait_readable(listener)
            for _ in range(_ACCEPT_BATCH):
                await self._room.wait()
                try:
                    accepted, address = listener.accept()
                except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                    break
                except OSError as error:
                    self._complain(error)
                    await anyio.sleep(_NO_DESCRIPTORS_PAUSE)
                    break
                opening = self._enter(accepted, address[0])
                if opening is not None:
                    openings.start_soon(self._open, opening, server)

    def _complain(self, error: OSError) -> None:
        """Out of file descriptors or memory: said now and then, as it may last and come back with every attempt."""
        now = anyio.current_time()
        if now - self._complained_at >= _COMPLAINT_PAUSE:
            self._complained_at = now
            log.error("cannot accept connections", port=self.port, open=self.connections, error=str(error))

    def _accept_rest(self, listener: socket.socket, server: web.Server, openings: TaskGroup) -> None:
        """What the kernel has completed belongs to us: closing the listener would reset it."""
        with suppress(OSError):
            while self._room.count < self._limits.connections:
                accepted, address = listener.accept()
                opening = self._enter(accepted, address[0])
                if opening is not None:
                    openings.start_soon(self._open_at_once, opening, server)
        listener.close()

    def _enter(self, accepted: socket.socket, peer: str) -> "_Opening | None":
        accepted.setblocking(False)
        opening = _Opening(accepted, peer)
        if self._room.enter(opening.guest):
            return opening
        accepted.close()
        return None

    async def _open(self, opening: "_Opening", server: web.Server) -> None:
        """Reads a whole ClientHello, then waits for a place. Only the handshake itself outlives a stop."""
        context = self._tls.context if self._tls is not None else None
        if context is None:
            await self._adopt(opening, None, b"", server)
            return
        try:
            with anyio.fail_after(self._limits.handshake), opening.scope:
                said = await _whole_hello(opening.socket)
                self._room.busy(opening.guest)
                await self._handshakes.acquire(opening.guest.peer)
        except (OSError, hello.NotTls):  # time-outs and resets alike
            self._give_up(opening)
            return
        except BaseException:
            self._give_up(opening, failed=False)
            raise
        if opening.scope.cancelled_caught:  # it gave way
            self._give_up(opening)
            return
        await self._adopt(opening, context, said, server, placed=True)

    async def _open_at_once(self, opening: "_Opening", server: web.Server) -> None:
        await self._adopt(opening, self._tls.context if self._tls is not None else None, b"", server)

    def _give_up(self, opening: "_Opening", *, failed: bool = True) -> None:
        opening.socket.close()
        self._room.leave(opening.guest)
        if failed:
            self._observer.handshake_failed()

    async def _adopt(
        self,
        opening: "_Opening",
        context: ssl.SSLContext | None,
        said: bytes,
        server: web.Server,
        *,
        placed: bool = False,
    ) -> None:
        """Makes a connection of the socket, TLS handshake included; from then on it leaves the room by itself.

        `placed`: a place for the handshake is held. It is given back when the server's part of it is computed: the place
        is for the CPU, and a client that says no more then holds up nobody.
        """
        connection = Connection(
            server, self, peer=opening.guest.peer, limits=self._limits, observer=self._observer
        )
        self._guests[connection] = opening.guest
        opening.adopted = connection
        with anyio.CancelScope(shield=True, deadline=self._end_by) as scope:
            self._adopting.add(scope)
            try:
                try:
                    tls = await self._begin(opening.socket, connection, context, said)
                finally:
                    if placed:
                        self._handshakes.release()
                if tls is not None:
                    self._room.idle(opening.guest)
                    opening.cut = tls.cut
                    await tls.opened
                    connection.unsent = tls.unsent
            except ssl.SSLError as error:
                self._complaints.say(peer=opening.guest.peer, error=error.reason or str(error))
            except OSError:
                pass  # resets and time-outs, which the metrics count
        self._adopting.discard(scope)
        if connection.wire is None and connection in self._guests:  # never opened, rather than lost since
            del self._guests[connection]
            if opening.cut is not None:
                opening.cut()
            self._room.leave(opening.guest)
            self._observer.handshake_failed()
        opening.cut = None

    async def _begin(
        self, accepted: socket.socket, connection: Connection, context: ssl.SSLContext | None, said: bytes
    ) -> TlsProtocol | None:
        """Hands the socket to the loop; over TLS returns when the server's first flight is on its way."""
        loop = asyncio.get_running_loop()
        if context is None:
            await loop.connect_accepted_socket(lambda: connection, accepted)
            return None
        tls = TlsProtocol(connection, context, said, handshake=self._limits.handshake)
        await loop.connect_accepted_socket(lambda: tls, accepted)
        return tls

    def _begin_to_drain(self) -> None:
        self.serving, self.draining = False, True
        self._end_by = anyio.current_time() + self._limits.drain
        for scope in self._adopting:
            scope.deadline = self._end_by

    async def _drain(self, server: web.Server) -> None:
        """Calls in flight end, and clients close what is idle; then the rest is cut."""
        with anyio.CancelScope(deadline=self._end_by):
            with anyio.move_on_after(min(_FAREWELL, self._limits.drain / 2)):
                await self._dismiss(server)
            server.pre_shutdown()
            await server.shutdown(self._limits.drain)
        for connection in server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._all_lost()

    async def _dismiss(self, server: web.Server) -> None:
        """Until no connection is open: one that is busy now is dismissed if its answer keeps it."""
        while server.connections:
            for connection in server.connections:
                if isinstance(connection, Connection):
                    connection.dismiss()
            await anyio.sleep(_LOST_CHECK)

    async def _all_lost(self) -> None:
        """Goodbyes over TLS take a moment; a loop that ends before leaves their sockets open."""
        with anyio.move_on_after(GOODBYE):
            while self.connections:  # noqa: ASYNC110  connections are lost in callbacks
                await anyio.sleep(_LOST_CHECK)


class _Opening:
    """An accepted socket on its way to a connection, and how it gives way meanwhile."""

    def __init__(self, accepted: socket.socket, peer: str) -> None:
        self.socket = accepted
        self.guest = Guest(peer, self._give_way)
        self.scope = anyio.CancelScope()
        """Around the wait for the hello and for a place."""
        self.cut: Callable[[], None] | None = None
        """Ends a handshake."""
        self.adopted: Connection | None = None

    def _give_way(self) -> bool:
        if self.adopted is not None and self.cut is None:
            return self.adopted.give_way()
        if self.socket.fileno() >= 0 and readable(self.socket.fileno()):
            return False
        if self.cut is not None:
            self.cut()
        else:
            self.scope.cancel()
        return True


async def _whole_hello(accepted: socket.socket) -> bytes:
    """The first bytes of a client, its whole ClientHello among them. Raises NotTls or OSError."""
    loop = asyncio.get_running_loop()
    said = b""
    while hello.missing(said):
        some = await loop.sock_recv(accepted, _HELLO_READ)
        if not some:
            raise ConnectionResetError
        said += some
    return said


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
