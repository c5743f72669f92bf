"""A replica that stops costs the API server no call: its client does not repeat a POST of which a byte was sent (WEB-6).

Servers take turns behind one address while objects are read that have to be converted; a new connection always finds one that
serves, so that what fails is the fault of the stop.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Final

import anyio
import httpx
import pytest
from anyio.abc import TaskStatus

from aioctl.api import kinds
from aioctl.api.review import CONVERT
from aioctl.engine.turnstile import Turnstile
from aioctl.serving import http_server
from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.limits import MIB, Limits
from aioctl.serving.webhook import WebhookServer
from aioctl.sim.hooks import conversion_patch
from tests.contract.samples import service
from tests.contract.servers import PATIENCE, Server, until

pytestmark = pytest.mark.real
ROUNDS: Final = 10
READERS: Final = 16
PAUSE: Final = 0.1
"""Seconds, on average, between two reads of one reader; drawn, so that connections are idle for as long as may be."""
ANSWERS: Final = 40
"""Reads between a change of the address and the stop of the server that was there before."""


class Switch:
    """A port whose new connections go to `target`, a port too; those that are open stay where they are."""

    def __init__(self) -> None:
        self.target = 0
        self.port = 0
        self._relays: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._relay, "127.0.0.1")
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            # The API server keeps connections that it does not use: without this they would outlive the loop.
            for relay in self._relays:
                relay.cancel()
            await asyncio.gather(*self._relays, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(_hand_on, reader, back)
                    group.start_soon(_hand_on, there, writer)
            except BaseException:
                back.transport.abort()
                raise
        except BaseException:
            writer.transport.abort()
            raise


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side closes; then it is closed on the other side, too."""
    with suppress(OSError):
        while some := await reader.read(1 << 16):
            writer.write(some)
            await writer.drain()
    writer.close()


class Stoppable:
    """A webhook server with the certificate that the API server trusts."""

    def __init__(self, server: Server) -> None:
        folder, live, turnstile = server.hooks.webhooks.certificates, LiveCertificate(), Turnstile()
        assert live.offer((folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes())
        self.webhook = WebhookServer(
            "127.0.0.1",
            0,
            live,
            {CONVERT: ConversionHandler(turnstile, body_limit=MIB)},
            limits=Limits(drain=2 * PATIENCE),
            turnstile=turnstile,
        )
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with self._scope:
            await self.webhook.run(task_status=task_status)
        self._ended.set()

    async def stop(self) -> None:
        self._scope.cancel()
        await self._ended.wait()


class Readers:
    """Read one object in the version that is not stored; each read is a conversion."""

    def __init__(self, server: Server, path: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._server = server
        self._path = path

    async def run(self) -> None:
        assert isinstance(self._server.tls, ssl.SSLContext)
        async with (
            httpx.AsyncClient(
                base_url=self._server.address,
                verify=self._server.tls,
                headers={"Authorization": f"Bearer {self._server.token}"},
                timeout=PATIENCE,
            ) as http,
            anyio.create_task_group() as group,
        ):
            for number in range(READERS):
                group.start_soon(self._read_on, http, random.Random(number))  # noqa: S311  moments, no secrets

    async def _read_on(self, http: httpx.AsyncClient, dice: random.Random) -> None:
        while True:
            answer = await http.get(self._path)
            if answer.status_code == HTTPStatus.OK:
                self.answered += 1
            elif answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:  # while a changed CRD is set up
                self.failed.append(answer.text)
            await anyio.sleep(dice.expovariate(1 / PAUSE))

    async def until_answered(self, count: int) -> None:
        before = self.answered
        while self.answered < before + count:
            assert self.failed == []
            await anyio.sleep(0.01)


async def test_servers_that_take_turns_fail_no_conversion(
    real_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine is: what is to be seen is that the client closes.
    monkeypatch.setattr(http_server, "_FAREWELL", PATIENCE)
    namespace, switch = real_server.namespace(), Switch()
    made = real_server("POST", kinds.SERVICE.path(namespace), service("read"))
    assert made.status == HTTPStatus.CREATED, made.body
    path = kinds.SERVICE_V1ALPHA1.path(namespace, "read")
    with anyio.fail_after(PATIENCE):
        async with switch.open(), anyio.create_task_group() as group:
            current = Stoppable(real_server)
            await group.start(current.run)
            switch.target = current.webhook.port
            await convert_at(real_server, f"https://localhost:{switch.port}", path)
            readers = Readers(real_server, path)
            group.start_soon(readers.run)
            try:
                for _ in range(ROUNDS):
                    following = Stoppable(real_server)
                    await group.start(following.run)
                    switch.target = following.webhook.port
                    await readers.until_answered(ANSWERS)
                    await current.stop()
                    current = following
                await readers.until_answered(ANSWERS)
            finally:
                with anyio.CancelScope(shield=True):
                    await convert_at(real_server, real_server.hooks.webhooks.url, path)
            group.cancel_scope.cancel()
    assert readers.failed == []


async def convert_at(server: Server, url: str, path: str) -> None:
    """From now on the API server has services converted there; that one can be read."""
    clause = conversion_patch(url, server.hooks.webhooks.bundle)
    crd = kinds.CRD.path("", kinds.SERVICE.resource)
    patched = await anyio.to_thread.run_sync(partial(server.merge, crd, clause))
    assert patched.status == HTTPStatus.OK, patched.body
    await anyio.to_thread.run_sync(until, lambda: server("GET", path).status == HTTPStatus.OK)
