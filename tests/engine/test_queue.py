"""The work queue by example: merging, delays, priorities that age, backoff, shutdown, cancellation, metrics hooks."""

from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from aioctl.engine.limits import Backoff, TokenBucket
from aioctl.engine.queue import LOW_PRIORITY, QueueObserver, QueueStatistics, ShutDown, WorkQueue
from testbed.virtual_time import VirtualClock, virtual_time


def make(*, ageing: float = 1.0) -> WorkQueue[str]:
    return WorkQueue(clock=VirtualClock(), ageing=ageing)


async def take_all(queue: WorkQueue[str]) -> list[str]:
    """Takes and finishes keys until none is ready."""
    keys = []
    while len(queue):
        keys.append(await queue.get())
        queue.done(keys[-1])
    return keys


@virtual_time
async def test_a_key_added_twice_is_worked_once() -> None:
    queue = make()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert await take_all(queue) == ["a", "b"]


@virtual_time
async def test_a_key_added_while_it_runs_runs_again_after_done_and_not_before() -> None:
    queue = make()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.statistics() == QueueStatistics(ready=0, delayed=0, running=1)
    with anyio.move_on_after(10) as scope:
        await queue.get()
    assert scope.cancelled_caught
    queue.done("a")
    assert await take_all(queue) == ["a"]


@virtual_time
async def test_get_waits_for_a_delayed_key_exactly_as_long_as_needed() -> None:
    queue = make()
    queue.add_after("late", 5)
    queue.add_after("soon", 0.25)
    moments = {}
    for _ in range(2):
        key = await queue.get()
        moments[key] = anyio.current_time()
        queue.done(key)
    assert moments == {"soon": 0.25, "late": 5.0}


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ([5, 1], 1.0),
        ([1, 5], 1.0),
        ([5, 0], 0.0),
        ([0, 5], 0.0),
        ([-3], 0.0),
    ],
)
@virtual_time
async def test_the_earliest_moment_wins(delays: list[float], expected: float) -> None:
    queue = make()
    for delay in delays:
        queue.add_after("k", delay)
    await queue.get()
    assert anyio.current_time() == expected
    queue.done("k")
    await anyio.sleep(10)
    assert queue.statistics() == QueueStatistics(ready=0, delayed=0, running=0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
@virtual_time
async def test_a_delay_without_end_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        make().add_after("k", seconds)


@virtual_time
async def test_the_delay_of_a_running_key_counts_from_the_add() -> None:
    queue = make()
    queue.add("k")
    await queue.get()
    queue.add_after("k", 2)
    await anyio.sleep(1.5)
    queue.done("k")
    await queue.get()
    assert anyio.current_time() == 2.0


@virtual_time
async def test_live_changes_go_before_the_initial_list() -> None:
    queue = make()
    for key in ("old-1", "old-2"):
        queue.add(key, priority=LOW_PRIORITY)
    await anyio.sleep(1)
    queue.add("live-1")
    queue.add("live-2")
    assert await take_all(queue) == ["live-1", "live-2", "old-1", "old-2"]


@virtual_time
async def test_the_highest_priority_wins_also_for_a_key_that_waits_already() -> None:
    queue = make()
    for key in ("a", "b", "c"):
        queue.add(key, priority=LOW_PRIORITY)
    queue.add("c")
    queue.add("c", priority=LOW_PRIORITY)
    assert await take_all(queue) == ["c", "a", "b"]


@virtual_time
async def test_a_delayed_key_keeps_the_highest_priority_it_was_added_with() -> None:
    queue = make()
    queue.add_after("late", 1, priority=5)
    queue.add_after("late", 9, priority=-5)
    await anyio.sleep(1)
    queue.add("other")
    assert await queue.get() == "late"
    assert queue.running_priority("late") == 5


@virtual_time
async def test_a_low_priority_key_is_overtaken_only_within_its_ageing_bound() -> None:
    """Live keys come faster than they are worked; the low one waits 10 levels * 0.5 seconds, not for ever."""
    queue = make(ageing=0.5)
    queue.add("low", priority=-10)
    number = 0
    while True:
        queue.add(f"live-{number}")
        queue.add(f"live-{number + 1}")
        number += 2
        key = await queue.get()
        if key == "low":
            break
        await anyio.sleep(0.1)
        queue.done(key)
    assert len(queue) > 0
    assert anyio.current_time() <= 5 + 5.2  # live keys of the first 5 s go first: 2 come, 1 goes, every 0.1 s


@virtual_time
async def test_backoff_is_per_key_and_forgotten_on_success() -> None:
    queue = make()
    moments = []
    queue.add("k")
    for _ in range(4):
        key = await queue.get()
        moments.append(round(anyio.current_time(), 6))
        queue.add_rate_limited(key)
        queue.done(key)
    assert moments == [0.0, 0.005, 0.015, 0.035]
    assert queue.failures("k") == 4
    queue.forget("k")
    assert queue.failures("k") == 0


@virtual_time
async def test_the_global_bucket_slows_many_failing_keys() -> None:
    clock = VirtualClock()
    queue: WorkQueue[int] = WorkQueue(clock=clock, backoff=Backoff(), bucket=TokenBucket(10, 100, clock))
    for key in range(120):
        queue.add_rate_limited(key)
    await anyio.sleep(0.005)
    assert len(queue) == 100
    await anyio.sleep(1)
    assert len(queue) == 110
    await anyio.sleep(1)
    assert len(queue) == 120


@virtual_time
async def test_shutdown_ends_all_getters_and_drops_what_waits() -> None:
    queue = make()
    queue.add("running")
    await queue.get()
    ended = []

    async def getter() -> None:
        with pytest.raises(ShutDown):
            await queue.get()
        ended.append(True)

    async with anyio.create_task_group() as tg:
        tg.start_soon(getter)
        tg.start_soon(getter)
        tg.start_soon(queue.wait_shut_down)
        await anyio.sleep(1)
        queue.add_after("delayed", 1)
        queue.add("running")
        queue.shut_down()
    assert ended == [True, True]
    queue.add("late")
    queue.add_rate_limited("late")
    queue.done("running")
    await anyio.sleep(5)
    assert queue.statistics() == QueueStatistics(ready=0, delayed=0, running=0)
    with pytest.raises(ShutDown):
        await queue.get()


@pytest.mark.parametrize("cancel_first", [True, False])
@virtual_time
async def test_no_key_is_lost_when_the_chosen_getter_is_cancelled(cancel_first: bool) -> None:
    queue = make()
    got = []

    async def getter(scope: anyio.CancelScope) -> None:
        with scope, suppress(ShutDown):
            got.append(await queue.get())

    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tg:
        tg.start_soon(getter, first)
        await anyio.sleep(1)
        tg.start_soon(getter, second)
        await anyio.sleep(1)
        if cancel_first:
            first.cancel()
        queue.add("k")
        first.cancel()
        await anyio.sleep(1)
        assert got == ["k"]
        assert queue.statistics() == QueueStatistics(ready=0, delayed=0, running=1)
        queue.shut_down()


@virtual_time
async def test_a_getter_cancelled_before_anything_was_added_leaves_no_trace() -> None:
    queue = make()
    with anyio.move_on_after(1):
        await queue.get()
    queue.add("k")
    assert await queue.get() == "k"


@virtual_time
async def test_get_shares_the_loop_even_when_keys_are_always_ready() -> None:
    queue = make()
    other_ran = anyio.Event()

    async def other() -> None:
        other_ran.set()

    async with anyio.create_task_group() as tg:
        tg.start_soon(other)
        for number in range(3):
            queue.add(str(number))
            await queue.get()
    assert other_ran.is_set()


@virtual_time
async def test_done_without_get_is_an_error() -> None:
    queue = make()
    queue.add("k")
    with pytest.raises(ValueError, match="not running"):
        queue.done("k")


def test_ageing_must_be_positive() -> None:
    with pytest.raises(ValueError, match="ageing"):
        make(ageing=0)


@virtual_time
async def test_timers_and_heaps_do_not_grow_with_what_was_superseded() -> None:
    """Ten thousand live changes to keys that also carry a far resync delay leave no trace of the old delays."""
    queue = make()
    for _ in range(10_000):
        queue.add_after("k", 36_000)
        queue.add("k")
        queue.done(await queue.get())
    assert len(queue._delayed) <= 100
    assert len(queue._ready) == 0


@virtual_time
async def test_a_delay_that_was_superseded_names_no_key_once_nothing_waits() -> None:
    queue = make()
    for key in ("a", "b"):
        queue.add_after(key, 28_000_000)
        queue.add(key)
    assert await take_all(queue) == ["a", "b"]
    assert queue._delayed == []
    assert queue._ready == []


class Recorder(QueueObserver):
    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    def added(self) -> None:
        self.calls.append(("added", 1))

    def got(self, queue_seconds: float) -> None:
        self.calls.append(("got", queue_seconds))

    def done(self, work_seconds: float) -> None:
        self.calls.append(("done", work_seconds))

    def retried(self) -> None:
        self.calls.append(("retried", 1))

    def depth(self, ready: int) -> None:
        self.calls.append(("depth", ready))


@virtual_time
async def test_the_observer_hears_what_the_workqueue_metrics_count() -> None:
    recorder = Recorder()
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock(), observer=recorder)
    queue.add_after("k", 1)
    await anyio.sleep(1)
    queue.add("k")
    await anyio.sleep(2)
    await queue.get()
    await anyio.sleep(4)
    queue.add_rate_limited("k")
    queue.done("k")
    assert recorder.calls == [
        ("added", 1),
        ("depth", 1),
        ("got", 2.0),
        ("depth", 0),
        ("retried", 1),
        ("done", 4.0),
    ]


@virtual_time
async def test_unfinished_and_longest_running_seconds() -> None:
    queue = make()
    assert (queue.unfinished_seconds(), queue.longest_running_seconds()) == (0.0, 0.0)
    queue.add("a")
    await queue.get()
    await anyio.sleep(3)
    queue.add("b")
    await queue.get()
    await anyio.sleep(2)
    assert (queue.unfinished_seconds(), queue.longest_running_seconds()) == (7.0, 5.0)
    queue.done("a")
    assert (queue.unfinished_seconds(), queue.longest_running_seconds()) == (2.0, 2.0)
