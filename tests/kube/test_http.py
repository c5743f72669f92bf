"""The aiohttp wire against a real server on the loopback: headers, deadlines, credentials, streams.

Rules: WEB-4.
"""

import gc
import gzip
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from queue import SimpleQueue

import anyio
import anyio.to_thread
import pytest
import trustme
from aiohttp import web

from aioctl import __version__
from aioctl.kube.errors import Silence, TransportError
from aioctl.kube.http import HttpWire
from aioctl.kube.wire import Request
from testbed.leaps import leap

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def leap_when_all_wait(seconds: float) -> None:
    await anyio.wait_all_tasks_blocked()
    leap(seconds)


@asynccontextmanager
async def serve(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def wire_to(server: str, **options: object) -> AsyncIterator[HttpWire]:
    wire = HttpWire(server, **options)  # type: ignore[arg-type]
    try:
        yield wire
    finally:
        await wire.aclose()


async def test_a_header_that_comes_more_than_once_keeps_all_its_values() -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(text="{}")
        for warning in ('299 - "one"', '299 - "two"'):
            response.headers.add("Warning", warning)
        return response

    async with serve(handler) as server, wire_to(server) as wire:
        response = await wire.send(Request("GET", "/x"), timeout=5.0)
    assert response.headers["warning"] == '299 - "one", 299 - "two"'


class Tokens:
    """Credentials from a list; renewing takes the next."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.renewed = 0

    async def authorization(self) -> str:
        return self.tokens[0]

    async def renew(self, rejected: str) -> bool:
        self.renewed += 1
        if len(self.tokens) < 2:
            return False
        self.tokens.pop(0)
        return True


async def test_a_request_arrives_as_it_was_asked() -> None:
    seen: list[tuple[object, ...]] = []

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        seen.append((request.method, request.path, list(request.query.items()), dict(request.headers), body))
        return web.Response(status=201, body=b"{}", headers={"X-Thing": "1"})

    async with serve(handler) as server, wire_to(server) as wire:
        query = (("labelSelector", "a=b,c in (d)"), ("dryRun", "All"))
        request = Request("POST", "/api/v1/pods", query, {"Content-Type": "application/json"}, b'{"a":1}')
        response = await wire.send(request, timeout=5)
    assert (response.status, response.body, response.headers["x-thing"]) == (201, b"{}", "1")
    [(method, path, asked, headers, body)] = seen
    assert (method, path, asked, body) == ("POST", "/api/v1/pods", list(query), b'{"a":1}')
    assert isinstance(headers, dict)
    assert headers["User-Agent"] == f"aioctl/{__version__}"
    assert headers["Accept-Encoding"] == "gzip"
    assert "Authorization" not in headers


async def test_a_packed_answer_is_unpacked() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"x" * 10_000), headers={"Content-Encoding": "gzip"})

    async with serve(handler) as server, wire_to(server) as wire:
        assert (await wire.send(Request("GET", "/"), timeout=5)).body == b"x" * 10_000


async def test_an_answer_that_is_late_is_a_transport_error_of_a_request_that_may_have_arrived() -> None:
    async def handler(request: web.Request) -> web.Response:
        leap(61)
        await anyio.sleep_forever()
        return web.Response()

    async with serve(handler) as server, wire_to(server) as wire:
        with pytest.raises(TransportError, match=r"GET /slow") as caught:
            await wire.send(Request("GET", "/slow"), timeout=60)
    assert caught.value.maybe_sent


async def test_a_refused_connection_certainly_sent_nothing() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with serve(handler) as server:
        pass
    async with wire_to(server) as wire:
        with pytest.raises(TransportError) as caught:
            await wire.send(Request("POST", "/"), timeout=5)
        assert not caught.value.maybe_sent
        with pytest.raises(TransportError) as caught:
            async with wire.stream(Request("GET", "/"), connect_timeout=5, idle_timeout=5):
                pass
        assert not caught.value.maybe_sent


async def test_a_connection_closed_instead_of_an_answer_may_have_acted() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with serve(handler) as server, wire_to(server) as wire:
        with pytest.raises(TransportError) as caught:
            await wire.send(Request("POST", "/"), timeout=5)
    assert caught.value.maybe_sent


async def test_waiting_for_a_free_connection_ends_before_anything_is_sent() -> None:
    arrived, release = anyio.Event(), anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        arrived.set()
        await release.wait()
        return web.Response()

    async with (
        serve(handler) as server,
        wire_to(server, connections=1) as wire,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(lambda: wire.send(Request("GET", "/first"), timeout=600))
        await arrived.wait()
        tasks.start_soon(leap_when_all_wait, 11)
        with pytest.raises(TransportError) as caught:
            await wire.send(Request("POST", "/second"), timeout=60)
        assert not caught.value.maybe_sent
        release.set()


async def test_a_401_renews_the_credentials_once_and_repeats_even_a_write() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.headers["Authorization"])
        return web.Response(status=200 if asked[-1] == "Bearer new" else 401)

    tokens = Tokens("Bearer old", "Bearer new")
    async with serve(handler) as server, wire_to(server, credentials=tokens) as wire:
        assert (await wire.send(Request("POST", "/"), timeout=5)).status == 200
        async with wire.stream(Request("GET", "/"), connect_timeout=5, idle_timeout=5) as stream:
            assert stream.status == 200
    assert asked == ["Bearer old", "Bearer new", "Bearer new"]
    assert tokens.renewed == 1


async def test_the_deadline_counts_the_wait_for_credentials_too() -> None:
    class Hanging(Tokens):
        async def authorization(self) -> str:
            await anyio.sleep_forever()
            raise AssertionError

    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    async with serve(handler) as server, wire_to(server, credentials=Hanging("old")) as wire:
        with anyio.fail_after(5), pytest.raises(TransportError, match="within the deadline"):
            await wire.send(Request("GET", "/"), timeout=0.01)


async def test_a_repetition_after_a_401_gets_only_what_is_left_of_the_time() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.headers["Authorization"])
        leap(40)
        if len(asked) == 2:
            await anyio.sleep_forever()
        return web.Response(status=401)

    async with serve(handler) as server, wire_to(server, credentials=Tokens("old", "new")) as wire:
        with anyio.fail_after(99), pytest.raises(TransportError):
            await wire.send(Request("GET", "/"), timeout=60)
    assert asked == ["old", "new"]


async def test_a_401_without_other_credentials_is_the_answer() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=401)

    async with serve(handler) as server, wire_to(server, credentials=Tokens("Bearer only")) as wire:
        assert (await wire.send(Request("GET", "/"), timeout=5)).status == 401


async def test_lines_of_any_length_and_cut_come_whole() -> None:
    long = b'{"data":"' + b"x" * (3 * 2**19) + b'"}'

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b'{"a"', b":1}\n\n{", b'"b":2}\n' + long[:100], long[100:], b"\n"):
            await response.write(piece)
            await anyio.sleep(0.01)
        await response.write_eof()
        return response

    async with (
        serve(handler) as server,
        wire_to(server) as wire,
        wire.stream(Request("GET", "/"), connect_timeout=5, idle_timeout=5) as stream,
    ):
        assert [line async for line in stream.lines()] == [b'{"a":1}', b'{"b":2}', long]


async def test_a_stream_cut_inside_a_line_is_a_transport_error() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a":1}\n{"b":')
        assert request.transport is not None
        request.transport.close()
        return response

    async with (
        serve(handler) as server,
        wire_to(server) as wire,
        wire.stream(Request("GET", "/"), connect_timeout=5, idle_timeout=5) as stream,
    ):
        lines = stream.lines()
        assert await anext(lines) == b'{"a":1}'
        with pytest.raises(TransportError):
            await anext(lines)


async def test_a_stream_that_ends_in_good_order_inside_a_line_is_a_transport_error() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a":1}\n{"b":')
        await response.write_eof()
        return response

    async with (
        serve(handler) as server,
        wire_to(server) as wire,
        wire.stream(Request("GET", "/"), connect_timeout=5, idle_timeout=5) as stream,
    ):
        with pytest.raises(TransportError, match="ended inside a line"):
            _ = [line async for line in stream.lines()]


async def test_a_silent_stream_ends_after_its_idle_time() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a":1}\n')
        await anyio.sleep_forever()
        return response

    async with (
        serve(handler) as server,
        wire_to(server) as wire,
        wire.stream(Request("GET", "/"), connect_timeout=60, idle_timeout=60) as stream,
        anyio.create_task_group() as tasks,
    ):
        lines = stream.lines()
        assert await anext(lines) == b'{"a":1}'
        tasks.start_soon(leap_when_all_wait, 61)
        with pytest.raises(Silence, match="nothing came for"):
            await anext(lines)


async def test_a_stream_whose_head_does_not_come_ends_after_the_connect_time() -> None:
    arrived = anyio.Event()

    async def handler(request: web.Request) -> web.Response:
        arrived.set()
        leap(31)
        await anyio.sleep_forever()
        return web.Response()

    async with serve(handler) as server, wire_to(server) as wire:
        with pytest.raises(TransportError):
            async with wire.stream(Request("GET", "/"), connect_timeout=30, idle_timeout=600):
                pass
    assert arrived.is_set()


async def test_streams_do_not_use_up_the_connections_of_requests() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.Response()
        response = web.StreamResponse()
        await response.prepare(request)
        await anyio.sleep(30)
        return response

    watch = Request("GET", "/", (("watch", "true"),))
    async with (
        serve(handler) as server,
        wire_to(server, connections=1) as wire,
        wire.stream(watch, connect_timeout=5, idle_timeout=30),
        wire.stream(watch, connect_timeout=5, idle_timeout=30),
    ):
        assert (await wire.send(Request("GET", "/"), timeout=5)).status == 200


async def test_tls_verifies_the_server_against_the_given_authority() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    ours, other = trustme.CA(), trustme.CA()
    server_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.issue_cert("127.0.0.1").configure_cert(server_tls)
    trusting, refusing = ssl.create_default_context(), ssl.create_default_context()
    ours.configure_trust(trusting)
    other.configure_trust(refusing)
    async with serve(handler, server_tls) as server:
        async with wire_to(server, ssl_context=trusting) as wire:
            assert (await wire.send(Request("GET", "/"), timeout=5)).status == 200
        async with wire_to(server, ssl_context=refusing) as wire:
            with pytest.raises(TransportError) as caught:
                await wire.send(Request("GET", "/"), timeout=5)
            assert not caught.value.maybe_sent


async def test_a_body_of_more_than_a_mebibyte_arrives_whole_and_with_its_length() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        body = b"".join([piece async for piece, _ in request.content.iter_chunks()])
        return web.json_response([request.headers["Content-Type"], request.content_length, len(body)])

    headers = {"Content-Type": "application/json"}
    async with serve(handler) as server, wire_to(server) as wire:
        for size in (2**20, 2**20 + 1, 3 * 2**20):
            answer = await wire.send(Request("POST", "/x", (), headers, b"x" * size), timeout=5)
            assert answer.body == f'["application/json", {size}, {size}]'.encode()


def test_a_stream_that_is_left_in_the_middle_leaves_no_socket_when_its_loop_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over TLS; the server in a thread of its own, for it must not take turns with the client."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    addresses: SimpleQueue[str] = SimpleQueue()
    stop = threading.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(5):
                await response.write(b"x" * 2_000_000 + b"\n")
        return response

    async def serving() -> None:
        async with serve(handler, tls) as server:
            addresses.put(server)
            await anyio.to_thread.run_sync(stop.wait)

    async def leave(server: str) -> None:
        async with wire_to(server, ssl_context=trust) as wire:
            opening = wire.stream(Request("GET", "/x", (), {}), connect_timeout=5, idle_timeout=5)
            async with opening as stream:
                assert len(await anext(aiter(stream.lines()))) == 2_000_000

    left: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: left.append(str(found.exc_value)))
    thread = threading.Thread(target=anyio.run, args=(serving,))
    thread.start()
    try:
        server = addresses.get(timeout=5)
        gc.freeze()  # what other tests left behind is not looked through each time
        for _ in range(40):
            anyio.run(leave, server)
            gc.collect()
    finally:
        gc.unfreeze()
        stop.set()
        thread.join()
    assert left == []
