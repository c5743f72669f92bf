"""The API server's time of day, by the Date of its answers: right to a second, whatever this machine's clock does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.kube.server_time import DatedWire, ServerTime
from aioctl.kube.wire import Request, Response
from testbed.virtual_time import virtual_time

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass
class Clocks:
    """The controller's clocks, and the server's."""

    steady: float = 0.0
    civil_is_off: timedelta = timedelta()

    def monotonic(self) -> float:
        return self.steady

    @property
    def truth(self) -> datetime:
        return BEGIN + timedelta(seconds=self.steady)

    def now(self) -> datetime:
        return self.truth + self.civil_is_off


JUMPS = st.integers(-100_000, 100_000).map(lambda seconds: timedelta(seconds=seconds))
STEPS = st.lists(
    st.tuples(st.floats(0, 20), st.floats(0, 3), st.floats(0, 1), JUMPS), min_size=1, max_size=12
)


@given(STEPS)
def test_it_is_the_servers_to_a_second_and_the_time_of_one_call(
    steps: list[tuple[float, float, float, timedelta]],
) -> None:
    clocks = Clocks()
    time = ServerTime(clocks)
    for pause, took, share, jump in steps:
        clocks.steady += pause
        clocks.civil_is_off = jump
        asked_at = clocks.steady
        stamped = clocks.truth + timedelta(seconds=took * share)
        clocks.steady += took
        time.hear(format_datetime(stamped, usegmt=True), asked_at)
        off = time.now() - clocks.truth
        longest = max(took for _, took, _, _ in steps)
        assert abs(off) <= timedelta(seconds=1.000_01 + longest)


def test_without_an_answer_it_is_the_clocks_and_a_jump_afterwards_changes_nothing() -> None:
    clocks = Clocks(civil_is_off=timedelta(hours=2))
    time = ServerTime(clocks)
    assert time.now() == BEGIN + timedelta(hours=2)
    time.hear(format_datetime(BEGIN, usegmt=True), 0.0)
    assert time.now() == BEGIN + timedelta(seconds=1)
    clocks.civil_is_off, clocks.steady = timedelta(days=-1), 40.5
    assert time.now() == BEGIN + timedelta(seconds=41.5)
    assert time.monotonic() == 40.5


@pytest.mark.parametrize(
    "date", ["", "soon", "Sun, 01 Mar 2026 25:00:00 GMT", "Sun, 01 Mar 2026 00:00:00 -0000"]
)
def test_what_is_no_date_says_nothing(date: str) -> None:
    clocks = Clocks(civil_is_off=timedelta(hours=2))
    time = ServerTime(clocks)
    time.hear(date, 0.0)
    assert time.now() == clocks.now()


@dataclass
class Dated:
    """Answers, and opens streams, after a second."""

    clocks: Clocks
    closed: list[bool] = field(default_factory=list)

    def _headers(self) -> Mapping[str, str]:
        self.clocks.steady += 1.0
        return {"date": format_datetime(self.clocks.truth, usegmt=True)}

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        return Response(200, self._headers(), request.path.encode())

    @asynccontextmanager
    async def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AsyncIterator[Any]:
        yield SimpleNamespace(status=200, headers=self._headers(), path=request.path)

    async def aclose(self) -> None:
        self.closed.append(True)


@virtual_time
async def test_answers_and_streams_tell_it_and_pass_through() -> None:
    for opens in (False, True):
        clocks = Clocks(civil_is_off=timedelta(days=1))
        time = ServerTime(clocks)
        inner = Dated(clocks)
        wire = DatedWire(inner, time)
        if opens:
            async with wire.stream(Request("GET", "/w"), connect_timeout=1, idle_timeout=1) as stream:
                assert stream.path == "/w"  # type: ignore[attr-defined]
        else:
            assert (await wire.send(Request("GET", "/a"), timeout=1)).body == b"/a"
        assert abs(time.now() - clocks.truth) <= timedelta(seconds=2)
        await wire.aclose()
        assert inner.closed == [True]
        await anyio.lowlevel.checkpoint()
