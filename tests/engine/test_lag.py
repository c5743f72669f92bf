"""The lag monitor: an idle loop has none, a blocked one has what a caller would have felt."""

import anyio
import pytest

from aioctl.engine.lag import MOST_SWALLOWED, LagMonitor
from testbed.virtual_time import VirtualClock, advance, virtual_time


async def sample(monitor: LagMonitor, blockages: list[tuple[float, float]]) -> None:
    """Runs the monitor while the loop is blocked after each pause for so many seconds."""
    async with anyio.create_task_group() as tg:
        await tg.start(lambda *, task_status: monitor.run(task_status=task_status))
        for pause, blocked in blockages:
            await anyio.sleep(pause)
            advance(blocked)
        await anyio.sleep(1)
        tg.cancel_scope.cancel()


@virtual_time
async def test_an_idle_loop_has_no_lag() -> None:
    seen: list[float] = []
    monitor = LagMonitor(seen.append, interval=0.125, clock=VirtualClock())
    await sample(monitor, [(10, 0)])
    assert len(seen) >= 80
    assert set(seen) == {0.0}


@virtual_time
async def test_a_blockage_counts_for_every_wake_up_it_swallowed() -> None:
    seen: list[float] = []
    monitor = LagMonitor(seen.append, interval=0.125, clock=VirtualClock())
    await sample(monitor, [(1.0625, 0.5)])
    assert [lag for lag in seen if lag > 0] == [0.4375, 0.3125, 0.1875, 0.0625]


@virtual_time
async def test_a_very_long_blockage_is_counted_for_a_bounded_number_of_wake_ups() -> None:
    seen: list[float] = []
    monitor = LagMonitor(seen.append, interval=0.125, clock=VirtualClock())
    await sample(monitor, [(1, 3600)])
    assert sum(lag > 0 for lag in seen) == MOST_SWALLOWED + 1
    assert max(seen) >= 3599


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="interval"):
        LagMonitor(lambda _: None, interval=0)
