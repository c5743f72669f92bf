"""The virtual-time loop itself: it jumps, it is exact, and it refuses to hang."""

from datetime import UTC, datetime

import anyio
import anyio.to_thread
import pytest

from aioctl.engine.clock import SYSTEM_CLOCK
from testbed import virtual_time as virtual_time_module
from testbed.virtual_time import Deadlock, VirtualClock, advance, run_virtual, virtual_time


@virtual_time
async def test_hours_pass_without_waiting() -> None:
    # A loop that waited for real would run into the harness' own limit of a minute.
    await anyio.sleep(36 * 3600)
    assert VirtualClock().monotonic() == 36 * 3600


@virtual_time
async def test_deadlines_fire_at_their_exact_moment() -> None:
    with anyio.move_on_after(2.5) as scope:
        await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert VirtualClock().monotonic() == 2.5


@virtual_time
async def test_the_wall_clock_follows_the_loop() -> None:
    clock = VirtualClock(datetime(2026, 11, 24, tzinfo=UTC))
    await anyio.sleep(90)
    assert clock.now() == datetime(2026, 11, 24, 0, 1, 30, tzinfo=UTC)


@virtual_time
async def test_the_system_clock_reads_the_loop_and_utc() -> None:
    await anyio.sleep(7)
    assert SYSTEM_CLOCK.monotonic() == 7
    assert SYSTEM_CLOCK.now().tzinfo is UTC


def test_the_system_clock_has_no_monotonic_time_without_a_loop() -> None:
    with pytest.raises(RuntimeError):
        SYSTEM_CLOCK.monotonic()


def test_waiting_for_what_nobody_does_fails_and_names_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(virtual_time_module, "REAL_PATIENCE", 0.1)

    async def hang() -> None:
        await anyio.Event().wait()

    with pytest.raises(Deadlock, match=r"(?s)nothing can happen any more.*hang"):
        run_virtual(hang)


@virtual_time
async def test_a_thread_is_waited_for_while_no_timer_is_set() -> None:
    assert await anyio.to_thread.run_sync(lambda: "from a thread") == "from a thread"


@virtual_time
async def test_advance_stands_for_blocking_work() -> None:
    async with anyio.create_task_group() as tg:
        tg.start_soon(anyio.sleep, 1)
        advance(3)
    assert VirtualClock().monotonic() >= 3


@virtual_time
async def test_two_hundred_sleepers_share_one_time_line() -> None:
    ends: list[float] = []

    async def sleeper(seconds: int) -> None:
        await anyio.sleep(seconds)
        ends.append(VirtualClock().monotonic())

    async with anyio.create_task_group() as tg:
        for seconds in range(200, 0, -1):
            tg.start_soon(sleeper, seconds)
    assert ends == list(range(1, 201))
