"""Reads one request's body: as fast as it has to come, no more than fits, charged by what has come."""

from typing import Final

import anyio
from aiohttp import web

from aioctl.serving.connection import Connection
from aioctl.serving.limits import Limits
from aioctl.serving.line import ClientLate, Share


class BodyReading:
    """A body of at most `size` bytes on its way in."""

    def __init__(self, request: web.BaseRequest, share: Share, limits: Limits, size: int) -> None:
        connection = request.protocol
        assert isinstance(connection, Connection)  # noqa: S101  made by HttpServer
        self._connection: Final = connection
        self._content = request.content
        self._share = share
        self._limits = limits
        self._size = size
        self._began = anyio.current_time()
        """Moved on by every wait in line: that is not the client's fault."""
        self._body = bytearray()

    async def whole(self) -> bytearray | None:
        """The body; None if it has more than `size` bytes. Raises ClientLate or Refused."""
        tiny = self._size <= self._limits.tiny_body
        while not self._content.at_eof():
            some = self._content.read_nowait() or await self._next()
            if len(self._body) + len(some) > self._size:
                return None
            if not tiny:
                await self._pay(len(some))
            self._body += some
        if tiny:
            await self._pay(len(self._body))
        body, self._body = self._body, bytearray()
        return body

    def explain(self, late: ClientLate) -> str:
        """For the client."""
        limits = self._limits
        if late.gave_way:
            return "no more of the body came while other calls waited for memory"
        if anyio.current_time() >= self._began + limits.body:
            return f"the body did not arrive within {limits.body:g} s"
        return f"the body came with less than {limits.body_pace} bytes a second after {limits.body_grace:g} s"

    async def _next(self) -> bytes:
        self._connection.await_client()
        try:
            with self._share.listening(self._due()):
                return await self._content.readany()
        finally:
            self._connection.go_on()

    def _due(self) -> float:
        """Loop time at which the next bytes have to be there."""
        limits = self._limits
        pace = limits.body_grace + len(self._body) / limits.body_pace
        return self._began + min(pace, limits.body)

    async def _pay(self, size: int) -> None:
        waits_from = anyio.current_time()
        await self._share.take(size)
        self._began += anyio.current_time() - waits_from
