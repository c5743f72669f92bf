"""The turnstile: one CPU stretch per loop iteration, urgent first, nobody starves, free when idle.

Rules: ARCH-8.
"""

import asyncio
from collections import Counter
from typing import Self

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.engine.turnstile import STARVATION_BOUND, Turnstile
from testbed.virtual_time import advance, run_virtual, virtual_time

CHUNK = 0.0005


class Iterations:
    """Counts loop iterations while it is entered."""

    def __init__(self) -> None:
        self.number = 0
        self._going = True

    def _tick(self) -> None:
        self.number += 1
        if self._going:
            asyncio.get_running_loop().call_soon(self._tick)

    def __enter__(self) -> Self:
        self._tick()
        return self

    def __exit__(self, *exc: object) -> None:
        self._going = False


@virtual_time
async def test_an_idle_turnstile_lets_through_without_an_iteration() -> None:
    turnstile = Turnstile()
    other_ran = False

    def other() -> None:
        nonlocal other_ran
        other_ran = True

    asyncio.get_running_loop().call_soon(other)
    await turnstile.pass_through()
    assert not other_ran


@virtual_time
async def test_at_most_one_stretch_runs_per_loop_iteration_and_no_iteration_is_left_out() -> None:
    turnstile = Turnstile()
    stretches: list[int] = []

    async def worker(urgent: bool) -> None:
        for _ in range(5):
            async with turnstile.turn(urgent=urgent):
                stretches.append(iterations.number)

    with Iterations() as iterations:
        async with anyio.create_task_group() as tg:
            for number in range(20):
                tg.start_soon(worker, number % 3 == 0)
    assert len(stretches) == 100
    assert max(Counter(stretches).values()) == 1
    # the first passes at once, the second is let through by the first release; from there on every iteration works
    assert stretches[-1] - stretches[1] == 98


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), max_size=25))
def test_one_stretch_per_iteration_whatever_the_arrivals_and_cancellations(
    arrivals: list[tuple[int, bool, bool]],
) -> None:
    async def scenario() -> None:
        turnstile = Turnstile()
        stretches: list[int] = []

        async def caller(urgent: bool, scope: anyio.CancelScope) -> None:
            with scope:
                await turnstile.pass_through(urgent=urgent)
                stretches.append(iterations.number)

        kept = 0
        with Iterations() as iterations:
            async with anyio.create_task_group() as tg:
                for pause, urgent, gives_up in arrivals:
                    scope = anyio.CancelScope()
                    tg.start_soon(caller, urgent, scope)
                    for _ in range(pause):
                        await anyio.lowlevel.checkpoint()
                    if gives_up:
                        scope.cancel()
                    else:
                        kept += 1
        assert kept <= len(stretches) <= len(arrivals)
        assert max(Counter(stretches).values(), default=0) <= 1
        assert turnstile.waiting == 0

    run_virtual(scenario)


@virtual_time
async def test_urgent_callers_go_first() -> None:
    turnstile = Turnstile()
    order: list[str] = []

    async def caller(name: str, urgent: bool) -> None:
        async with turnstile.turn(urgent=urgent):
            order.append(name)
            advance(CHUNK)

    async with anyio.create_task_group() as tg:
        for number in range(4):
            tg.start_soon(caller, f"reconcile-{number}", False)
        for number in range(3):
            tg.start_soon(caller, f"webhook-{number}", True)
    assert order == [
        "reconcile-0",  # found the turnstile free
        *[f"webhook-{number}" for number in range(3)],
        *[f"reconcile-{number}" for number in range(1, 4)],
    ]


@virtual_time
async def test_under_a_flood_of_urgent_calls_an_ordinary_one_waits_no_longer_than_the_bound() -> None:
    turnstile = Turnstile()
    waits: list[float] = []

    async def webhook() -> None:
        while not waits:
            async with turnstile.turn(urgent=True):
                advance(CHUNK)

    async def reconcile() -> None:
        await anyio.lowlevel.checkpoint()
        began = anyio.current_time()
        async with turnstile.turn():
            waits.append(anyio.current_time() - began)

    async with anyio.create_task_group() as tg:
        for _ in range(10):
            tg.start_soon(webhook)
        tg.start_soon(reconcile)
    assert STARVATION_BOUND <= waits[0] <= STARVATION_BOUND + 2 * CHUNK


@virtual_time
async def test_two_hundred_overdue_reconciles_do_not_starve_the_webhooks() -> None:
    """Both sides press without end: once reconciles are overdue, the turns are shared one to one."""
    turnstile = Turnstile()
    turns: Counter[str] = Counter()
    webhook_waits: list[float] = []

    async def press(name: str, urgent: bool) -> None:
        while anyio.current_time() < 2:
            began = anyio.current_time()
            async with turnstile.turn(urgent=urgent):
                if urgent:
                    webhook_waits.append(anyio.current_time() - began)
                turns[name] += 1
                advance(CHUNK)

    async with anyio.create_task_group() as tg:
        for number in range(200):
            tg.start_soon(press, "reconcile", False)
            if number < 25:
                tg.start_soon(press, "webhook", True)
    assert turns["webhook"] >= turns["reconcile"] > 0.35 * turns.total()
    assert max(webhook_waits) <= 0.05


@virtual_time
async def test_a_caller_that_gives_up_costs_the_others_nothing() -> None:
    turnstile = Turnstile()
    order: list[int] = []

    async def caller(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            async with turnstile.turn():
                order.append(number)

    scopes = [anyio.CancelScope() for _ in range(5)]
    async with anyio.create_task_group() as tg:
        for number, scope in enumerate(scopes):
            tg.start_soon(caller, number, scope)
        await anyio.lowlevel.checkpoint()
        assert turnstile.waiting == 4
        scopes[2].cancel()
    assert order == [0, 1, 3, 4]
    assert turnstile.waiting == 0


@virtual_time
async def test_an_error_inside_a_turn_does_not_hold_the_turnstile() -> None:
    turnstile = Turnstile()
    with pytest.raises(ZeroDivisionError):
        async with turnstile.turn():
            raise ZeroDivisionError
    await turnstile.pass_through()
    await turnstile.pass_through()


async def test_it_works_on_the_ordinary_loop_too() -> None:
    turnstile = Turnstile()
    for _ in range(5):
        await turnstile.pass_through()
    assert turnstile.waiting == 0
