"""The webhook server at its edges: paths, sizes, lines, deadlines, bursts, the stop. Real TLS on loopback.

Rules: ARCH-9, WEB-2.
"""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest
from aiohttp import ClientError
from anyio.streams.tls import TLSAttribute, TLSStream

from aioctl.engine.turnstile import Turnstile
from aioctl.serving import connection, http_server, room
from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.http_server import ListenError
from aioctl.serving.limits import MIB, Limits
from aioctl.serving.webhook import Answer, Call, Handler, WebhookServer
from testbed.leaps import leap
from tests.serving.support import PATIENCE, Ca, Echo, Recorder, client, running, several_turns, until

LIMITS = Limits(idle=5.0, drain=5.0)


def server(
    ca: Ca, handler: Handler | None = None, *, limits: Limits = LIMITS, observer: Recorder | None = None
) -> WebhookServer:
    handlers: dict[str, Handler] = {"/convert": handler or Echo()}
    return WebhookServer(
        "127.0.0.1",
        0,
        ca.live(),
        handlers,
        limits=limits,
        turnstile=Turnstile(),
        observer=observer or Recorder(),
    )


async def connected(webhook: WebhookServer, ca: Ca) -> TLSStream:
    return await anyio.connect_tcp(
        "127.0.0.1", webhook.port, ssl_context=ca.client_context(), tls_standard_compatible=False
    )


async def test_a_path_is_found_whatever_its_query_says(ca: Ca) -> None:
    observer = Recorder()
    webhook = server(ca, observer=observer)
    async with running(webhook), client(webhook.port, ca) as http:
        answer = await http.post("/convert?timeout=30s", data=b"hello")
        assert (answer.status, await answer.read()) == (200, b"hello")
    assert observer.calls == [("/convert", 200, 5)]


async def test_unknown_paths_and_methods_are_told_so(ca: Ca) -> None:
    webhook = server(ca)
    async with running(webhook), client(webhook.port, ca) as http:
        async with http.post("/other", data=b"x") as answer:
            assert (answer.status, await answer.text()) == (404, "no webhook at /other\n")
        async with http.get("/convert") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_body_over_the_limit_gets_413_and_is_not_read(ca: Ca) -> None:
    webhook = server(ca, Echo(body_limit=1000))
    async with running(webhook), client(webhook.port, ca) as http:
        async with http.post("/convert", data=b"x" * 1000) as answer:
            assert answer.status == 200
        async with http.post("/convert", data=b"x" * 1001) as answer:
            assert (answer.status, await answer.text()) == (413, "1001 bytes are more than 1000\n")


async def test_a_body_without_announced_length_is_bounded_as_a_small_one(ca: Ca) -> None:
    async def chunks(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    webhook = server(ca, limits=replace(LIMITS, small_body=1000))
    async with running(webhook), client(webhook.port, ca) as http:
        async with http.post("/convert", data=chunks(10)) as answer:
            assert (answer.status, len(await answer.read())) == (200, 1000)
        async with http.post("/convert", data=chunks(11)) as answer:
            assert answer.status == 413


async def test_bytes_in_flight_are_bounded_and_the_others_wait_in_line(ca: Ca) -> None:
    echo, observer = Echo(is_open=False), Recorder()
    limits = replace(LIMITS, tiny_bytes=3000)
    webhook = server(ca, echo, limits=limits, observer=observer)
    statuses: list[int] = []
    async with running(webhook), client(webhook.port, ca) as http:

        async def call() -> None:
            async with http.post("/convert", data=b"x" * 1000) as answer:
                await answer.read()
                statuses.append(answer.status)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(call)
            await until(lambda: observer.waiting == 5 and echo.inside == 3)
            assert observer.in_flight == 3000
            echo.gate.set()
        assert statuses == [200] * 8
        assert (observer.waiting, observer.in_flight) == (0, 0)


async def test_only_beyond_the_line_are_calls_refused(ca: Ca) -> None:
    echo, observer = Echo(is_open=False), Recorder()
    webhook = server(ca, echo, limits=replace(LIMITS, tiny_bytes=10, waiting=1), observer=observer)
    async with running(webhook), client(webhook.port, ca) as http, anyio.create_task_group() as group:

        async def call() -> None:
            async with http.post("/convert", data=b"0123456789") as answer:
                assert answer.status == 200

        group.start_soon(call)
        group.start_soon(call)
        await until(lambda: observer.waiting == 1 and echo.inside == 1)
        async with http.post("/convert", data=b"0123456789") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
            assert "1 calls are waiting already" in await answer.text()
        echo.gate.set()


async def test_a_large_body_does_not_hold_up_small_ones(ca: Ca) -> None:
    class LargeWaits(Echo):
        async def answer(self, call: Call) -> Answer:
            if len(call.body) < 100:
                return Answer.of(200, bytes(call.take()))
            return await super().answer(call)

    handler = LargeWaits(is_open=False)
    webhook = server(ca, handler, limits=replace(LIMITS, tiny_body=10, small_body=100, large_bytes=10))
    async with running(webhook), client(webhook.port, ca) as http, anyio.create_task_group() as group:

        async def large() -> None:
            async with http.post("/convert", data=b"x" * 1000) as answer:
                assert answer.status == 200

        group.start_soon(large)
        group.start_soon(large)
        await until(lambda: handler.inside == 1)
        async with http.post("/convert", data=b"small") as answer:
            assert answer.status == 200
        handler.gate.set()


async def test_a_client_that_leaves_the_line_frees_its_place(ca: Ca) -> None:
    echo, observer = Echo(is_open=False), Recorder()
    webhook = server(ca, echo, limits=replace(LIMITS, tiny_bytes=10), observer=observer)
    async with running(webhook), client(webhook.port, ca) as http, anyio.create_task_group() as group:

        async def call() -> None:
            async with http.post("/convert", data=b"0123456789"):
                pass

        group.start_soon(call)
        group.start_soon(call)
        await until(lambda: observer.waiting == 1)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await until(lambda: len(observer.calls) == 2)
    assert [status for _, status, _ in observer.calls] == [499, 499]
    assert (observer.waiting, observer.in_flight) == (0, 0)


HALF = b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Le"
WHOLE = b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


@asynccontextmanager
async def stopping(webhook: WebhookServer, ca: Ca, whole: bytes = WHOLE) -> AsyncIterator[TLSStream]:
    """A connection that was served once and is idle, while its server is asked to stop; leaving it waits for the end."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            await group.start(webhook.run)
            async with await connected(webhook, ca) as stream:
                await stream.send(whole)
                assert (await stream.receive()).startswith(b"HTTP/1.")
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await until(lambda: not webhook.serving)
                    await several_turns()
                    yield stream


@pytest.mark.parametrize("before", [b"", WHOLE], ids=["first request", "second request"])
async def test_half_a_header_is_cut_off_after_its_deadline(ca: Ca, before: bytes) -> None:
    observer = Recorder()
    webhook = server(ca, limits=replace(LIMITS, header=20, idle=50), observer=observer)
    async with running(webhook):
        stream = await connected(webhook, ca)
        async with stream:
            if before:
                await stream.send(before)
                assert (await stream.receive()).startswith(b"HTTP/1.1 200")
            await stream.send(HALF)
            await several_turns()
            leap(21)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        await until(lambda: webhook.connections == 0)
    assert observer.headers_timed_out == 1


async def test_a_connection_opened_for_later_is_kept_as_long_as_an_idle_one(ca: Ca) -> None:
    observer = Recorder()
    webhook = server(ca, limits=replace(LIMITS, header=2, idle=20), observer=observer)
    async with running(webhook), await connected(webhook, ca) as spare:
        await several_turns()
        leap(10)
        await several_turns()
        await spare.send(WHOLE)
        assert (await spare.receive()).startswith(b"HTTP/1.1 200")
    assert observer.headers_timed_out == 0


async def test_a_connection_opened_for_later_is_closed_when_nothing_comes(ca: Ca) -> None:
    observer = Recorder()
    webhook = server(ca, limits=replace(LIMITS, header=0.02, idle=0.1), observer=observer)
    async with running(webhook), await connected(webhook, ca) as silent:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await silent.receive()
    assert observer.headers_timed_out == 1


async def test_many_slow_clients_are_all_cut_off_while_others_are_served(ca: Ca) -> None:
    observer = Recorder()
    limits = replace(LIMITS, header=20, handshake=20, handshakes=4, idle=50)
    webhook = server(ca, limits=limits, observer=observer)
    async with running(webhook), client(webhook.port, ca) as http:
        silent = [await anyio.connect_tcp("127.0.0.1", webhook.port) for _ in range(40)]
        slow = [await connected(webhook, ca) for _ in range(10)]
        for stream in slow:
            await stream.send(HALF)
        async with http.post("/convert", data=b"x") as answer:
            assert answer.status == 200
        await several_turns()
        leap(21)
        await until(lambda: webhook.connections == 1)
        assert (observer.handshakes_failed, observer.headers_timed_out) == (40, 10)
        for one in (*silent, *slow):
            await anyio.aclose_forcefully(one)


async def test_a_body_that_does_not_come_is_given_up(ca: Ca) -> None:
    webhook = server(ca, limits=replace(LIMITS, body=0.05))
    async with running(webhook):
        stream = await connected(webhook, ca)
        async with stream:
            await stream.send(WHOLE.replace(b"Content-Length: 2", b"Content-Length: 50"))
            answer = await stream.receive()
    assert answer.startswith(b"HTTP/1.1 408")
    assert answer.endswith(b"the body did not arrive within 0.05 s\n")


class InPieces(Echo):
    """As conversions leave: one piece an object."""

    async def answer(self, call: Call) -> Answer:
        body = memoryview(call.take())
        pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
        return Answer(200, "application/json", pieces)


async def test_an_answer_that_is_not_read_is_given_up_and_frees_its_place(ca: Ca) -> None:
    observer, size = Recorder(), 24 * MIB  # more than the kernel keeps for one connection
    limits = replace(LIMITS, answer=0.5, large_bytes=size)
    webhook = server(ca, InPieces(size), limits=limits, observer=observer)
    async with running(webhook):
        stream = await connected(webhook, ca)
        await stream.send(b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        await stream.send(b"x" * size)
        await until(lambda: bool(observer.calls) and webhook.connections == 0)
        assert (observer.calls, observer.in_flight) == ([("/convert", 499, size)], 0)
        await anyio.aclose_forcefully(stream)


async def test_an_idle_connection_is_closed(ca: Ca) -> None:
    webhook = server(ca, limits=replace(LIMITS, idle=20, header=50))
    async with running(webhook):
        stream = await connected(webhook, ca)
        async with stream:
            await stream.send(WHOLE)
            await stream.receive()
            await several_turns()
            leap(21)
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()


async def test_expect_continue_is_answered_before_the_body(ca: Ca) -> None:
    webhook = server(ca)
    async with running(webhook), client(webhook.port, ca) as http:
        answer = await http.post("/convert", data=b"hello", expect100=True)
        assert (answer.status, await answer.read()) == (200, b"hello")


async def test_a_burst_of_fresh_connections_is_served_whole(ca: Ca) -> None:
    webhook = server(ca, limits=replace(LIMITS, handshakes=8))
    served = 0
    async with running(webhook), client(webhook.port, ca, force_close=True) as http:

        async def call() -> None:
            nonlocal served
            async with http.post("/convert", data=b"x") as answer:
                served += answer.status == 200

        async with anyio.create_task_group() as group:
            for _ in range(150):
                group.start_soon(call)
    assert served == 150


async def test_connections_are_bounded(ca: Ca, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "GRACE", PATIENCE)  # a client in the middle of its handshake is not idle
    webhook = server(ca, limits=replace(LIMITS, connections=2))
    async with running(webhook), client(webhook.port, ca, force_close=True) as http:

        async def call() -> None:
            async with http.post("/convert", data=b"x") as answer:
                assert answer.status == 200
                assert webhook.connections <= 2

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(call)


async def test_calls_in_flight_are_answered_before_the_server_ends(ca: Ca) -> None:
    echo = Echo(is_open=False)
    webhook = server(ca, echo)
    closings: list[tuple[int, str | None]] = []
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as callers, anyio.create_task_group() as group:
            await group.start(webhook.run)

            async def call() -> None:
                async with client(webhook.port, ca) as http, http.post("/convert", data=b"x") as answer:
                    closings.append((answer.status, answer.headers.get("Connection")))

            callers.start_soon(call)
            callers.start_soon(call)
            await until(lambda: echo.inside == 2)
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await until(lambda: not webhook.serving)
                echo.gate.set()
    assert closings == [(200, "close")] * 2


async def test_a_call_that_crosses_the_stop_is_answered_after_an_interim_response(
    ca: Ca, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client sent it before it could know. A client that sees the interim response without having sent anything closes."""
    monkeypatch.setattr(http_server, "_FAREWELL", 10 * PATIENCE)
    webhook = server(ca, limits=replace(LIMITS, drain=20 * PATIENCE))
    async with stopping(webhook, ca) as stream:
        await stream.send(WHOLE)
        answer = b"".join([some async for some in stream])
    assert answer.startswith(INTERIM + b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()


async def test_an_idle_connection_is_left_to_its_client_to_close(
    ca: Ca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "_FAREWELL", 10 * PATIENCE)
    webhook = server(ca, limits=replace(LIMITS, drain=20 * PATIENCE))
    async with stopping(webhook, ca) as stream:
        assert await stream.receive() == INTERIM
        assert webhook.connections == 1
        await anyio.aclose_forcefully(stream)
        await until(lambda: webhook.connections == 0)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_client_that_does_not_know_interim_responses_gets_none(ca: Ca, version: bytes) -> None:
    whole = WHOLE.replace(b"1.1", version).replace(b"Host: x", b"Host: x\r\nConnection: keep-alive")
    webhook = server(ca, limits=replace(LIMITS, drain=0.2))
    async with stopping(webhook, ca, whole) as stream:
        said = b"".join([some async for some in stream])
    assert said == (INTERIM if version == b"1.1" else b"")


async def test_a_connection_that_was_opened_for_a_first_request_is_waited_for(ca: Ca) -> None:
    webhook = server(ca)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            await group.start(webhook.run)
            async with await connected(webhook, ca) as stream:
                await until(lambda: webhook.connections == 1)
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await until(lambda: not webhook.serving)
                    await stream.send(WHOLE)
                    assert (await stream.receive()).startswith(b"HTTP/1.1 200")


async def test_a_first_request_that_never_comes_ends_the_wait(
    ca: Ca, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_FIRST_REQUEST", 0.05)
    webhook = server(ca)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            await group.start(webhook.run)
            async with await connected(webhook, ca) as stream:
                await until(lambda: webhook.connections == 1)
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    assert await stream.receive() == INTERIM


async def test_a_call_that_does_not_end_is_cut_when_the_drain_is_over(ca: Ca) -> None:
    echo = Echo(is_open=False)
    webhook = server(ca, echo, limits=replace(LIMITS, drain=0.05))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            await group.start(webhook.run)
            stream = await connected(webhook, ca)
            await stream.send(WHOLE)
            await until(lambda: echo.inside == 1)
            group.cancel_scope.cancel()
        await until(lambda: echo.inside == 0)
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        await anyio.aclose_forcefully(stream)


async def test_a_connection_that_the_kernel_took_before_the_stop_is_served(ca: Ca) -> None:
    webhook = server(ca)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            await group.start(webhook.run)
            context = ca.client_context()
            with socket.create_connection(
                ("127.0.0.1", webhook.port)
            ) as raw:  # blocks the loop: nobody accepts
                group.cancel_scope.cancel()

                def talk() -> bytes:
                    with context.wrap_socket(raw, server_hostname="127.0.0.1") as stream:
                        stream.sendall(WHOLE)
                        return stream.recv(1000)

                with anyio.CancelScope(shield=True):
                    answer = await anyio.to_thread.run_sync(talk)
    assert answer.startswith(b"HTTP/1.1 200")


async def test_before_a_certificate_is_there_connections_are_refused(ca: Ca) -> None:
    live = LiveCertificate()
    webhook = WebhookServer("127.0.0.1", 0, live, {"/convert": Echo()}, limits=LIMITS, turnstile=Turnstile())
    async with running(webhook), client(webhook.port, ca) as http:
        assert not webhook.serving
        with pytest.raises(ClientError):
            await http.post("/convert", data=b"x")
        live.offer(*ca.pair())
        await until(lambda: webhook.serving)
        async with http.post("/convert", data=b"x") as answer:
            assert answer.status == 200


async def test_after_the_stop_no_connection_is_open(ca: Ca) -> None:
    webhook = server(ca, limits=replace(LIMITS, drain=0.1))
    async with AsyncExitStack() as clients:
        async with running(webhook):
            for _ in range(3):
                stream = await clients.enter_async_context(await connected(webhook, ca))
                await stream.send(WHOLE)
                assert (await stream.receive()).startswith(b"HTTP/1.1 200")
            assert webhook.connections == 3
        assert webhook.connections == 0


async def test_a_port_in_use_stops_the_start(ca: Ca) -> None:
    first = server(ca)
    async with running(first):
        second = WebhookServer("127.0.0.1", first.port, ca.live(), {}, limits=LIMITS, turnstile=Turnstile())
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{first.port}: Address already in use"):
            await second.run()


async def test_old_protocol_versions_are_not_spoken(ca: Ca) -> None:
    webhook = server(ca)
    context = ca.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with running(webhook):
        stream = await anyio.connect_tcp("127.0.0.1", webhook.port, ssl_context=context)
        async with stream:
            tls: ssl.SSLObject = stream.extra_attributes[TLSAttribute.ssl_object]()
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert tls.version() == "TLSv1.3"
    served = ca.live().context
    assert served is not None
    assert served.minimum_version == ssl.TLSVersion.TLSv1_2
