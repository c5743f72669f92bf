"""aiohttp's server side of one connection, with what it lacks: a deadline for headers and one for answers that are not read.

It also turns a malformed request into one line of the log, instead of a traceback for each. What it overrides of aiohttp is
not promised to stay: `tests/serving/test_private_parts.py` says so when it changes, and pyproject.toml bounds the version.
"""

import asyncio
import logging
import select
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol

import anyio
import structlog
from aiohttp import HttpVersion, HttpVersion11, web
from aiohttp.web_protocol import RequestHandler

from aioctl.serving.limits import KIB, Limits
from aioctl.serving.seldom import Seldom

_LINGER: Final = 5.0
"""Seconds for which the rest of a refused body is read and dropped, so that the client can read the answer."""
_INTERIM: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FIRST_REQUEST: Final = 1.0
"""Seconds after which a new connection is one that a client keeps for later: who opens one for a request sends it at once."""
_READ_BUFFER: Final = 16 * KIB
"""Decrypted bytes of a body after which reading pauses; twice that may be there, and one more read."""
_MAX_PROBLEM: Final = 200
"""Characters of a problem that go into the log: it may quote the client."""
_REJECTED: Final = range(400, 500)

log = structlog.get_logger(__name__)
_no_access_log = logging.getLogger("aioctl.no-access-log")
_no_access_log.setLevel(
    logging.CRITICAL
)  # metrics count the calls; a line for each would be the loudest log there is


class ConnectionObserver:
    """Hooks for the metrics of connections."""

    def handshake_failed(self) -> None: ...

    def header_timed_out(self) -> None: ...

    def answer_timed_out(self) -> None:
        """The client did not read what it was sent."""

    def request_malformed(self) -> None: ...

    def connection_evicted(self) -> None:
        """An idle connection was closed for a new one."""

    def connection_refused(self) -> None:
        """A connection was turned away: its address has as many as it may."""


class Host(Protocol):
    """What a connection tells its server about itself."""

    def lost(self, connection: "Connection") -> None: ...

    def working(self, connection: "Connection") -> None:
        """It is our turn to act."""
        ...

    def resting(self, connection: "Connection", *, served: bool) -> None:
        """The client is to act. `served`: an answer was handed over."""
        ...


class Connection(RequestHandler):
    """One connection and its deadlines.

    Headers: from the first byte of a request; while a request is being answered it is off, and between requests aiohttp's own
    idle timer runs. A new connection may be silent as long as an idle one: Go's client opens one for each call that finds
    none free, keeps it for later where another became free first, and does not repeat a POST that meets a closed one. Answers: from the end of the first one that
    has not left until all have.
    """

    __slots__ = (
        "_answering",
        "_dismissed",
        "_host",
        "_leaving",
        "_made_at",
        "_observer",
        "_silent",
        "_starting",
        "_version",
        "peer",
        "unsent",
        "wire",
    )

    def __init__(
        self,
        manager: web.Server,
        host: Host,
        *,
        peer: str,
        limits: Limits,
        observer: ConnectionObserver,
    ) -> None:
        super().__init__(
            manager,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.idle,
            access_log=_no_access_log,
            lingering_time=_LINGER,
            read_bufsize=_READ_BUFFER,
            auto_decompress=False,
        )
        self._host = host
        self._observer = observer
        self._silent = _Timer(limits.idle, self._header_is_late)
        self._starting = _Timer(limits.header, self._header_is_late)
        self._leaving = _Timer(limits.answer, self._answer_is_late)
        self._answering = False
        self._dismissed = False
        self._made_at = 0.0
        self._version: HttpVersion | None = None
        """Of the last request; None before the first."""
        self.peer = peer
        self.wire: asyncio.Transport | None = None
        """The transport until it is lost; aiohttp forgets its own while closing."""
        self.unsent: Callable[[], int] = self._unsent
        """Bytes of answers that the kernel has not taken. TLS has two buffers and brings its own count."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  sockets and TLS over them
        self.wire = transport
        self._made_at = anyio.current_time()
        super().connection_made(transport)
        self._silent.start()

    def data_received(self, data: bytes) -> None:
        if data and not self._answering:
            self._silent.stop()
            self._starting.start()
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._silent.stop()
        self._starting.stop()
        self._leaving.stop()
        self.wire = None
        self.unsent = self._unsent  # no circle through TLS
        super().connection_lost(exc)
        self._host.lost(self)

    def begin(self, version: HttpVersion) -> None:
        """A header is complete and being answered."""
        self._answering = True
        self._version = version
        self._starting.stop()
        if not self.unsent():
            self._leaving.stop()
        self._host.working(self)

    def end(self) -> None:
        """The answer is made, and leaves."""
        self._answering = False
        self._leaving.start()
        self._host.resting(self, served=True)

    def await_client(self) -> None:
        """More of the request is to come; until `go_on` this connection may be closed for another."""
        self._host.resting(self, served=False)

    def go_on(self) -> None:
        self._host.working(self)

    def abort(self) -> None:
        """Closes at once: a polite TLS goodbye would wait for a client that does not talk, and its answers for one that does
        not read."""
        wire = self.wire
        self.force_close()
        if wire is not None:
            wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is no HTTP is the client's fault: a line now and then. One who is gone needs neither line nor answer."""
        if isinstance(exc, ConnectionError):
            raise exc
        if status not in _REJECTED:
            return super().handle_error(request, status, exc, message)
        self._observer.request_malformed()
        problem = " ".join(str(message or exc or "").split())[:_MAX_PROBLEM]
        _complaints.say(peer=self.peer, problem=problem)
        refusal = web.Response(status=status, text=f"{HTTPStatus(status).phrase}: {problem}\n")
        refusal.force_close()
        return refusal

    def dismiss(self) -> None:
        """Makes the client close an idle connection: whoever closes it from here may cross a request, and Go's client does not
        repeat a POST of which a byte was sent (WEB-6).

        What is sent is an interim response. Who waits for none has to close the connection for it (RFC 9112, section 9.2), and
        Go's client does so at once. Who has just sent a request passes it over (RFC 9110, section 15.2), and is answered. A
        client that opened the connection for its first request has no such grace: it is waited for.
        """
        wire, between_requests = self.wire, self._waiter is not None and not self._waiter.done()
        if self._dismissed or wire is None or not between_requests:
            return
        if self._version is None:
            understands = anyio.current_time() >= self._made_at + _FIRST_REQUEST
        else:
            understands = self._version >= HttpVersion11
        if understands:
            self._dismissed = True
            wire.write(_INTERIM)

    def give_way(self) -> bool:
        """Closes for a new connection, unless something is on its way in either direction: then False."""
        wire = self.wire
        if wire is not None and (self.unsent() or readable(wire.get_extra_info("socket").fileno())):
            return False
        self.abort()
        return True

    def _unsent(self) -> int:
        return self.wire.get_write_buffer_size() if self.wire is not None else 0

    def _header_is_late(self) -> None:
        self._observer.header_timed_out()
        self.abort()

    def _answer_is_late(self) -> None:
        if self.unsent():
            self._observer.answer_timed_out()
            self.abort()


def readable(descriptor: int) -> bool:
    """The kernel has bytes that the loop has not seen yet."""
    look = select.poll()
    look.register(descriptor, select.POLLIN)
    return bool(look.poll(0))


class _Timer:
    """Calls once, `seconds` after the start; a second start changes nothing."""

    __slots__ = ("_call", "_handle", "_seconds")

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        self._seconds = seconds
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._seconds, self._fire)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._call()


_complaints: Final = Seldom(log.warning, "malformed request refused")
