"""Everything at once for a while, and a process that lives for long; `python -m bench soak` and `growth` have more of both."""

from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.controller.interests import Interests
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from testbed import growth
from testbed.growth import Sample, grown
from testbed.soak import Soak, play
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

ROUNDS = 3


def test_the_laws_hold() -> None:
    report = play(25.0, seed=4, services=2)
    assert list(report.broken) == []
    assert report.services > 0
    assert {"created", "process died"} <= set(report.deeds)


def soak_of(world: World) -> Soak:
    client = player_client(world.cluster)
    return Soak(world, GatewayPlayer(client, stamp=world.cluster.core.clock.stamp), 0, 1, 1.0)


def owned(kind: Kind, name: str, owner: str, **more: Any) -> dict[str, Any]:
    labels = {names.NAME: owner, names.PART_OF: names.PART_OF_VALUE}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels, **more.pop("metadata", {})}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **more}


def route(weight: int, **annotations: str) -> dict[str, Any]:
    """Of the service `one`; the weight is that of its v1alpha2 pool."""
    pool = {"kind": "InferencePool", "name": "one-inference-pool", "port": 8000}
    refs = [
        {**pool, "group": kinds.POOL_GROUP_V1, "weight": 1 - weight},
        {**pool, "group": kinds.POOL_GROUP_V1ALPHA2, "weight": weight},
    ]
    spec = {"rules": [{"backendRefs": refs}]}
    return owned(
        kinds.HTTP_ROUTE, "one-kserve-route", "one", metadata={"annotations": annotations}, spec=spec
    )


@virtual_time
async def test_a_lock_without_its_weights_and_a_way_back_are_found() -> None:
    async with furnished() as world:
        soak = soak_of(world)
        await world.user.create(kinds.HTTP_ROUTE, NAMESPACE, route(1))
        made = await world.user.get(kinds.HTTP_ROUTE, NAMESPACE, "one-kserve-route")
        version = {"resourceVersion": made["metadata"]["resourceVersion"]}
        locked = route(1, **{names.MIGRATED: "v1"})
        made = await world.user.update(
            kinds.HTTP_ROUTE, {**locked, "metadata": {**locked["metadata"], **version}}
        )
        version = {"resourceVersion": made["metadata"]["resourceVersion"]}
        back = route(1)
        await world.user.update(kinds.HTTP_ROUTE, {**back, "metadata": {**back["metadata"], **version}})
    assert [line.partition(":")[0] for line in soak.broken] == [
        "lock without weights",
        "went back behind the lock",
    ]


@virtual_time
async def test_what_is_not_done_and_what_is_left_over_is_found() -> None:
    async with furnished() as world:
        soak = soak_of(world)
        await world.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
        soak.alive.append("one")
        await world.user.create(kinds.SECRET, NAMESPACE, owned(kinds.SECRET, "left", "gone"))
        await soak.end()
    assert [line.partition(":")[0] for line in soak.broken] == [
        "one is not Ready",
        "one did not migrate",
        "left over",
    ]


@pytest.mark.thorough
def test_a_process_does_not_grow_and_one_that_keeps_what_is_gone_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(rounds: int) -> None:
        if rounds == ROUNDS:
            monkeypatch.setattr(Interests, "forget", lambda *_: None)

    samples = growth.play(ROUNDS + 1, services=1, told=told)
    assert sum(samples[-1].entries.values()) > 1000
    assert grown(samples[1], samples[2], rounds=1) == []
    assert any("interests" in line for line in grown(samples[2], samples[3], rounds=1))


def test_growth_is_told_from_what_fills_up_and_stays() -> None:
    before = Sample({"a": 10, "b": 7, "Controller.recorder._known": 4000}, 100)
    after = Sample(
        {"a": 20, "b": 8, "Controller.recorder._known": 4096, "Controller.recorder._known[].x": 9}, 106
    )
    assert grown(before, after, rounds=10) == [
        "a: 10 entries became 20",
        "0.00 MB became 0.00",
    ]
    over = Sample({**after.entries, "Controller.recorder._known": 4097}, 100)
    assert "Controller.recorder._known: 4000 entries became 4097" in grown(before, over, rounds=10)
