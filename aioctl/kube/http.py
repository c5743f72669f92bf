"""The wire over aiohttp: sockets, TLS, credentials, deadlines.

Requests share a bounded pool of kept connections; streams (watches live for minutes) have connections of their own and
cannot starve them. Every exchange has a deadline. Credentials are asked for each request, and renewed once when the
server answers 401: nothing was done then, so the request is sent again whatever its method. Errors of aiohttp end here
as `TransportError`; statuses are not judged.
"""

import errno
import io
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Protocol

import aiohttp
import anyio
import anyio.lowlevel

from aioctl import __version__
from aioctl.kube.errors import Silence, TransportError
from aioctl.kube.wire import Request, Response, Stream

USER_AGENT: Final = f"aioctl/{__version__}"
CONNECT_TIMEOUT: Final = 10.0
"""Seconds for name, TCP and TLS: as long as the API server itself gives a handshake (WEB-4)."""
MAX_LINE: Final = 64 * 2**20
"""Bytes of one line of a stream. Objects end at about 1.5 MiB in etcd; more than this is not an API server."""
LARGE_BODY: Final = 2**20
_KEEP_IDLE: Final = 60.0
_UNAUTHORIZED: Final = 401


class Credentials(Protocol):
    """Where the Authorization header comes from."""

    async def authorization(self) -> str:
        """Header value, such as `Bearer ...`; empty when the client certificate is all there is."""
        ...

    async def renew(self, rejected: str) -> bool:
        """The server refused this header value: get another. False when there is none to be had."""
        ...


class NoCredentials:
    """Nothing to show: client certificates, or a test server."""

    async def authorization(self) -> str:
        return ""

    async def renew(self, rejected: str) -> bool:
        return False


class HttpWire:
    """Implements `kube.wire.Wire` for one server. Must be made inside a running event loop."""

    def __init__(
        self,
        server: str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        credentials: Credentials | None = None,
        server_hostname: str = "",
        proxy: str = "",
        connections: int = 50,
        user_agent: str = USER_AGENT,
    ) -> None:
        """`server` is scheme, host, port and an optional path prefix; `connections` bounds concurrent requests."""
        self._server = server.rstrip("/")
        self._credentials = credentials or NoCredentials()
        self._server_hostname = server_hostname or None
        self._proxy = proxy or None
        self._user_agent = user_agent
        tls: ssl.SSLContext | bool = ssl_context if ssl_context is not None else True
        self._requests = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=tls, keepalive_timeout=_KEEP_IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._streams = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=tls, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._requests.close()
        await self._streams.close()
        # Sockets are closed in the loop's next turn; there may be none after this.
        await anyio.lowlevel.checkpoint()

    # The deadline is an argument because only the wire can tell the wait for a connection from that for an answer.
    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        """See `Wire.send`. When half the time has gone into getting a connection, nothing is sent any more."""
        connect = min(CONNECT_TIMEOUT, timeout / 2)
        limits = aiohttp.ClientTimeout(total=timeout, connect=connect, sock_connect=connect)
        # aiohttp's own limit begins anew after a 401, and knows nothing of a credential plugin that hangs.
        with _as_transport_errors(request), anyio.fail_after(timeout):
            async with await self._open(self._requests, request, limits, "gzip") as answer:
                return Response(answer.status, _lower(answer.headers), await answer.read())

    @asynccontextmanager
    async def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AsyncIterator[Stream]:
        """See `Wire.stream`."""
        limits = aiohttp.ClientTimeout(total=None, connect=connect_timeout, sock_connect=connect_timeout)
        with _as_transport_errors(request), anyio.fail_after(connect_timeout):
            answer = await self._open(self._streams, request, limits, "identity")
        try:
            yield _HttpStream(answer, request, idle_timeout)
        finally:
            # Over TLS a mere close waits for the server's goodbye behind all that it still has to say.
            transport = answer.connection.transport if answer.connection is not None else None
            answer.close()
            if transport is not None:
                transport.abort()

    async def _open(
        self, session: aiohttp.ClientSession, request: Request, limits: aiohttp.ClientTimeout, encoding: str
    ) -> aiohttp.ClientResponse:
        authorization = await self._credentials.authorization()
        answer = await self._ask(session, request, limits, encoding, authorization)
        if answer.status != _UNAUTHORIZED or not await self._credentials.renew(authorization):
            return answer
        answer.close()
        return await self._ask(session, request, limits, encoding, await self._credentials.authorization())

    async def _ask(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        limits: aiohttp.ClientTimeout,
        encoding: str,
        authorization: str,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept-Encoding": encoding, "User-Agent": self._user_agent, **request.headers}
        if authorization:
            headers["Authorization"] = authorization
        return await session.request(
            request.method,
            self._server + request.path,
            params=request.query,
            headers=headers,
            data=_payload(request.body),
            timeout=limits,
            proxy=self._proxy,
            server_hostname=self._server_hostname,
            allow_redirects=False,
        )


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """A large body is written in pieces: aiohttp warns of what would go out in one stretch of the loop."""
    return io.BytesIO(body) if body is not None and len(body) > LARGE_BODY else body


class _HttpStream:
    """One open answer."""

    def __init__(self, answer: aiohttp.ClientResponse, request: Request, idle_timeout: float) -> None:
        self._answer = answer
        self._request = request
        self._idle_timeout = idle_timeout

    @property
    def status(self) -> int:
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        return _lower(self._answer.headers)

    async def lines(self) -> AsyncIterator[bytes]:
        """See `Stream.lines`. Own line assembly: aiohttp's refuses lines longer than its buffer."""
        pieces: list[bytes] = []
        size = 0
        while chunk := await self._read():
            *ended, rest = chunk.split(b"\n")
            for piece in ended:
                line = b"".join((*pieces, piece))
                pieces.clear()
                size = 0
                if line:
                    yield line
            pieces.append(rest)
            size += len(rest)
            if size > MAX_LINE:
                raise TransportError(
                    f"{_title(self._request)}: a line is longer than {MAX_LINE} bytes", maybe_sent=True
                )
        if any(pieces):
            raise TransportError(f"{_title(self._request)}: the stream ended inside a line", maybe_sent=True)

    async def body(self) -> bytes:
        """See `Stream.body`."""
        with _as_transport_errors(self._request), anyio.fail_after(self._idle_timeout):
            return await self._answer.read()

    async def _read(self) -> bytes:
        with _as_transport_errors(self._request):
            try:
                with anyio.fail_after(self._idle_timeout):
                    return await self._answer.content.readany()
            except TimeoutError as silence:
                raise Silence(
                    f"{_title(self._request)}: nothing came for {self._idle_timeout:g} s"
                ) from silence


@contextmanager
def _as_transport_errors(request: Request) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        # No connection, so no byte of the request has left.
        raise TransportError(f"{_title(request)}: {_plainly(error)}", maybe_sent=False) from error
    except TimeoutError as error:
        text = str(error) or "no answer within the deadline"
        raise TransportError(f"{_title(request)}: {text}", maybe_sent=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise TransportError(f"{_title(request)}: {_plainly(error)}", maybe_sent=True) from error


def _plainly(error: Exception) -> str:
    """One line without the library's own words."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"the certificate of {error.host}:{error.port} is not trusted: {error.certificate_error}"
        case aiohttp.ClientConnectorError():
            where = f"{error.host}:{error.port}"
            number = error.os_error.errno
            # asyncio puts its own words in the place of the system's.
            own = isinstance(error.os_error, socket.gaierror | ssl.SSLError) or number not in errno.errorcode
            said = error.os_error.strerror if own or number is None else os.strerror(number)
            return f"cannot connect to {where}: {said or error.os_error}"
        case aiohttp.ClientPayloadError():
            return "the answer ended before it was whole"
        case aiohttp.ClientResponseError():
            return f"what answers does not speak HTTP: {error.message.splitlines()[0] if error.message else error.status}"
        case _:
            return " ".join(str(error).split()) or type(error).__name__


def _title(request: Request) -> str:
    return f"{request.method} {request.path}"


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    """By name in small letters; one that comes more than once, as warnings do, has all its values (RFC 9110, 5.3)."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found
