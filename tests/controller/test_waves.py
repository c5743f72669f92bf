"""Services move in waves: never more between the move and Ready than the budget allows, none outside the window.

Rules: MIG-10.
"""

from datetime import timedelta
from typing import Any

import anyio

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
from aioctl.controller.knobs import Knobs
from aioctl.controller.waves import Waves
from aioctl.plan.lock import has_lock
from aioctl.plan.migration import Decision, Reason, State
from aioctl.plan.waves import Budget, parse_window
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import VirtualClock, virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

A, B, C, D = (ObjectKey("ns", name) for name in "abcd")
MOVED = Decision(State.MIGRATED, True, Reason.LOCKED)
MOVES = Decision(State.SHIFTING, True, Reason.V1_POOL_READY)
PAUSED = Decision(State.HELD, False, Reason.PAUSED)
WAITS = Decision(State.INITIAL, False, Reason.WAITS_FOR_BUDGET)


def waves(budget: Budget, window: str = "", services: int = 4) -> tuple[Waves, list[ObjectKey]]:
    woken: list[ObjectKey] = []
    made = Waves(budget, parse_window(window), VirtualClock(), lambda: services, woken.append)
    return made, woken


@virtual_time
async def test_a_place_is_free_when_a_service_is_ready_and_goes_to_the_first_in_line() -> None:
    made, woken = waves(Budget(services=1))
    assert made.admit(A) == ""
    assert made.admit(B) == "ns/a has moved and not Ready yet (AIOCTL_MIGRATION_BUDGET allows 1)"
    assert made.admit(C)
    made.settled(B, WAITS, ready=False)
    made.settled(A, MOVES, ready=False)
    made.settled(A, MOVED, ready=False)
    assert woken == []
    made.settled(A, MOVED, ready=True)
    assert woken == [B]
    # The place is kept for it.
    assert made.admit(D)
    assert made.admit(B) == ""
    # It does not want to move any more: the next one gets the place.
    made.settled(B, PAUSED, ready=True)
    assert woken == [B, C]
    made.gone(C)
    assert woken == [B, C, D]


@virtual_time
async def test_a_service_that_moved_before_this_process_takes_a_place_until_it_is_ready() -> None:
    made, woken = waves(Budget(services=1))
    made.settled(A, MOVED, ready=False)
    assert made.admit(B)
    made.settled(A, MOVED, ready=True)
    assert woken == [B]


@virtual_time
async def test_without_budget_everybody_moves() -> None:
    made, _ = waves(Budget())
    assert [made.admit(key) for key in (A, B, C, D)] == [""] * 4


async def until_running(stage: World, count: int) -> list[str]:
    made = [f"svc-{number}" for number in range(count)]
    for name in made:
        routed: dict[str, Any] = {"router": {"gateway": {}, "route": {}, "scheduler": {}}}
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name, **routed))
    return made


async def moved(stage: World, made: list[str]) -> dict[str, bool]:
    """Service -> whether the gateway has answered to it, of those whose route is locked."""
    found = {}
    for name in made:
        route = await stage.find(kinds.HTTP_ROUTE, names.route_name(name))
        if route is not None and has_lock(route):
            said = [entry for parent in route["status"]["parents"] for entry in parent["conditions"]]
            found[name] = all(
                entry["observedGeneration"] == route["metadata"]["generation"] for entry in said
            )
    return found


async def played(stage: World, group: anyio.abc.TaskGroup) -> None:
    stamp = stage.cluster.core.clock.stamp
    players = player_client(stage.cluster)
    script = GatewayScript(BEHAVIOURS["both"], delay=2.0)
    group.start_soon(GatewayPlayer(players, default=script, stamp=stamp).run)
    group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)


@virtual_time
async def test_a_fleet_moves_two_at_a_time_and_all_arrive() -> None:
    async with furnished() as stage, anyio.create_task_group() as group:
        await played(stage, group)
        # The window gathers them: else pools come one after another, and so do the moves.
        opens = (stage.clock.now() + timedelta(minutes=5)).replace(second=0, microsecond=0)
        window = parse_window(f"{opens.minute}-59 {opens.hour} * * *")
        knobs = Knobs(status_settle=0.05, budget=Budget(services=2), window=window)
        async with stage.running(stage.controller(knobs=knobs)):
            made = await until_running(stage, 5)
            await anyio.sleep((opens - stage.clock.now()).total_seconds())
            most = 0
            reasons = set()
            for _ in range(2000):
                await anyio.sleep(0.05)
                found = await moved(stage, made)
                most = max(most, sum(not ready for ready in found.values()))
                reasons.add(reason_of(stage, "WaitsForBudget"))
                if len(found) == len(made) and all(found.values()):
                    break
        assert all(found.values())
        assert len(found) == len(made)
        assert most == 2
        assert reasons == {3, 1, 0}
        group.cancel_scope.cancel()


def reason_of(stage: World, reason: str) -> float:
    value = stage.metrics.registry.get_sample_value("aioctl_services_by_reason", {"reason": reason})
    return value or 0.0


@virtual_time
async def test_nothing_moves_before_the_window_opens_and_then_all_do() -> None:
    async with furnished() as stage, anyio.create_task_group() as group:
        await played(stage, group)
        opens = (stage.clock.now() + timedelta(minutes=10)).replace(second=0, microsecond=0)
        window = parse_window(f"{opens.minute} {opens.hour} * * *")
        async with stage.running(stage.controller(knobs=Knobs(status_settle=0.05, window=window))):
            made = await until_running(stage, 3)
            await anyio.sleep((opens - stage.clock.now()).total_seconds() - 1)
            assert await moved(stage, made) == {}
            assert reason_of(stage, "WaitsForBudget") == 3

            async def all_moved() -> bool:
                return await moved(stage, made) == dict.fromkeys(made, True)

            await stage.until(all_moved, seconds=60)
        group.cancel_scope.cancel()
