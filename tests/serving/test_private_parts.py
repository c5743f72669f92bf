"""Parts of aiohttp and asyncio that the servers lean on and nobody promised: what has changed is named here, not in production.

A test that fails here after an upgrade says where to look: aioctl/serving/connection.py and aioctl/serving/tls.py.
"""

import asyncio
import inspect
import tomllib
from asyncio import sslproto
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import anyio
import pytest
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from packaging.requirements import Requirement

from aioctl.serving.connection import Connection, ConnectionObserver
from aioctl.serving.http_server import HttpServer
from aioctl.serving.limits import KIB, Limits
from aioctl.serving.tls import RECEIVE, TlsProtocol
from tests.serving.support import Ca, running, until

OVERRIDDEN = {
    "connection_made": ["self", "transport"],
    "connection_lost": ["self", "exc"],
    "data_received": ["self", "data"],
    "handle_error": ["self", "request", "status", "exc", "message"],
    "force_close": ["self"],
}
CONSTRUCTED = {
    "manager",
    "loop",
    "keepalive_timeout",
    "access_log",
    "lingering_time",
    "read_bufsize",
    "auto_decompress",
}


@pytest.mark.parametrize(("name", "parameters"), OVERRIDDEN.items())
def test_aiohttps_connection_still_has_what_ours_overrides_or_calls(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(RequestHandler, name)).parameters) == parameters


def test_aiohttps_connection_still_takes_what_ours_passes() -> None:
    assert set(inspect.signature(RequestHandler.__init__).parameters) >= CONSTRUCTED


async def test_aiohttps_connection_still_waits_for_a_request_in_a_future_of_its_own() -> None:
    """By it a connection is known to be between two requests."""
    seen: list[object] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request.protocol, Connection)
        seen.append(request.protocol._waiter)
        connections.append(request.protocol)
        return web.Response()

    connections: list[Connection] = []
    server = HttpServer("127.0.0.1", 0, answer, limits=Limits(drain=0.1))
    async with running(server), await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        await until(lambda: connections[0]._waiter is not None)
    assert seen == [None]


def test_ours_hides_no_attribute_of_aiohttps() -> None:
    theirs = {name for base in RequestHandler.__mro__ for name in getattr(base, "__slots__", ())}
    assert not theirs & set(Connection.__slots__)


def test_aiohttp_is_bounded_to_what_was_looked_at() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    (aiohttp,) = (one for one in map(Requirement, project["dependencies"]) if one.name == "aiohttp")
    assert any(part.operator in ("<", "<=", "~=", "==") for part in aiohttp.specifier)
    assert aiohttp.specifier.contains(version("aiohttp"))


async def test_a_malformed_request_still_reaches_our_handle_error(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[BaseException | None] = []
    ours = Connection.handle_error

    def seen(
        self: Connection,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        problems.append(exc)
        return ours(self, request, status, exc, message)

    monkeypatch.setattr(Connection, "handle_error", seen)

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    server = HttpServer("127.0.0.1", 0, answer, limits=Limits(drain=0.1))
    async with running(server), await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        await stream.send(b"no http\r\n\r\n")
        assert b" 400 Bad Request\r\n" in await stream.receive()
    assert len(problems) == 1
    assert isinstance(problems[0], HttpProcessingError)


def test_the_selector_loop_still_receives_within_one_callback() -> None:
    """Only then may all connections share one buffer: nothing may come between asking for it and handing it over."""
    source = inspect.getsource(_SelectorSocketTransport._read_ready__get_buffer)
    asked, received, handed = (
        source.index(part) for part in ("get_buffer(-1)", "recv_into(", "buffer_updated(")
    )
    assert asked < received < handed
    assert "await" not in source


def test_asyncios_tls_still_copies_before_it_returns() -> None:
    first = inspect.getsource(sslproto.SSLProtocol.buffer_updated).splitlines()[1].strip()
    assert first == "self._incoming.write(self._ssl_buffer_view[:nbytes])"


async def test_all_connections_receive_into_one_buffer_and_only_one_is_made(ca: Ca) -> None:
    context = ca.live().context
    assert context is not None
    host = _NoHost()
    made = [TlsProtocol(_connection(host), context, b"", handshake=1.0) for _ in range(2)]
    assert made[0].get_buffer(-1) is made[1].get_buffer(-1)
    assert len(made[0].get_buffer(-1)) == RECEIVE
    for one in made:
        one.opened.cancel()
        one.connection_lost(None)


async def test_an_idle_connection_costs_less_than_a_fifth_of_what_asyncio_takes(ca: Ca) -> None:
    """By counting what Python allocates: asyncio alone would be at 256 KiB for each."""
    import tracemalloc

    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    server = HttpServer("127.0.0.1", 0, answer, limits=Limits(drain=0.1), tls=ca.live())
    context = ca.client_context()
    async with running(server):
        tracemalloc.start()
        try:
            writers = []
            for count in range(1, 11):
                _, writer = await asyncio.open_connection(
                    "127.0.0.1", server.port, ssl=context, server_hostname="127.0.0.1"
                )
                writers.append(writer)
                await until(lambda: server.connections == count)  # noqa: B023  it is awaited here
            taken = tracemalloc.take_snapshot().statistics("filename")
        finally:
            tracemalloc.stop()
        ours = sum(entry.size for entry in taken if "tls.py" in entry.traceback[0].filename)
        theirs = [entry.size for entry in taken if entry.traceback[0].filename == sslproto.__file__]
        assert ours < 10 * 50 * KIB
        assert 0 < sum(theirs) < 10 * (256 + 50) * KIB  # the ten clients have a buffer each, the servers none
        for writer in writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


class _NoHost:
    def lost(self, connection: Connection) -> None:
        pass

    def working(self, connection: Connection) -> None:
        pass

    def resting(self, connection: Connection, *, served: bool) -> None:
        pass


def _connection(host: _NoHost) -> Connection:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    return Connection(web.Server(answer), host, peer="here", limits=Limits(), observer=ConnectionObserver())
