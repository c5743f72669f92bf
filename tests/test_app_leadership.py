"""Whole programs with leader election on one cluster: all watch, one reconciles. Virtual time; only the webhook's socket is
real, and it is not asked.
"""

import gc
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.app import Application
from aioctl.kube.config import ClusterConfig
from aioctl.kube.http import NoCredentials
from aioctl.kube.lease import LeadershipLost
from aioctl.kube.wire import Request, Response
from aioctl.settings import Settings
from aioctl.sim.api import SimCluster
from aioctl.sim.memory import MemoryWire
from testbed.virtual_time import advance, virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

NAMES = ("aioctl/a", "aioctl/b")
"""User agents of the two."""
BESIDE = {"leases", "events"}
"""What is written without leading, or about it."""


class StoppableWire(MemoryWire):
    """At a write of its choice everything stands still for that long: as for a process that the kernel has stopped."""

    still: ClassVar[tuple[str, int, float]] = ("", 0, 0.0)
    """Whose wire, the write counted from 1, and for how many seconds."""
    went_on: ClassVar[float] = math.inf
    late: ClassVar[list[str]] = []
    """What was sent by that process after it went on."""

    def __init__(self, cluster: SimCluster, *, agent: str) -> None:
        super().__init__(cluster, agent=agent)
        self._name = agent
        self._writes = 0

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        of, write, seconds = StoppableWire.still
        if self._name == of and request.method != "GET" and not any(word in request.path for word in BESIDE):
            self._writes += 1
            if self._writes == write:
                advance(seconds)
                StoppableWire.went_on = anyio.current_time()
            elif anyio.current_time() >= StoppableWire.went_on:
                StoppableWire.late.append(f"{request.method} {request.path}")
        return await super().send(request, timeout=timeout)


@dataclass
class Replica:
    """One program; `error` is what it ended with."""

    name: str
    application: Application
    stop: anyio.Event = field(default_factory=anyio.Event)
    error: Exception | None = None
    ended: bool = False

    @property
    def leads(self) -> bool:
        labels = {"name": self.application.settings.lease_name}
        registry = self.application.metrics.registry
        return bool(registry.get_sample_value("leader_election_master_status", labels))

    async def run(self) -> None:
        try:
            await self.application.run(self.stop)
        except LeadershipLost as error:
            self.error = error
        self.ended = True


def writes(stage: World, replica: Replica) -> int:
    """Calls that change something, refused ones included."""
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if client == replica.name
        and verb in {"create", "update", "patch", "delete"}
        and resource.partition(".")[0] not in BESIDE
    )


@asynccontextmanager
async def two_replicas(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, Replica, Replica]]:
    """The world, the one that leads, and the other; all caches are full."""
    given: dict[str, Any] = {
        "webhook_host": "127.0.0.1",
        "webhook_port": 0,
        "metrics_port": 0,
        "health_port": 0,
        "cert_dir": folder,
        "auth_disabled": True,
    }
    settings = Settings.model_validate(given)
    async with furnished() as stage, anyio.create_task_group() as group:

        def wire(config: ClusterConfig) -> StoppableWire:
            return StoppableWire(stage.cluster, agent=config.source)

        monkeypatch.setattr(ClusterConfig, "wire", wire)
        config = partial(ClusterConfig, "memory", None, NoCredentials())
        replicas = [
            Replica(name, Application(settings, config(source=name), clock=stage.clock)) for name in NAMES
        ]
        for replica in replicas:
            group.start_soon(replica.run)
        await anyio.sleep(5)
        (leader,) = (replica for replica in replicas if replica.leads)
        (other,) = (replica for replica in replicas if not replica.leads)
        yield stage, leader, other
        for replica in replicas:
            replica.stop.set()
    gc.unfreeze()  # the program freezes the heap of its process


async def deployed(stage: World, name: str) -> None:
    async def is_deployed() -> bool:
        return await stage.find(kinds.DEPLOYMENT, f"{name}-kserve") is not None

    await stage.until(is_deployed)


@virtual_time
async def test_only_the_holder_of_the_lease_reconciles_and_a_stop_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_replicas(tmp_path, monkeypatch) as (stage, leader, other):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
        await deployed(stage, "one")
        await anyio.sleep(20)
        assert writes(stage, leader) > 0
        assert writes(stage, other) == 0
        assert ObjectKey(NAMESPACE, "one") in other.application.controller.caches.services()
        told = {one.name: one.application.whoami() for one in (leader, other)}
        assert (told[leader.name]["role"], told[other.name]["role"]) == ("leader", "follower")
        assert told[other.name]["leader"] == socket.gethostname()

        leader.stop.set()
        await anyio.sleep(5)
        assert (leader.ended, leader.error) == (True, None)
        assert other.leads
        before = writes(stage, leader)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("two"))
        await deployed(stage, "two")
        assert writes(stage, other) > 0
        assert writes(stage, leader) == before


@virtual_time
async def test_a_holder_that_is_cut_off_ends_before_the_other_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_replicas(tmp_path, monkeypatch) as (stage, leader, other):
        settings = leader.application.settings
        stage.cluster.faults.partition(leader.name)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
        await anyio.sleep(settings.renew_deadline + 0.5)
        assert not leader.leads
        assert not other.leads
        assert writes(stage, other) == 0
        await deployed(stage, "one")
        assert leader.ended
        assert isinstance(leader.error, LeadershipLost)
        assert other.leads


@pytest.mark.parametrize(
    "write", [pytest.param(1, marks=pytest.mark.thorough), 6, pytest.param(15, marks=pytest.mark.thorough)]
)
def test_a_holder_that_was_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(
    write: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers are ready to go on at the same moment as its lease finds itself lost (LEASE-2)."""

    @virtual_time
    async def run() -> None:
        async with two_replicas(tmp_path, monkeypatch) as (stage, leader, _):
            settings = leader.application.settings
            late: list[str] = []
            monkeypatch.setattr(StoppableWire, "late", late)
            monkeypatch.setattr(StoppableWire, "went_on", math.inf)
            monkeypatch.setattr(StoppableWire, "still", (leader.name, write, settings.lease_duration + 1))
            for number in range(3):
                await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(f"s{number}"))
            await anyio.sleep(30)
            assert StoppableWire.went_on < math.inf
            assert late == []
            assert isinstance(leader.error, LeadershipLost)

    run()
