"""A service whose plan killed a process, or is said to be too expensive, is planned last, alone, elsewhere, until it settles."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, key_of
from aioctl.controller.controller import Controller
from aioctl.controller.marks import Marks
from aioctl.controller.planner import Conclusion, LocalPlanner, PlanTooExpensive
from aioctl.engine.turnstile import Turnstile
from aioctl.plan import order
from aioctl.plan.model import Outcome, Plan
from aioctl.plan.observation import Observation
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, condition, furnished, plain_service

TAKES = 3.0
"""Seconds of a plan in the stand-in of the child process."""
BAD = ObjectKey(NAMESPACE, "bad")


@dataclass
class Children:
    """Stands for the child processes: plans here, for `TAKES` seconds, and runs out of its limits as long as it shall."""

    expensive: bool = True
    began: list[tuple[float, str]] = field(default_factory=list)
    now: int = 0
    most: int = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator["Children"]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield self
        finally:
            self.now -= 1

    async def plan(self, obs: Observation, service: Object, now: datetime, read: Callable[[], None]) -> Plan:
        self.began.append((anyio.current_time(), key_of(service).name))
        decided = await self._local.plan(
            obs, service, now, read
        )  # what it read is known, as with the real child
        await anyio.sleep(TAKES)
        if self.expensive:
            raise PlanTooExpensive("planning took more than 5 s of CPU time")
        return decided

    async def conclude(
        self, plan: Plan, outcome: Outcome, obs: Observation, now: datetime, read: Callable[[], None]
    ) -> Conclusion:
        return await self._local.conclude(plan, outcome, obs, now, read)

    @property
    def _local(self) -> LocalPlanner:
        return LocalPlanner(POLICY, Turnstile(), Marks())


def suspecting(*names: str, deaths: int = 1) -> Marks:
    marks = Marks()
    marks.suspects = {ObjectKey(NAMESPACE, name): deaths for name in names}
    return marks


def controller(stage: World, children: Children, marks: Marks) -> Controller:
    return stage.controller(marks=marks, child=children.session)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the services in the order in which they are planned, wherever that is."""
    names: list[str] = []
    plan = order.plan

    def noted(obs: Observation, service: Object, *rest: Any) -> Plan:
        names.append(key_of(service).name)
        return plan(obs, service, *rest)

    monkeypatch.setattr(order, "plan", noted)
    return names


async def state(stage: World, name: str = "bad") -> tuple[str, str]:
    return condition(await stage.find(kinds.SERVICE, name), "PresetsCombined")[:2]


async def events(stage: World) -> list[str]:
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    found = [msgspec.json.decode(item) for page in pages for item in page.items]
    return [event["note"] for event in found if event["reason"] == "PlanTooExpensive"]


async def changed(stage: World, name: str = "bad") -> None:
    await stage.user.patch(kinds.SERVICE, NAMESPACE, name, {"spec": {"replicas": 2}})


@virtual_time
async def test_suspects_go_last_and_one_at_a_time(planned: list[str]) -> None:
    async with furnished() as stage:
        for name in ("bad", "a", "worse", "b", "c"):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name))
        children = Children(expensive=False)
        async with stage.running(controller(stage, children, suspecting("bad", "worse"))):
            await anyio.sleep(60)
        first = [planned.index(name) for name in ("a", "b", "c", "bad", "worse")]
        assert max(first[:3]) < min(first[3:])
        assert children.most == 1
        for name in ("a", "b", "c", "bad", "worse"):
            assert (await state(stage, name))[0] == "True"


@virtual_time
async def test_a_fleet_that_never_rests_does_not_hold_a_suspect_up_for_ever() -> None:
    async with furnished() as stage:
        for name in ("bad", "a"):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name))
        children = Children(expensive=False)
        restless = controller(stage, children, suspecting("bad"))
        restless.reconciler.others_work = lambda: True
        async with stage.running(restless):
            await anyio.sleep(55)
            assert not children.began
            await anyio.sleep(10)
            assert children.began


@virtual_time
async def test_a_plan_that_is_too_expensive_is_said_once_and_tried_ever_more_seldom() -> None:
    async with furnished() as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("bad"))
        children = Children()
        async with stage.running(controller(stage, children, suspecting("bad"))):
            await anyio.sleep(400)
            assert await state(stage) == ("False", "PlanTooExpensive")
            (text,) = await events(stage)
            assert text.startswith("planning took more than 5 s of CPU time; it is tried again when")
            times = [moment for moment, _ in children.began]
            gaps = [after - before - TAKES for before, after in pairwise(times)]
            assert [round(gap) for gap in gaps] == [60, 120]
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("other"))
            await anyio.sleep(1)
            assert (await state(stage, "other"))[0] == "True", "the others are served"


@virtual_time
@pytest.mark.parametrize("cure", ["service", "base"])
async def test_a_change_brings_it_back_at_once_and_what_settles_is_free(
    cure: str, planned: list[str]
) -> None:
    base = {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.CONFIG.kind,
        "metadata": {"name": "base", "namespace": NAMESPACE},
        "spec": {"replicas": 1},
    }
    async with furnished() as stage:
        await stage.user.create(kinds.CONFIG, NAMESPACE, base)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("bad", baseRefs=[{"name": "base"}]))
        children, marks = Children(), suspecting("bad")
        async with stage.running(controller(stage, children, marks)):
            await anyio.sleep(10)
            assert await state(stage) == ("False", "PlanTooExpensive")
            tried = len(children.began)
            children.expensive = False
            if cure == "service":
                await changed(stage)
            else:
                await stage.user.patch(kinds.CONFIG, NAMESPACE, "base", {"spec": {"replicas": 3}})
            await anyio.sleep(30)
            assert len(children.began) > tried
            assert (await state(stage))[0] == "True"
            assert not marks.suspects
            before = len(children.began)
            await changed(stage)
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "bad", {"spec": {"replicas": 4}})
            await anyio.sleep(5)
            assert len(children.began) == before, "it is planned here again"


@virtual_time
async def test_a_replica_that_knows_only_the_status_does_not_plan_it_either(planned: list[str]) -> None:
    async with furnished() as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("bad"))
        async with stage.running(controller(stage, Children(), suspecting("bad"))):
            await anyio.sleep(10)
        planned.clear()
        children = Children()
        async with stage.running(controller(stage, children, Marks())):
            await anyio.sleep(10)
        assert len(children.began) == len(planned) == 1


@virtual_time
async def test_a_service_that_killed_although_it_was_confined_rests_first() -> None:
    async with furnished() as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("bad"))
        children = Children(expensive=False)
        async with stage.running(controller(stage, children, suspecting("bad", deaths=2))):
            await anyio.sleep(55)
            assert not children.began
            await anyio.sleep(10)
            assert children.began


@virtual_time
async def test_a_suspect_that_is_gone_is_forgotten() -> None:
    async with furnished() as stage:
        marks = suspecting("bad")
        running = controller(stage, Children(), marks)
        async with stage.running(running):
            await anyio.sleep(5)
        assert not marks.suspects
        assert not running.reconciler.confinement.holds(BAD)
