"""A case on the simulated cluster: a fresh cluster, the controller and the players in one process, virtual time."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache

import anyio

from aioctl.api.objects import mapping
from aioctl.controller.knobs import Knobs
from aioctl.kube.client import Client
from aioctl.sim.api import SimCluster
from aioctl.sim.backup import Backup
from aioctl.sim.hooks import admission_configurations
from aioctl.sim.memory import MemoryWire
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import run_virtual
from testbed.world import World, world
from tests.golden.cases import Case
from tests.golden.compare import State
from tests.golden.playing import MATCH_POLICY, POLICY, Stage
from tests.golden.signer import rsa_authority

PLAYER_DELAY = 0.3
"""Seconds after which the recordings' player answered."""
KNOBS = Knobs(status_settle=0.05)
START = 1_767_225_600.0
"""Wall time of the clusters when a case begins, in seconds since the epoch."""
AN_HOUR = 3600.0
PAUSE = 1.0
PATIENCE = 120.0


class CountedStage(Stage):
    """Sees by the cluster's own count of writes whether something is written, and need not list everything again."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(Client(MemoryWire(cluster, agent="kubectl/test")), pause=PAUSE, patience=PATIENCE)
        self._writes = Writes(cluster)

    async def mark(self) -> object:
        return self._writes.count


class Writes:
    """Counts what is written in a cluster; an event that is told again does not count."""

    def __init__(self, cluster: SimCluster) -> None:
        self.count = 0
        cluster.observers.append(self._observe)

    def _observe(self, resource: object, _record: object, kind: str) -> None:
        if getattr(resource, "plural", "") != "events" or kind == "ADDED":
            self.count += 1


@dataclass
class Scene:
    """One cluster, ready for a case."""

    world: World
    stage: Stage

    @asynccontextmanager
    async def played(self) -> AsyncIterator[None]:
        """Gateways and workloads answer while the block runs."""
        client = player_client(self.world.cluster)
        stamp = self.world.cluster.core.clock.stamp
        gateways = GatewayPlayer(client, stamp=stamp, default=GatewayScript(delay=PLAYER_DELAY))
        workloads = WorkloadPlayer(client, delay=PLAYER_DELAY, stamp=stamp)
        async with anyio.create_task_group() as group:
            group.start_soon(gateways.run)
            group.start_soon(workloads.run)
            yield
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def controlled(self) -> AsyncIterator[None]:
        """The controller runs while the block runs."""
        async with self.world.running(self.world.controller(policy=POLICY, knobs=KNOBS)):
            yield

    async def play(self, case: Case) -> State:
        """The whole case, from the empty namespace to the state it ends in."""
        async with self.played(), self.controlled():
            await self.stage.open(case)
            refused = await self.stage.give(case)
            await self.stage.rest()
            if case.later():
                refused |= await self.stage.follow(case)
                await self.stage.rest()
        # The recorder has flushed its events by now.
        return as_of_then(await self.stage.state(case, refused))


def as_of_then(state: State) -> State:
    """Without the default of a field that the schema of the recordings had not: services had no `appProtocol`."""
    for path, obj in state.objects.items():
        pool = mapping(obj, "spec", "router", "scheduler", "pool", "spec") if "llminference" in path else {}
        if pool.get("appProtocol") == "http":
            assert isinstance(pool, dict)
            del pool["appProtocol"]
    return state


@asynccontextmanager
async def scene(backup: Backup) -> AsyncIterator[Scene]:
    """A cluster that begins as the recordings found theirs: see `furnished`. Nothing is garbage collected: they had no
    controller manager."""
    async with world(garbage_collection=False, start=START, backup=backup) as made:
        yield Scene(made, CountedStage(made.cluster))


@cache
def furnished() -> Backup:
    """A cluster in which a controller has come to rest before the first case, as the recorded one had."""
    return run_virtual(_furnish, rsa_authority())


async def _furnish(signer: Mapping[str, bytes]) -> Backup:
    async with world(garbage_collection=False, start=START - AN_HOUR) as made:
        stage = CountedStage(made.cluster)
        hooks = admission_configurations("https://localhost", "", match_policy=MATCH_POLICY)
        for configuration in hooks:
            await made.cluster.create(configuration)
        await stage.prepare(signer)
        async with Scene(made, stage).controlled():
            await stage.rest()
        return Backup.of(made.cluster.core)
