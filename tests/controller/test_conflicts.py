"""What becomes of a service whose writes conflict, and of one that has more to write than a run allows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import dig
from aioctl.controller.apply import Applied
from aioctl.controller.controller import Controller
from aioctl.controller.converging import MOST_ROUNDS
from aioctl.plan.model import Plan
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

SERVICE = plain_service(replicas=1)
WORKLOAD = "one-kserve"


def attempts(stage: World, verb: str, resource: str) -> int:
    """Calls of the controller, refused ones included."""
    return sum(
        count
        for (called, dotted, client, _), count in stage.cluster.stats.calls.items()
        if client.startswith("aioctl/") and called == verb and resource in (dotted, dotted.partition(".")[0])
    )


@asynccontextmanager
async def running() -> AsyncIterator[tuple[World, Controller]]:
    """One service that has come to rest, without anybody who makes its Deployment available."""
    async with furnished() as stage:
        controller = stage.controller()
        async with stage.running(controller):
            await stage.user.create(kinds.SERVICE, NAMESPACE, SERVICE)
            await anyio.sleep(10)
            yield stage, controller


async def scale(stage: World, replicas: int) -> None:
    await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"replicas": replicas}})


async def replicas(stage: World) -> int:
    found: int = dig(await stage.find(kinds.DEPLOYMENT, WORKLOAD), "spec", "replicas")
    return found


@virtual_time
async def test_a_lagging_watch_makes_no_storm_of_conflicts_and_ends_them_when_it_shows_why() -> None:
    async with running() as (stage, _):
        stage.cluster.faults.lag_watches(Match(client="aioctl/", resource="deployments"), 60.0)
        mark = {"metadata": {"annotations": {"somebody": "else"}}}
        await stage.user.patch(kinds.DEPLOYMENT, NAMESPACE, WORKLOAD, mark)
        before = attempts(stage, "update", "deployments")
        await scale(stage, 7)
        await anyio.sleep(1)
        assert attempts(stage, "update", "deployments") - before >= 3
        await anyio.sleep(58)
        assert attempts(stage, "update", "deployments") - before <= 20
        assert await replicas(stage) == 1
        await anyio.sleep(2)
        assert await replicas(stage) == 7


@virtual_time
async def test_a_change_that_only_a_status_conflict_met_wakes_the_service_when_a_list_shows_it() -> None:
    async with running() as (stage, _):
        (watch,) = stage.cluster.faults.watchers(Match(client="aioctl/", resource="llminferenceservices"))
        watch.stall(on=True)
        await scale(stage, 7)
        available = {"status": {"conditions": [{"type": "Available", "status": "True"}]}}
        await stage.user.patch(kinds.DEPLOYMENT, NAMESPACE, WORKLOAD, available, subresource="status")
        await anyio.sleep(5)
        stored = await stage.find(kinds.SERVICE, "one")
        assert condition(stored, "WorkloadsReady")[0] == "True"
        assert await replicas(stage) == 1
        # The silent watch is opened anew after a while, and then has to list.
        stage.cluster.compact()
        await anyio.sleep(120)
        assert await replicas(stage) == 7


@virtual_time
async def test_what_is_left_after_the_last_round_of_a_run_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running() as (stage, controller):
        applier = controller.reconciler.converger.applier
        rounds: list[float] = []
        send = applier.run

        async def restless(plan: Plan) -> Applied:
            rounds.append(anyio.current_time())
            applied = await send(plan)
            answers = {**applied.outcome.answers, ObjectRef(kinds.CONFIG_MAP, NAMESPACE, "other"): {}}
            return replace(applied, outcome=replace(applied.outcome, answers=answers))

        monkeypatch.setattr(applier, "run", restless)
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"metadata": {"annotations": {"a": "b"}}})
        await anyio.sleep(60)
        runs = len(set(rounds))
        assert len(rounds) == runs * MOST_ROUNDS
        # The back-off begins at 5 ms and doubles.
        assert 10 <= runs <= 16
        monkeypatch.setattr(applier, "run", send)
        await anyio.sleep(60)
        assert len(controller.queue) == 0
