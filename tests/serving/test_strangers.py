"""What anybody who reaches the port may try, and what a client that behaves notices of it: nothing. Real TLS on loopback.

Every attack runs from the same address as the client, so that no rule about addresses helps; bounds are small, and what an
attack needs to starve the server is less than what is sent here.
"""

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import anyio
import pytest
from aiohttp import web
from anyio.abc import SocketStream
from structlog.testing import capture_logs

from aioctl.engine.turnstile import Turnstile
from aioctl.serving.http_server import HttpServer
from aioctl.serving.limits import KIB, MIB, Limits
from aioctl.serving.webhook import Handler, WebhookServer
from tests.serving.support import Ca, Echo, Recorder, client, running, until
from tests.serving.test_hello import HELLO
from tests.serving.test_webhook import HALF, WHOLE, InPieces, connected

BEARABLE = 10.0
"""Seconds that no call of a client that behaves may take while an attack runs: less than any deadline that would end the attack,
and more than a busy machine needs."""
CALLS = 12
LIMITS = Limits(
    handshake=30.0,
    header=30.0,
    idle=30.0,
    body=30.0,
    body_grace=30.0,
    answer=30.0,
    drain=0.1,
    handshakes=2,
    connections=40,
    connections_per_peer=40,
)
"""No deadline ends an attack in time: what helps must be something else."""


def server(
    ca: Ca, handlers: dict[str, Handler] | None = None, **limits: float
) -> tuple[WebhookServer, Recorder]:
    observer = Recorder()
    webhook = WebhookServer(
        "127.0.0.1",
        0,
        ca.live(),
        handlers or {"/convert": Echo()},
        limits=replace(LIMITS, **limits),  # type: ignore[arg-type]
        turnstile=Turnstile(),
        observer=observer,
    )
    return webhook, observer


async def served(webhook: WebhookServer, ca: Ca, body: bytes = b"x", path: str = "/convert") -> None:
    """Calls over fresh connections and over a kept one; each has to be answered in bearable time."""
    async with client(webhook.port, ca) as kept, client(webhook.port, ca, force_close=True) as fresh:
        for http in (kept, fresh) * (CALLS // 2):
            with anyio.fail_after(BEARABLE):
                async with http.post(path, data=body) as answer:
                    assert (answer.status, await answer.read()) == (200, body)


@asynccontextmanager
async def strangers(webhook: WebhookServer, count: int, said: bytes) -> AsyncIterator[list[SocketStream]]:
    """Connections that say this over TCP, and no more."""
    async with AsyncExitStack() as opened:
        streams = []
        for _ in range(count):
            stream = await anyio.connect_tcp("127.0.0.1", webhook.port)
            opened.push_async_callback(anyio.aclose_forcefully, stream)
            await stream.send(said) if said else None
            streams.append(stream)
        yield streams


@pytest.mark.parametrize(
    "said",
    [b"", HELLO[:1], HELLO[:-1], HELLO, b"GET / HTTP/1.1\r\n"],
    ids=["nothing", "one byte", "half a hello", "a hello", "no TLS"],
)
async def test_handshakes_that_are_not_finished_hold_up_nobody(ca: Ca, said: bytes) -> None:
    webhook, _ = server(ca)
    async with running(webhook), strangers(webhook, 39, said):
        await served(webhook, ca)


@pytest.mark.parametrize("said", [b"", HELLO[:1], HELLO], ids=["nothing", "one byte", "a hello"])
async def test_when_full_the_longest_idle_gives_way(ca: Ca, said: bytes) -> None:
    webhook, observer = server(ca)
    async with running(webhook), strangers(webhook, 60, said):
        await served(webhook, ca)
        assert webhook.connections <= 40
        assert observer.evicted >= 20


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(b"", id="nothing", marks=pytest.mark.thorough),
        pytest.param(HALF, id="half a header", marks=pytest.mark.thorough),
        pytest.param(WHOLE, id="an answered call"),
    ],
)
async def test_idle_connections_over_tls_shut_nobody_out(ca: Ca, before: bytes) -> None:
    webhook, observer = server(ca)
    async with running(webhook), AsyncExitStack() as opened:
        for _ in range(50):
            stream = await connected(webhook, ca)
            opened.push_async_callback(anyio.aclose_forcefully, stream)
            if before:
                await stream.send(before)
            if before == WHOLE:
                await stream.receive()
        await served(webhook, ca)
        assert webhook.connections <= 40
        assert observer.evicted >= 10


async def test_a_connection_that_is_answered_is_not_closed_for_another(ca: Ca) -> None:
    echo = Echo(is_open=False)
    webhook, observer = server(ca, {"/convert": echo, "/other": Echo()})
    answered = []
    async with running(webhook), client(webhook.port, ca) as http, anyio.create_task_group() as group:

        async def call() -> None:
            async with http.post("/convert", data=b"x") as answer:
                answered.append(answer.status)

        for _ in range(20):
            group.start_soon(call)
        await until(lambda: echo.inside == 20)
        async with strangers(webhook, 60, b""):
            await served(webhook, ca, path="/other")
        echo.gate.set()
    assert answered == [200] * 20
    assert observer.evicted > 0


async def test_an_address_has_its_bound_and_others_get_in(ca: Ca) -> None:
    webhook, observer = server(ca, connections_per_peer=30)
    async with running(webhook), AsyncExitStack() as opened:
        for _ in range(60):
            stream = await anyio.connect_tcp("127.0.0.1", webhook.port, local_host="127.0.0.2")
            opened.push_async_callback(anyio.aclose_forcefully, stream)
        await until(lambda: observer.evicted + observer.refused == 30)
        assert webhook.connections <= 30
        await served(webhook, ca)


@pytest.mark.parametrize("announced", [64 * KIB, 1024 * KIB], ids=["small", "medium"])
@pytest.mark.parametrize("comes", [1, 40 * KIB])
async def test_announced_bodies_hold_no_memory(ca: Ca, announced: int, comes: int) -> None:
    webhook, observer = server(ca, {"/convert": Echo(), "/validate": Echo()}, small_bytes=1024 * KIB)
    head = b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % announced
    async with running(webhook), AsyncExitStack() as opened:
        for _ in range(35):
            stream = await connected(webhook, ca)
            opened.push_async_callback(anyio.aclose_forcefully, stream)
            await stream.send(head + b"x" * comes)
        await served(webhook, ca)
        await served(webhook, ca, b"x" * (100 * KIB))
        await served(webhook, ca, path="/validate")
        assert observer.in_flight <= 2048 * KIB


async def test_who_is_silent_amid_a_body_gives_way_when_memory_is_scarce(ca: Ca) -> None:
    webhook, observer = server(ca, small_bytes=200 * KIB, small_silence=0.1)
    head = b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (1024 * KIB)
    async with running(webhook), AsyncExitStack() as opened:
        for _ in range(4):
            stream = await connected(webhook, ca)
            opened.push_async_callback(anyio.aclose_forcefully, stream)
            await stream.send(head + b"x" * (60 * KIB))
        await served(webhook, ca, b"x" * (100 * KIB))
        assert observer.bodies_late > 0


async def test_many_bodies_that_fit_only_one_by_one_all_come_through(ca: Ca) -> None:
    webhook, observer = server(ca, small_bytes=200 * KIB)
    peak = 0
    async with running(webhook), client(webhook.port, ca) as http:

        async def call() -> None:
            nonlocal peak
            async with http.post("/convert", data=b"x" * (150 * KIB)) as answer:
                assert answer.status == 200
                peak = max(peak, observer.in_flight)

        async with anyio.create_task_group() as group:
            for _ in range(12):
                group.start_soon(call)
    assert peak <= 350 * KIB
    assert (observer.waiting, observer.in_flight, observer.bodies_late) == (0, 0, 0)


async def test_a_body_has_to_keep_the_pace(ca: Ca) -> None:
    webhook, observer = server(ca, body_grace=0.1, body_pace=64 * KIB)
    async with running(webhook):
        stream = await connected(webhook, ca)
        async with stream:
            await stream.send(WHOLE.replace(b"Content-Length: 2", b"Content-Length: 50000") + b"x" * 10_000)
            answer = await stream.receive()
    assert answer.startswith(b"HTTP/1.1 408")
    assert answer.endswith(b"less than 65536 bytes a second after 0.1 s\n")
    assert observer.bodies_late == 1


async def test_one_kind_of_call_cannot_fill_the_line_of_another(ca: Ca) -> None:
    class Other(Echo):
        line = "other"

    echo = Echo(is_open=False)
    webhook, observer = server(ca, {"/mutate": echo, "/convert": Other()}, tiny_bytes=10, waiting=5)
    async with running(webhook), client(webhook.port, ca) as http, anyio.create_task_group() as group:

        async def call() -> None:
            async with http.post("/mutate", data=b"0123456789") as answer:
                assert answer.status == 200

        for _ in range(6):
            group.start_soon(call)
        await until(lambda: observer.waiting == 5)
        await served(webhook, ca, b"0123456789")
        echo.gate.set()


async def test_a_malformed_request_is_one_line_in_the_log_and_many_are_not_many(ca: Ca) -> None:
    webhook, observer = server(ca)
    with capture_logs() as logs:
        async with running(webhook):
            for said in (
                b"\x00\x01 nonsense\r\n\r\n",
                b"POST /convert HTTP/1.1\r\nContent-Length: x\r\n\r\n",
            ):
                async with await connected(webhook, ca) as stream:
                    await stream.send(said)
                    assert b" 400 Bad Request\r\n" in await stream.receive()
    assert observer.malformed == 2
    lines = [entry for entry in logs if entry["event"] == "malformed request refused"]
    assert len(lines) <= 1
    assert all("\n" not in entry["problem"] and entry["peer"] == "127.0.0.1" for entry in lines)


def distrust(port: int) -> None:
    """As a client that says why it leaves; asyncio's own leaves without a word."""
    plain = socket.create_connection(("127.0.0.1", port))
    with ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1"):
        pass


async def test_a_client_that_does_not_trust_the_certificate_is_named_in_the_log_with_its_reason(
    ca: Ca,
) -> None:
    """As an API server whose caBundle does not fit: whoever reads the log finds the cause there."""
    webhook, observer = server(ca)
    with capture_logs() as logs:
        async with running(webhook):
            with pytest.raises(ssl.SSLError):
                await anyio.to_thread.run_sync(distrust, webhook.port)
            await until(lambda: observer.handshakes_failed == 1)
    (line,) = [entry for entry in logs if entry["event"] == "TLS handshake failed"]
    assert (line["peer"], line["log_level"]) == ("127.0.0.1", "warning")
    assert "UNKNOWN_CA" in line["error"] or "BAD_CERTIFICATE" in line["error"]


def page_server(page: bytes, observer: Recorder) -> HttpServer:
    async def answer(_request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=page)

    return HttpServer("127.0.0.1", 0, answer, limits=replace(LIMITS, answer=0.1), observer=observer)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSING = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("asks", [GET, CLOSING, GET * 3], ids=["kept", "closing", "pipelined"])
async def test_a_reader_that_does_not_read_is_cut_off(asks: bytes) -> None:
    observer = Recorder()
    pages = page_server(b"x" * (24 * MIB), observer)  # more than the kernel keeps for one connection
    async with running(pages), await anyio.connect_tcp("127.0.0.1", pages.port) as stream:
        await stream.send(asks)
        await until(lambda: pages.connections == 0 and observer.answers_timed_out == 1)


async def test_many_small_answers_that_are_not_read_are_cut_off_too() -> None:
    observer = Recorder()
    pages = page_server(b"x" * (8 * KIB), observer)
    async with running(pages), await anyio.connect_tcp("127.0.0.1", pages.port) as stream:
        with suppress(anyio.BrokenResourceError):
            while not observer.answers_timed_out:
                with anyio.move_on_after(0.05):
                    await stream.send(GET * 100)
        await until(lambda: pages.connections == 0)


async def test_a_reader_that_reads_has_its_answers_one_after_the_other() -> None:
    observer = Recorder()
    pages = page_server(b"x" * MIB, observer)
    async with running(pages), client(pages.port) as http:
        for _ in range(5):
            async with http.get("/") as answer:
                assert len(await answer.read()) == MIB
            await anyio.sleep(0.06)
    assert observer.answers_timed_out == 0


async def test_who_does_not_read_a_large_answer_gives_way_when_memory_is_scarce(ca: Ca) -> None:
    size = 24 * MIB  # more than the kernel keeps for one connection
    webhook, observer = server(
        ca, {"/convert": InPieces(size)}, large_bytes=size, large_silence=0.2, tiny_body=10, small_body=10
    )
    head = b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size
    async with running(webhook):
        stream = await connected(webhook, ca)
        await stream.send(head)
        await stream.send(b"x" * size)
        await until(lambda: observer.in_flight == size)
        async with client(webhook.port, ca) as http, http.post("/convert", data=b"x" * 100_000) as answer:
            assert (answer.status, len(await answer.read())) == (200, 100_000)
        assert observer.answers_timed_out == 1
        await anyio.aclose_forcefully(stream)
