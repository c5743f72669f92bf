"""When a pool may be created: one bucket for all, a distance between two of one service, and nobody in line forgotten.

Rules: ARCH-5, POOL-4.
"""

import anyio

from aioctl.api.kinds import ObjectKey
from aioctl.controller.pacing import PoolPacer
from aioctl.controller.service_state import ServiceStates
from testbed.virtual_time import VirtualClock, virtual_time

A, B, C = (ObjectKey("ns", name) for name in "abc")


@virtual_time
async def test_the_second_pool_of_a_service_keeps_its_distance_and_others_do_not_wait_for_it() -> None:
    pacer = PoolPacer(0, 0.1, VirtualClock(), ServiceStates())
    assert pacer.admit(A) == 0
    pacer.created(A)
    assert pacer.admit(B) == 0
    assert abs(pacer.admit(A) - 0.1) < 1e-9
    await anyio.sleep(0.1)
    assert pacer.admit(A) == 0


@virtual_time
async def test_a_creation_that_failed_holds_nothing_back() -> None:
    pacer = PoolPacer(0, 0.1, VirtualClock(), ServiceStates())
    assert [pacer.admit(A), pacer.admit(A)] == [0, 0]


@virtual_time
async def test_those_in_line_find_their_time_reserved() -> None:
    pacer = PoolPacer(1, 0, VirtualClock(), ServiceStates())
    assert [pacer.admit(key) for key in (A, B, C)] == [0, 1, 2]
    # Asking again takes no other place.
    assert [pacer.admit(C), pacer.admit(B)] == [2, 1]
    await anyio.sleep(1)
    assert [pacer.admit(B), pacer.admit(C)] == [0, 1]


@virtual_time
async def test_both_pools_of_a_service_get_their_times_together() -> None:
    pacer = PoolPacer(1, 0.1, VirtualClock(), ServiceStates())
    assert pacer.admit(A, 2) == 0
    pacer.created(A)
    # The third and fourth place are B's, though A asks for its second one after B.
    assert pacer.admit(B, 2) == 2
    assert pacer.admit(A) == 1
    assert pacer.admit(C) == 4
    await anyio.sleep(2)
    assert [pacer.admit(A), pacer.admit(B, 2)] == [0, 0]
    pacer.created(B)
    assert pacer.admit(B) == 1


@virtual_time
async def test_the_distance_counts_from_the_creation_not_from_the_time_given() -> None:
    pacer = PoolPacer(0, 0.1, VirtualClock(), ServiceStates())
    assert pacer.admit(A, 2) == 0
    await anyio.sleep(5)
    pacer.created(A)
    assert abs(pacer.admit(A) - 0.1) < 1e-9


@virtual_time
async def test_a_time_that_was_not_needed_is_not_kept_for_another_day() -> None:
    pacer = PoolPacer(1, 0, VirtualClock(), ServiceStates())
    assert pacer.admit(A, 2) == 0
    pacer.created(A)
    pacer.settled(A)  # the other generation's CRD went away
    await anyio.sleep(60)
    assert [pacer.admit(B), pacer.admit(A)] == [0, 1]


@virtual_time
async def test_a_service_that_is_gone_leaves_no_trace() -> None:
    states = ServiceStates()
    pacer = PoolPacer(0, 5, VirtualClock(), states)
    pacer.admit(A)
    pacer.created(A)
    assert pacer.admit(A) == 5
    states.pop(A)
    assert pacer.admit(A) == 0
