"""Services that wait for their turn are shown as such by `status` and `explain`. Rules: MIG-10."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.api.objects import dig
from aioctl.controller.knobs import Knobs
from aioctl.plan.waves import Budget, Pace, parse_window
from aioctl.tools import fleet as shown
from aioctl.tools.access import Access
from aioctl.tools.codes import MIGRATION
from aioctl.tools.look import Look
from aioctl.tools.session import Session
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, plain_service
from tests.tools.small_fleet import ROUTED, SEVEN, connection, fleet


def session(stage: World, pace: Pace, namespace: str = NAMESPACE) -> Session:
    return Session(connection(stage, namespace), Access(), POLICY, pace)


async def looks(stage: World, pace: Pace, namespace: str = NAMESPACE) -> list[Look]:
    return (await session(stage, pace, namespace).looks())[1]


def reasons(seen: list[Look]) -> dict[str, str]:
    return {one.key.name: f"{one.state} {one.reason}" for one in seen}


async def created(stage: World, *names: str, **spec: Any) -> None:
    for name in names:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name, **ROUTED, **spec))


@virtual_time
async def test_a_closed_window_is_what_everybody_waits_for() -> None:
    opens = (datetime.now(UTC) + timedelta(minutes=30)).replace(second=0, microsecond=0)
    window = parse_window(f"{opens.minute} {opens.hour} * * *")
    async with fleet(knobs=Knobs(status_settle=0.05, window=window)) as stage:
        await created(stage, "one", "two")
        await anyio.sleep(60)
        seen = await looks(stage, Pace(window=window))
        assert reasons(seen) == dict.fromkeys(("one", "two"), "Initial WaitsForBudget")
        assert {reason.split()[0] for reason in reasons(await looks(stage, Pace())).values()} == {"Shifting"}
        _, made = await session(stage, Pace(window=window)).explained("one")
        chains = [chain for _, several in made for chain in several]
        last = next(chain for chain in chains if chain.code in MIGRATION.values())
        assert last.code.code == "AIO-MIG-018"
        assert not last.act
        assert f"moves may begin at {opens:%Y-%m-%d %H:%M} UTC" in last.lines()[-2]
        assert "waits for somebody" not in shown.summary(seen)


@virtual_time
async def test_a_budget_is_shown_with_who_has_the_places_also_from_another_namespace() -> None:
    budget = Pace(Budget(services=1))
    async with fleet(knobs=Knobs(status_settle=0.05, budget=budget.budget)) as stage:
        # It moves, and is never Ready: the wave ends with it.
        await created(stage, "first", replicas=SEVEN)
        await anyio.sleep(30)
        await created(stage, "one", "two")
        await anyio.sleep(30)
        seen = await looks(stage, budget)
        assert reasons(seen) == {
            "first": "Migrated Locked",
            "one": "Initial WaitsForBudget",
            "two": "Initial WaitsForBudget",
        }
        turns = {one.turn for one in seen if one.turn}
        assert turns == {"demo/first has moved and not Ready yet (AIOCTL_MIGRATION_BUDGET allows 1)"}
        service = await stage.find(kinds.SERVICE, "first")
        assert dig(service, "status", "annotations") is not None
        # With a place to spare one of them is on its way, and the other waits.
        assert sorted(reasons(await looks(stage, Pace(Budget(services=2)))).values()) == [
            "Initial WaitsForBudget",
            "Migrated Locked",
            "Shifting V1PoolReady",
        ]
