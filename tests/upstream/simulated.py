"""A case on the simulated cluster: a fresh cluster of the case's world, controller and players in one process, virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import anyio

from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.reviews import Reviews
from aioctl.sim.backup import Backup
from aioctl.sim.hooks import admission_configurations
from aioctl.sim.memory import MemoryWire
from aioctl.sim.players.following import player_client
from testbed.virtual_time import run_virtual
from testbed.world import World, world
from tests.golden.compare import State
from tests.golden.simulated import AN_HOUR, START, Writes
from tests.upstream import players, worlds
from tests.upstream.cases import UpstreamCase
from tests.upstream.playing import Stage

PLAYER_DELAY = 0.3
"""Seconds after which the recordings' player answered."""
KNOBS = Knobs(status_settle=0.05)
QUIET = 6.0
"""(Virtual) seconds without a write after which nothing is expected any more; one step later than the longest known wait."""
PATIENCE = 300.0


def play(case: UpstreamCase) -> State:
    """The whole case, from the empty namespace to the state it ends in."""
    return run_virtual(_play, case, furnished(case.world))


async def _play(case: UpstreamCase, backup: Backup) -> State:
    async with scene(backup) as found:
        stage = Stage.on(MemoryWire(found.cluster, agent="kubectl/test"), case)
        writes = Rest(found.cluster)
        controller = found.controller(policy=worlds.policy(case.world), knobs=KNOBS)
        async with played(found, case), found.running(controller):
            found.hooks.reviews = reviews(controller, case.world)
            await stage.open()
            await stage.give()
            await writes.rest()
            if case.later():
                await stage.follow()
                await writes.rest()
            if case.given.get("afterwards"):
                await stage.end()
                await writes.rest()
        # The recorder has flushed its events by now.
        return await stage.state()


def reviews(controller: Controller, world: str) -> Reviews:
    """What the webhooks know by the controller."""
    return Reviews(
        controller.caches,
        controller.client,
        namespace=controller.policy.system_namespace,
        presence=controller.discovery.served,
        prevents_deletion=worlds.prevents_deletion(world),
    )


@cache
def furnished(name: str) -> Backup:
    """A world in which a controller has come to rest before the first case, as the recorded one had."""
    return run_virtual(_furnish, name)


async def _furnish(name: str) -> Backup:
    async with world(garbage_collection=False, start=START - AN_HOUR, absent=worlds.absent(name)) as made:
        for title, resource in worlds.real_resources().items():
            if title in made.cluster.store.collections:
                made.cluster.store.collections[title].resource = resource
        for configuration in admission_configurations("https://localhost", "", match_policy="Exact"):
            await made.cluster.create(configuration)
        for obj in worlds.furniture(name):
            await made.cluster.create(obj, client="user")
        writes = Rest(made.cluster)
        controller = made.controller(policy=worlds.policy(name), knobs=KNOBS)
        async with made.running(controller):
            made.hooks.reviews = reviews(controller, name)
            await writes.rest()
        return Backup.of(made.cluster.core)


@asynccontextmanager
async def scene(backup: Backup) -> AsyncIterator[World]:
    """A cluster as the recordings found it. Nothing is garbage collected: they had no controller manager."""
    async with world(garbage_collection=False, start=START, backup=backup) as made:
        yield made


@asynccontextmanager
async def played(found: World, case: UpstreamCase) -> AsyncIterator[None]:
    """Gateways, workloads and autoscalers answer while the block runs."""
    client = player_client(found.cluster)
    stamp = found.cluster.core.clock.stamp
    async with anyio.create_task_group() as group:
        group.start_soon(players.gateways(client, case.moods, stamp=stamp, delay=PLAYER_DELAY).run)
        group.start_soon(players.WorkloadAnswers(client, case.moods, stamp=stamp, delay=PLAYER_DELAY).run)
        yield
        group.cancel_scope.cancel()


class Rest(Writes):
    """Knows when a cluster is at rest."""

    async def rest(self) -> None:
        """Until nothing was written for a while. Raises AssertionError when that never happens."""
        with anyio.move_on_after(PATIENCE):
            before = -1
            while before != self.count:
                before = self.count
                await anyio.sleep(QUIET)
            return
        raise AssertionError(f"something still writes after {PATIENCE:g} s")
