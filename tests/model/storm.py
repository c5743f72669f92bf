"""Random histories of one service on the simulated cluster: real caches, real watches, real conflicts, and all kinds of bad
luck at once. What the model checker takes for granted (own writes are waited for, an update of what has changed is a
conflict, a new process lists first) is put to the test here.

A gateway comes to know v1 in some steps and never forgets it. The user meddles, if asked to, but never takes both copies of
the lock away. In the end everything works again, and the service has to be where it should.
"""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.objects import annotations_of, mapping
from aioctl.kube.errors import KubeError
from aioctl.sim.dataplane import DataPlane
from aioctl.sim.errors import conflict, internal, too_many_requests
from aioctl.sim.faults import Match
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.records import Record
from aioctl.sim.resources import Resource
from testbed.world import NAMESPACE
from tests.model.cluster_on_virtual_time import SVC, Stage, agent, events_agent, service, stage

ROUTE = names.route_name(SVC)
POOL = names.default_pool_name(SVC)
LASTS = 60.0
"""Virtual seconds of bad luck."""
CALM = 150.0
"""Virtual seconds of good luck after it: discovery looks every 30."""
STEPS = ("silent", "v1alpha2-only", "accepts-both-routes-v1alpha2", "both")
"""What the gateway can, in order; some are left out."""


@dataclass
class Storm:
    """One history. `broken` says what must not have been seen."""

    staged: Stage
    gateways: GatewayPlayer
    luck: random.Random
    broken: list[str] = field(default_factory=list)
    locked: bool = False
    life: int = 0

    # -- what happens

    async def processes(self) -> None:
        """One process after the other, each killed at some moment or behind some write."""
        while True:
            self.life += 1
            await self._process(self.luck.choice((self.luck.uniform(0.5, 20.0), LASTS)))

    async def last_process(self) -> None:
        self.life += 1
        await self._process(CALM)

    async def _process(self, seconds: float) -> None:
        faults, life = self.staged.world.cluster.faults, self.life
        with anyio.move_on_after(seconds) as scope:
            if seconds < CALM and self.luck.random() < 0.5:
                faults.crash_after(self.luck.randrange(1, 12), scope.cancel, client=agent(life))
            async with self.staged.world.running(self.staged.controller(life)):
                await anyio.sleep(2 * CALM)
        faults.partition(agent(life))
        faults.partition(events_agent(life))

    async def misfortunes(self) -> None:
        faults, cluster = self.staged.world.cluster.faults, self.staged.world.cluster
        ours = Match(client="aioctl/")
        while True:
            await anyio.sleep(self.luck.uniform(0.05, 3.0))
            match self.luck.randrange(7):
                case 0:
                    faults.fail(Match(verb=self._verb(), client="aioctl/"), internal("etcd has no leader"))
                case 1:
                    faults.fail(Match(verb=self._verb(), client="aioctl/"), too_many_requests())
                case 2:
                    faults.fail(Match(verb="update", client="aioctl/"), conflict("x", "y", "z"))
                case 3:
                    faults.lose(
                        Match(verb=self._verb(), client="aioctl/"), self.luck.choice(("before", "after"))
                    )
                case 4:
                    faults.cut_watches(ours)
                case 5:
                    faults.lag_watches(ours, self.luck.choice((0.0, 0.2, 2.0)))
                case _:
                    if self.luck.random() < 0.2:
                        await cluster.restart(down_for=self.luck.uniform(0.1, 3.0))

    def _verb(self) -> str:
        return self.luck.choice(("create", "update", "patch", "get", "list", "watch"))

    async def progress(self) -> None:
        """The gateway learns."""
        for step in STEPS:
            if step == STEPS[-1] or self.luck.random() < 0.5:
                self.gateways.set_script(GatewayScript(BEHAVIOURS[step], delay=self.luck.uniform(0.1, 3.0)))
            await anyio.sleep(self.luck.uniform(1.0, 12.0))

    async def user(self) -> None:
        """Edits what is not hers; what fails, fails."""
        deeds: tuple[Callable[[], Awaitable[None]], ...] = (
            self._edit_weights,
            self._take_the_annotation,
            self._delete_the_route,
            lambda: self._delete(kinds.POOL_V1, POOL),
            lambda: self._delete(kinds.POOL_V1ALPHA2, POOL),
            self._pause,
        )
        while True:
            await anyio.sleep(self.luck.uniform(0.5, 6.0))
            try:
                await self.luck.choice(deeds)()
            except KubeError:
                continue

    async def _edit_weights(self) -> None:
        live = await self.staged.world.user.get(kinds.HTTP_ROUTE, NAMESPACE, ROUTE)
        for rule in live["spec"]["rules"][: self.luck.randrange(1, 3)]:
            for ref in rule["backendRefs"]:
                ref["weight"] = 50
        await self.staged.world.user.update(kinds.HTTP_ROUTE, live)

    async def _take_the_annotation(self) -> None:
        if await self._has_copy():
            patch = {"metadata": {"annotations": {names.MIGRATED: None}}}
            await self.staged.world.user.patch(kinds.HTTP_ROUTE, NAMESPACE, ROUTE, patch)

    async def _delete_the_route(self) -> None:
        if not self.locked or await self._has_copy():
            await self._delete(kinds.HTTP_ROUTE, ROUTE)

    async def _has_copy(self) -> bool:
        found = await self.staged.world.user.get(kinds.SERVICE, NAMESPACE, SVC)
        return bool(mapping(found, "status", "annotations").get(names.MIGRATED))

    async def _delete(self, kind: Kind, name: str) -> None:
        await self.staged.world.user.delete(kind, NAMESPACE, name)

    async def _pause(self) -> None:
        value = self.luck.choice(("paused", None))
        patch = {"metadata": {"annotations": {names.MIGRATION: value}}}
        await self.staged.world.user.patch(kinds.SERVICE, NAMESPACE, SVC, patch)

    # -- what is looked at

    def watch(self, resource: Resource, record: Record, type_: str) -> None:
        """Every version of the route: behind the lock no version has all its traffic on v1alpha2."""
        if resource.title != kinds.HTTP_ROUTE.resource or type_ == "DELETED":
            return
        route = record.decode()
        weights = {ref["group"]: ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]}
        on_alpha = weights[kinds.POOL_GROUP_V1] == 0
        has_lock = annotations_of(route).get(names.MIGRATED) == "v1"
        if has_lock and on_alpha:
            self.broken.append(f"lock without weights: {weights}")
        if self.locked and on_alpha:
            self.broken.append(f"went back at {anyio.current_time():.3f}")
        self.locked |= has_lock


@dataclass(frozen=True)
class End:
    """What a storm left."""

    broken: list[str]
    bad_moves: list[str]
    route: Mapping[str, Any]
    status: Mapping[str, Any]
    lives: int
    writes_at_rest: int
    """Of a process that starts when everything is done."""

    def problems(self, *, meddling: bool) -> list[str]:
        """What is not as it should be; a user's own edits are not held against the controller."""
        found = list(self.broken) + ([] if meddling else self.bad_moves)
        weights = {ref["group"]: ref["weight"] for ref in self.route["spec"]["rules"][0]["backendRefs"]}
        if weights != {kinds.POOL_GROUP_V1: 1, kinds.POOL_GROUP_V1ALPHA2: 0}:
            found.append(f"ends with weights {weights}")
        locks = annotations_of(self.route), mapping(self.status, "annotations")
        if any(lock.get(names.MIGRATED) != "v1" for lock in locks):
            found.append(f"ends with locks {locks}")
        ready = {entry["type"]: entry["status"] for entry in self.status["conditions"]}
        found += [f"ends with {type_} {status}" for type_, status in ready.items() if status != "True"]
        if self.writes_at_rest:
            found.append(f"{self.writes_at_rest} writes by a process that finds everything done")
        return found


async def weather(seed: int, *, meddling: bool) -> End:
    """One storm and the calm after it."""
    # Determinism, not secrecy.
    luck = random.Random(seed)  # noqa: S311
    async with stage() as staged, anyio.create_task_group() as group:
        world = staged.world
        plane = DataPlane(world.cluster)
        storm = Storm(staged, staged.gateways, luck)
        world.cluster.observers.append(storm.watch)
        staged.gateways.set_script(GatewayScript(BEHAVIOURS["silent"]))
        await world.user.create(kinds.SERVICE, NAMESPACE, service())
        with anyio.move_on_after(LASTS):
            async with anyio.create_task_group() as bad:
                bad.start_soon(storm.processes)
                bad.start_soon(storm.misfortunes)
                bad.start_soon(storm.progress)
                if meddling:
                    bad.start_soon(storm.user)
        await _calm(storm)
        await storm.last_process()
        before = len(staged.written)
        await storm.last_process()
        found = await world.user.get(kinds.SERVICE, NAMESPACE, SVC)
        route = await world.user.get(kinds.HTTP_ROUTE, NAMESPACE, ROUTE)
        rest = len(staged.written) - before
        group.cancel_scope.cancel()
    return End(storm.broken, plane.bad_moves, route, found["status"], storm.life, rest)


async def _calm(storm: Storm) -> None:
    """All faults are taken away, the gateway can all, nothing is paused."""
    cluster = storm.staged.world.cluster
    faults = cluster.faults
    for rule in list(faults.rules):
        faults.remove(rule)
    faults.lag_watches(Match(client="aioctl/"), 0.0)
    faults.is_down = False
    storm.gateways.set_script(GatewayScript(BEHAVIOURS["both"], delay=0.5))
    patch = {"metadata": {"annotations": {names.MIGRATION: None}}}
    await storm.staged.world.user.patch(kinds.SERVICE, NAMESPACE, SVC, patch)
