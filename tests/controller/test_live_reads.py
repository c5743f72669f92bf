"""Single reads: a name that a user wrote leads to the object of that name or to none."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.knobs import Knobs
from aioctl.controller.live_reads import FRESH_ABSENT, FRESH_PRESENT, MOST_BYTES, LiveReads
from aioctl.controller.observe import CacheObservation
from aioctl.kube.client import Client
from aioctl.plan.observation import Absent, Present, Read, Unknown
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from testbed.scripted_wire import ScriptedWire
from testbed.virtual_time import VirtualClock, run_virtual, virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

OWN = "/api/v1/namespaces/mine/secrets/s.1"


def read(name: str) -> Read | None:
    """What comes of reading that secret; a request to any other path than OWN fails the test."""

    async def ask() -> Read | None:
        wire = ScriptedWire()
        wire.answer("GET", OWN, body={"kind": "Secret"})
        reads = LiveReads(Client(wire), VirtualClock())
        ref = ObjectRef(kinds.SECRET, "mine", name)
        await reads.fetch([ref])
        return reads.get(ref)

    return run_virtual(ask)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../theirs/secrets/s", "s?watch=true", "s#x", "s%2f", "a b"]
)
def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    assert read(name) == Absent()


def test_a_name_is_asked_for() -> None:
    assert read("s.1") == Present({"kind": "Secret"})


@virtual_time
async def test_an_answer_whose_time_is_over_is_not_kept() -> None:
    reads = LiveReads(Client(ScriptedWire()), VirtualClock())
    for number in range(5):
        reads.remember(ObjectRef(kinds.SECRET, "mine", f"s{number}"), Present({"data": {"password": "cHc="}}))
    assert len(reads._answers) == 5
    await anyio.sleep(FRESH_PRESENT + 1)
    reads.remember(ObjectRef(kinds.SECRET, "mine", "another"), Absent())
    assert list(reads._answers) == [ObjectRef(kinds.SECRET, "mine", "another")]


@virtual_time
async def test_answers_are_bounded_in_bytes_but_what_a_plan_waits_for_is_there() -> None:
    wire = ScriptedWire()
    large = {"data": {"token": "x" * (MOST_BYTES // 4)}}
    refs = [ObjectRef(kinds.SECRET, "mine", f"s{number}") for number in range(8)]
    for ref in refs:
        wire.answer("GET", f"/api/v1/namespaces/mine/secrets/{ref.name}", body=large)
    reads = LiveReads(Client(wire), VirtualClock())
    for ref in refs[:6]:
        await reads.fetch([ref])
        assert reads._bytes <= MOST_BYTES
    assert [reads.get(ref) is not None for ref in refs[:6]] == [False, False, False, True, True, True]
    await reads.fetch(refs)
    assert all(reads.get(ref) == Present(large) for ref in refs), "one plan wants them all"
    await reads.fetch([refs[0]])
    assert reads._bytes <= MOST_BYTES
    assert reads.get(refs[0]) == Present(large)


@asynccontextmanager
async def controlled() -> AsyncIterator[World]:
    """A cluster with a gateway that answers, and the controller on it."""
    async with furnished() as stage, anyio.create_task_group() as group:
        stamp = stage.cluster.core.clock.stamp
        group.start_soon(GatewayPlayer(player_client(stage.cluster), stamp=stamp).run)
        async with stage.running(stage.controller(knobs=Knobs(status_settle=0.05))):
            yield stage
        group.cancel_scope.cancel()


@virtual_time
async def test_what_a_reconcile_was_told_stays_so_to_its_end() -> None:
    """Between plan and status lie writes, and on a busy loop more time than an answer is believed for."""
    async with furnished() as stage:
        controller = stage.controller(knobs=Knobs())
        live = LiveReads(stage.user, VirtualClock())
        absent = ObjectRef(kinds.SECRET, NAMESPACE, "absent")

        def view() -> CacheObservation:
            key = ObjectKey(NAMESPACE, "one")
            return CacheObservation(
                key,
                controller.caches,
                controller.discovery.served,
                live,
                controller.reconciler.converger.decoded,
            )

        async with stage.running(controller):
            await live.fetch([absent])
            old = view()
            assert old.get(*absent, named_by_user=True) == Absent()
            await anyio.sleep(2 * FRESH_ABSENT)
            assert old.get(*absent, named_by_user=True) == Absent()
            assert not old.demands
            new = view()
            assert isinstance(new.get(*absent, named_by_user=True), Unknown)
            assert new.demands == {absent}


@virtual_time
async def test_a_status_waits_for_what_only_it_asks_for() -> None:
    """The reconcile fails before the addresses are looked for, and the pool that is not there keeps it so."""
    async with controlled() as stage:
        router = {"route": {}, "gateway": {}, "scheduler": {"pool": {"ref": {"name": "absent"}}}}
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(router=router))
        await anyio.sleep(60)
        assert condition(await stage.find(kinds.SERVICE, "one"), "InferencePoolReady")[0] == "False"
        assert (await stage.find(kinds.SERVICE, "one") or {})["status"].get("url")
