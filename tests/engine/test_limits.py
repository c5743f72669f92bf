"""Token bucket and backoff: exact waits, nothing above the rate, nothing lost on cancellation."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.engine.limits import Backoff, TokenBucket
from testbed.virtual_time import VirtualClock, run_virtual, virtual_time


@virtual_time
async def test_a_burst_is_free_and_then_tokens_come_at_the_rate() -> None:
    bucket = TokenBucket(10, 100, VirtualClock())
    waits = [bucket.take() for _ in range(103)]
    assert waits[:100] == [0.0] * 100
    assert waits[100:] == pytest.approx([0.1, 0.2, 0.3])


@virtual_time
async def test_an_idle_bucket_refills_up_to_its_burst_only() -> None:
    bucket = TokenBucket(10, 2, VirtualClock())
    await anyio.sleep(1000)
    assert [bucket.take() for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]


@pytest.mark.parametrize("rate", [None, 0, -1])
@virtual_time
async def test_no_rate_means_no_limit(rate: float | None) -> None:
    bucket = TokenBucket(rate, 1, VirtualClock())
    assert {bucket.take() for _ in range(1000)} == {0.0}
    await bucket.acquire()


def test_a_bucket_that_can_hold_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        TokenBucket(1, 0.5)


@virtual_time
async def test_acquire_serves_in_order_at_the_rate() -> None:
    bucket = TokenBucket(2, 1, VirtualClock())
    moments: list[tuple[int, float]] = []

    async def taker(number: int) -> None:
        await bucket.acquire()
        moments.append((number, anyio.current_time()))

    async with anyio.create_task_group() as tg:
        for number in range(4):
            tg.start_soon(taker, number)
    assert moments == [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]


@virtual_time
async def test_a_cancelled_wait_gives_its_token_back() -> None:
    bucket = TokenBucket(1, 1, VirtualClock())
    await bucket.acquire()
    with anyio.move_on_after(0.25):
        await bucket.acquire()
    assert bucket.take() == pytest.approx(0.75)


@virtual_time
async def test_a_cancelled_wait_with_others_behind_it_never_makes_them_early() -> None:
    bucket = TokenBucket(1, 1, VirtualClock())
    await bucket.acquire()
    moments: list[float] = []

    async def impatient() -> None:
        with anyio.move_on_after(0.25):
            await bucket.acquire()

    async def patient() -> None:
        await bucket.acquire()
        moments.append(anyio.current_time())

    async with anyio.create_task_group() as tg:
        tg.start_soon(impatient)
        await anyio.sleep(0.1)
        tg.start_soon(patient)
        await anyio.sleep(0.5)
        tg.start_soon(patient)
    assert moments == [2.0, 3.0]


@given(
    rate=st.sampled_from([0.5, 3, 10, 33]),
    burst=st.integers(1, 5),
    gaps=st.lists(st.floats(0, 2, allow_subnormal=False), max_size=30),
)
def test_no_window_holds_more_than_burst_plus_rate(rate: float, burst: int, gaps: list[float]) -> None:
    async def scenario() -> list[float]:
        bucket = TokenBucket(rate, burst, VirtualClock())
        granted = []
        for gap in gaps:
            await anyio.sleep(gap)
            granted.append(anyio.current_time() + bucket.take())
        return granted

    granted = run_virtual(scenario)
    assert granted == sorted(granted)
    for first in range(len(granted)):
        for last in range(first, len(granted)):
            allowed = burst + rate * (granted[last] - granted[first] + 1e-5)
            assert last - first + 1 <= allowed


def test_backoff_doubles_from_five_milliseconds_to_a_thousand_seconds() -> None:
    backoff: Backoff[str] = Backoff()
    delays = [backoff.next("k") for _ in range(20)]
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[17] == pytest.approx(0.005 * 2**17)
    assert delays[18:] == [1000.0, 1000.0]
    assert backoff.failures("k") == 20


def test_backoff_stays_at_its_cap_after_any_number_of_failures() -> None:
    backoff: Backoff[str] = Backoff(base=1, factor=1.5, cap=10)
    assert [backoff.next("k") for _ in range(5000)][-1] == 10


@given(gaps=st.lists(st.floats(0.0, 20.0), max_size=200))
def test_backoff_is_no_longer_than_the_trouble_has_lasted(gaps: list[float]) -> None:
    """However often a key is tried before its time (the wait doubles, so the sum of those before is as long)."""
    backoff: Backoff[str] = Backoff()
    now, wait = 0.0, backoff.next("k", 0.0)
    for gap in gaps:
        now += min(gap, wait)
        wait = backoff.next("k", now)
        assert wait <= now + 0.005 + 1e-3
    assert backoff.failures("k") <= len(gaps) + 1


def test_backoff_of_a_key_that_is_tried_in_time_grows() -> None:
    backoff: Backoff[str] = Backoff()
    assert [backoff.next("k", moment) for moment in (0.0, 0.001, 0.005, 0.014, 0.015)] == [
        0.005, 0.005, 0.01, 0.01, 0.02,
    ]  # fmt: skip


def test_backoff_counts_each_key_apart_and_forgets() -> None:
    backoff: Backoff[str] = Backoff()
    backoff.next("a")
    backoff.next("a")
    assert backoff.next("b") == 0.005
    backoff.forget("a")
    backoff.forget("never seen")
    assert backoff.failures("a") == 0
    assert backoff.next("a") == 0.005


@pytest.mark.parametrize(("base", "factor", "cap"), [(0, 2, 1), (1, 1, 2), (2, 2, 1)])
def test_backoff_refuses_numbers_that_do_not_grow(base: float, factor: float, cap: float) -> None:
    with pytest.raises(ValueError, match="backoff needs"):
        Backoff(base, factor, cap)
