"""Two gateways that overwrite each other's status of a pool cost one look a second and less (WATCH-4)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.controller.controller import Controller
from aioctl.controller.idle_looks import CALM, FREE, IdleLookLimit, by_status_alone
from aioctl.controller.service_state import ServiceStates
from aioctl.kube.cached import Cached
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import VirtualClock, virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service
from tests.controller.looks import counted_looks

POOL = "one-inference-pool"
FIGHT = 30
"""Seconds of it."""
KEY = ObjectKey(NAMESPACE, "one")


@asynccontextmanager
async def settled() -> AsyncIterator[tuple[World, Controller]]:
    """One migrated service that has nothing left to do, and nobody who plays gateway any more."""
    async with furnished() as stage, stage.running(stage.controller()) as controller:
        async with anyio.create_task_group() as group:
            stamp = stage.cluster.core.clock.stamp
            players = player_client(stage.cluster)
            group.start_soon(GatewayPlayer(players, stamp=stamp).run)
            group.start_soon(WorkloadPlayer(players, delay=1.0, stamp=stamp).run)
            routed = plain_service("one", router={"route": {}, "gateway": {}, "scheduler": {}})
            await stage.user.create(kinds.SERVICE, NAMESPACE, routed)
            await anyio.sleep(120)
            group.cancel_scope.cancel()
        yield stage, controller


async def fight(stage: World) -> None:
    """Twenty times a second another class of gateway writes the status of the pool as it sees it."""
    for turn in range(FIGHT * 20):
        other = {
            "type": "Other",
            "status": "True",
            "reason": f"class-{turn % 2}",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        pool = await stage.find(kinds.POOL_V1, POOL)
        assert pool is not None
        parents = [
            {**parent, "conditions": [*parent["conditions"][:2], other]}
            for parent in pool["status"]["parents"]
        ]
        await stage.user.patch(
            kinds.POOL_V1, NAMESPACE, POOL, {"status": {"parents": parents}}, subresource="status"
        )
        await anyio.sleep(0.05)


@virtual_time
async def test_a_fight_over_a_status_costs_less_than_a_look_a_second_and_an_edit_is_seen_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with settled() as (stage, controller):
        looks = counted_looks(controller, monkeypatch)
        began = anyio.current_time()
        async with anyio.create_task_group() as group:
            group.start_soon(fight, stage)
            await anyio.sleep(FIGHT - 10)
            assert FREE < len(looks) < FREE + FIGHT / 2
            late = [second - first for first, second in pairwise(looks) if second > began + 5]
            assert min(late) >= 1
            edited = anyio.current_time()
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"replicas": 3}})
            await anyio.sleep(0.5)
            assert any(edited <= look for look in looks)
            live = await stage.find(kinds.DEPLOYMENT, "one-kserve")
            assert live is not None
            assert live["spec"]["replicas"] == 3


@virtual_time
async def test_a_run_that_wrote_is_not_repeated_for_the_status_that_settles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with settled() as (stage, controller):
        looks = counted_looks(controller, monkeypatch)
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"replicas": 3}})
        await anyio.sleep(10)
        stored = await stage.find(kinds.SERVICE, "one")
        assert stored is not None
        assert stored["status"]["observedGeneration"] == stored["metadata"]["generation"]
        assert len(looks) == 1


@virtual_time
async def test_looks_are_free_again_after_one_that_had_something_to_do_and_after_a_calm_time() -> None:
    states = ServiceStates()
    limit = IdleLookLimit(states, VirtualClock())
    for _ in range(FREE):
        assert limit.wait(KEY) == 0
        limit.looked(KEY, idle=True)
    assert limit.wait(KEY) == 1
    limit.looked(KEY, idle=False)
    assert limit.wait(KEY) == 0
    for _ in range(2 * FREE):
        limit.looked(KEY, idle=True)
    assert limit.wait(KEY) == 2
    await anyio.sleep(CALM)
    limit.looked(KEY, idle=True)
    assert limit.wait(KEY) == 0


def seen(**metadata: Any) -> Cached:
    obj = {"metadata": {"name": "pool", "namespace": NAMESPACE, "uid": "u", "generation": 1, **metadata}}
    return Cached.from_raw(msgspec.json.encode(obj), kinds.POOL_V1)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (seen(resourceVersion="1"), seen(resourceVersion="2"), True),
        (seen(), seen(generation=2), False),
        (seen(), seen(uid="v"), False),
        (seen(), seen(labels={"a": "b"}), False),
        (seen(), seen(deletionTimestamp="2026-01-01T00:00:00Z"), False),
        (seen(generation=0), seen(generation=0), False),
        (None, seen(), False),
        (seen(), None, False),
    ],
)
def test_what_counts_as_a_status_alone(old: Cached | None, new: Cached | None, expected: bool) -> None:
    assert by_status_alone(old, new) is expected
