"""A wire straight into the simulated cluster: no sockets, so whole controllers run on virtual time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import format_datetime

import anyio

from aioctl.kube.errors import TransportError
from aioctl.kube.wire import Request, Response
from aioctl.sim.api import SimCluster
from aioctl.sim.faults import ConnectionLost
from aioctl.sim.requests import SimReply, SimRequest


class MemoryWire:
    """Implements kube.wire.Wire. (Virtual) seconds: `latency` until a request is there, `answers_after` from there on."""

    def __init__(
        self,
        cluster: SimCluster,
        *,
        latency: float = 0.001,
        answers_after: float = 0.0,
        agent: str = "aioctl/test",
    ) -> None:
        self._cluster = cluster
        self._latency = latency
        self._answers_after = answers_after
        self._agent = agent

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        with anyio.move_on_after(timeout):
            await anyio.sleep(self._latency)
            reply = await self._handle(request)
            headers = {**reply.headers, "date": self._date()}
            await anyio.sleep(self._answers_after)
            return Response(reply.status, headers, await _whole(reply))
        raise TransportError("timed out", maybe_sent=True)

    @asynccontextmanager
    async def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AsyncIterator["MemoryStream"]:
        with anyio.move_on_after(connect_timeout) as scope:
            await anyio.sleep(self._latency)
            reply = await self._handle(request)
        if scope.cancelled_caught:
            raise TransportError("timed out", maybe_sent=False)
        try:
            yield MemoryStream(reply, idle_timeout)
        finally:
            close = getattr(reply.body, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()

    async def aclose(self) -> None:
        pass

    def _date(self) -> str:
        return format_datetime(self._cluster.core.clock.now(), usegmt=True)

    async def _handle(self, request: Request) -> SimReply:
        headers = {**request.headers, "user-agent": self._agent}
        asked = SimRequest(request.method, request.path, request.query, headers, request.body or b"")
        try:
            return await self._cluster.handle(asked)
        except ConnectionLost as lost:
            raise TransportError(str(lost), maybe_sent=lost.was_done) from lost


class MemoryStream:
    """Implements kube.wire.Stream."""

    def __init__(self, reply: SimReply, idle_timeout: float) -> None:
        self._reply = reply
        self._idle_timeout = idle_timeout

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._reply.headers

    async def lines(self) -> AsyncIterator[bytes]:
        body = self._reply.body
        if isinstance(body, bytes):
            for line in body.splitlines():
                yield line
            return
        rest = b""
        while True:
            piece: bytes | None = None
            with anyio.move_on_after(self._idle_timeout) as scope:
                piece = await anext(body, None)
            if scope.cancelled_caught:
                raise TransportError("silence", maybe_sent=True)
            if piece is None:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line

    async def body(self) -> bytes:
        return await _whole(self._reply)


async def _whole(reply: SimReply) -> bytes:
    if isinstance(reply.body, bytes):
        return reply.body
    return b"".join([piece async for piece in reply.body])
