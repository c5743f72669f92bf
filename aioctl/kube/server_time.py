"""What time it is for the API server: it writes the ages of objects, and a controller's own clock may be wrong or jump.

Its answers say it to the second (RFC 9110, section 6.6.1). Between them time runs on by the steady clock, so that nothing
depends on what somebody does to the clock of this machine; the first answer sets it, each later one only bounds it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from aioctl.engine.clock import Clock
from aioctl.kube.wire import Request, Response, Stream, Wire

_SECOND: Final = timedelta(seconds=1)


class ServerTime:
    """A `Clock` whose time of day is the API server's; until an answer has told it, the given clock's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at = 0.0
        """When `_was` was right, by the steady clock."""
        self._was: datetime | None = None
        self._heard = ""

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def now(self) -> datetime:
        if self._was is None:
            return self._clock.now()
        return self._was + timedelta(seconds=self._clock.monotonic() - self._at)

    def hear(self, date: str, asked_at: float) -> None:
        """An answer to what was asked at that steady time bears this Date; one that cannot be read says nothing.

        It was stamped between question and answer, and leaves out the part of a second.
        """
        if date == self._heard:
            return
        try:
            said = parsedate_to_datetime(date)
        except ValueError:
            return
        if said.tzinfo is None:
            return
        self._heard = date
        at = self._clock.monotonic()
        earliest = said.astimezone(UTC)
        latest = earliest + _SECOND + timedelta(seconds=at - asked_at)
        self._was, self._at = min(max(self.now(), earliest), latest), at


class DatedWire:
    """A wire that tells the server's time by the answers that it carries."""

    def __init__(self, wire: Wire, time: ServerTime) -> None:
        self._wire = wire
        self._time = time

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        asked_at = self._time.monotonic()
        response = await self._wire.send(request, timeout=timeout)
        self._time.hear(response.headers.get("date", ""), asked_at)
        return response

    @asynccontextmanager
    async def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AsyncIterator[Stream]:
        asked_at = self._time.monotonic()
        opened = self._wire.stream(request, connect_timeout=connect_timeout, idle_timeout=idle_timeout)
        async with opened as stream:
            self._time.hear(stream.headers.get("date", ""), asked_at)
            yield stream

    async def aclose(self) -> None:
        await self._wire.aclose()
