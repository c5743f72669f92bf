"""A controller that is killed after any of its writes leaves nothing that the next one does not finish (ARCH-6).

For every single write there is, from the finalizer to the last status; the answer
to the write is lost. Gateway and workloads are played, so the migration itself is among the writes.

Rules: ARCH-3.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from aioctl.api import kinds, names
from testbed.virtual_time import run_virtual
from testbed.world import NAMESPACE
from tests.model.cluster_on_virtual_time import SVC, Stage, agent, events_agent, service, stage

REST = 20.0
"""Virtual seconds after which nothing is left to do: gateways answer after one."""
MOST_LIVES = 60
STEPS = pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.thorough), 11])
"""Behind every write, and behind every so many-th."""


@dataclass(frozen=True)
class End:
    """What a history came to."""

    objects: dict[str, Any]
    created: Counter[tuple[str, str]]
    generations: dict[str, int]
    events: Counter[str]
    writes: int
    """Of the last process."""
    lives: int


async def _history(crash_after: int, lives: int) -> End:
    """So many processes one after the other, each but the last killed after so many writes; 0: a process rests in peace."""
    async with stage() as staged:
        await staged.world.user.create(kinds.SERVICE, NAMESPACE, service())
        life = writes = 0
        while life < lives:
            life += 1
            is_last = life == lives
            writes = await _live(staged, life, 0 if is_last else crash_after)
            if not writes:
                break
        return End(staged.snapshot(), staged.created, staged.generations(), staged.events(), writes, life)


async def _lost_answer(number: int) -> End:
    """One process; the answer to one of its writes does not arrive."""
    async with stage() as staged:
        await staged.world.user.create(kinds.SERVICE, NAMESPACE, service())
        staged.world.cluster.faults.crash_after(number, lambda: None, client=agent(1))
        writes = await _live(staged, 1, 0)
        return End(staged.snapshot(), staged.created, staged.generations(), staged.events(), writes, 1)


async def _live(staged: Stage, life: int, crash_after: int) -> int:
    """One process, from its start until it is killed or has long been at rest; how often it wrote."""
    cluster = staged.world.cluster
    with anyio.move_on_after(REST) as process:
        if crash_after:

            def kill() -> None:
                cluster.faults.partition(agent(life))
                cluster.faults.partition(events_agent(life))
                process.cancel()

            cluster.faults.crash_after(crash_after, kill, client=agent(life))
        async with staged.world.running(staged.controller(life)):
            await anyio.sleep(REST * 2)
    return cluster.stats.writes(client=agent(life))


@pytest.fixture(scope="module")
def whole() -> End:
    """A history without a crash."""
    end = run_virtual(_history, 0, 1)
    service_ = end.objects[f"{kinds.SERVICE.resource} {SVC}"]
    assert service_["status"]["annotations"][names.MIGRATED] == "v1"
    return end


@STEPS
def test_after_a_crash_behind_any_write_the_next_process_ends_the_same(whole: End, step: int) -> None:
    for number in range(1, whole.writes + 1, step):
        end = run_virtual(_history, number, 2)
        _assert_same(end, whole, f"after write {number}")
        # Fewer where the next process finds the pools ready before it makes the route, which then starts on v1.
        assert end.generations.keys() == whole.generations.keys()
        more = {name for name, count in end.generations.items() if count > whole.generations[name]}
        assert not more, f"after write {number}: written more than once"


@pytest.mark.thorough
def test_processes_that_live_for_one_write_each_get_there_too(whole: End) -> None:
    end = run_virtual(_history, 1, MOST_LIVES)
    assert end.lives < MOST_LIVES
    assert end.writes == 0
    # The pools are ready before the route is made, which then starts on v1: one write less (scenario 7).
    _assert_same(end, whole, "one write a life")


def test_a_process_that_finds_everything_done_writes_nothing(whole: End) -> None:
    end = run_virtual(_history, whole.writes + 1, 2)
    assert end.writes == 0
    _assert_same(end, whole, "two lives in peace")


@STEPS
def test_a_write_whose_answer_is_lost_is_found_done(whole: End, step: int) -> None:
    for number in range(1, whole.writes + 1, step):
        end = run_virtual(_lost_answer, number)
        more = end.events - whole.events
        assert all(message.startswith("Reconciliation failed: ") for message in more)
        assert more.total() <= 1
        assert end.generations == whole.generations, f"write {number}: written more than once"
        _assert_same(replace(end, events=end.events - more), whole, f"without answer to write {number}")


def _assert_same(end: End, whole: End, when: str) -> None:
    assert end.objects == whole.objects, when
    assert end.created == whole.created, f"{when}: something was made twice"
    assert not end.events - whole.events, f"{when}: events that were not due"
