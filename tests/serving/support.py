"""Servers on loopback for the tests of this package: real TLS, ordinary loop, short deadlines."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import anyio.lowlevel
import trustme
from aiohttp import ClientSession, TCPConnector
from anyio.abc import TaskStatus

from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.webhook import Answer, Call, WebhookObserver

PATIENCE = 60.0
"""Seconds after which a test gives up; nothing waits that long when it works."""


class Runs(Protocol):
    async def run(self, *, task_status: TaskStatus[None] = ...) -> None: ...


@dataclass
class Ca:
    authority: trustme.CA = field(default_factory=trustme.CA)

    def pair(self, *names: str) -> tuple[bytes, bytes]:
        leaf = self.authority.issue_cert(*(names or ("localhost", "127.0.0.1")))
        return leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()

    def live(self, *names: str) -> LiveCertificate:
        live = LiveCertificate()
        assert live.offer(*self.pair(*names))
        return live

    def client_context(self) -> ssl.SSLContext:
        # By its data: without any, the system's whole store is read for every connection.
        return ssl.create_default_context(cadata=self.authority.cert_pem.bytes().decode("ascii"))


@asynccontextmanager
async def running(*services: Runs) -> AsyncIterator[anyio.CancelScope]:
    """The services run inside; leaving stops them and waits for their end."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for service in services:
                await group.start(service.run)
            yield group.cancel_scope
            group.cancel_scope.cancel()


@asynccontextmanager
async def client(port: int, ca: Ca | None = None, **options: Any) -> AsyncIterator[ClientSession]:
    scheme = "http" if ca is None else "https"
    tls = ca.client_context() if ca is not None else True
    connector = TCPConnector(ssl=tls, limit=0, **options)
    async with ClientSession(f"{scheme}://127.0.0.1:{port}", connector=connector) as session:
        yield session


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until the condition holds; the surrounding deadline ends a vain wait."""
    while not condition():
        await anyio.lowlevel.checkpoint()


async def several_turns() -> None:
    """Whatever a server does at once, it has done then."""
    for _ in range(100):
        await anyio.lowlevel.checkpoint()


class FreePass:
    """A turnstile that lets everybody through, one loop iteration each."""

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        await anyio.lowlevel.checkpoint()
        yield

    def turn(self, *, urgent: bool = False) -> AbstractAsyncContextManager[None]:
        return self._turn()


class Echo:
    """Answers with the body, as soon as the gate is open."""

    line = "echo"

    def __init__(self, body_limit: int = 1024 * 1024, *, is_open: bool = True) -> None:
        self.body_limit = body_limit
        self.gate = anyio.Event()
        self.inside = 0
        if is_open:
            self.gate.set()

    def too_large(self, size: int) -> Answer:
        return Answer.text(413, f"{size} bytes are more than {self.body_limit}")

    async def answer(self, call: Call) -> Answer:
        self.inside += 1
        try:
            await self.gate.wait()
        finally:
            self.inside -= 1
        return Answer.of(200, bytes(call.take()))


class Recorder(WebhookObserver):
    def __init__(self) -> None:
        self.calls: list[tuple[str, int, int]] = []
        self.handshakes_failed = 0
        self.headers_timed_out = 0
        self.answers_timed_out = 0
        self.malformed = 0
        self.evicted = 0
        self.refused = 0
        self.bodies_late = 0
        self.waiting = 0
        self.in_flight = 0

    def handshake_failed(self) -> None:
        self.handshakes_failed += 1

    def header_timed_out(self) -> None:
        self.headers_timed_out += 1

    def answer_timed_out(self) -> None:
        self.answers_timed_out += 1

    def request_malformed(self) -> None:
        self.malformed += 1

    def connection_evicted(self) -> None:
        self.evicted += 1

    def connection_refused(self) -> None:
        self.refused += 1

    def body_late(self) -> None:
        self.bodies_late += 1

    def call_ended(self, path: str, status: int, seconds: float, body_bytes: int) -> None:
        self.calls.append((path, status, body_bytes))

    def line_changed(self, waiting: int, bytes_in_flight: int) -> None:
        self.waiting, self.in_flight = waiting, bytes_in_flight
