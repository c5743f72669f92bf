"""Everything at once, for as long as one likes, on the embedded cluster in virtual time: users who create, edit, stop and delete
services and delete children by hand, a gateway that learns, processes that die at any moment, and every misfortune of
the catalogue, up to three at a time.

All of it comes from one seed. Every version of every route is judged as it is written; in the end everything works again, and what
the model checker demands of one service must hold for the whole fleet.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, annotations_of, dig, key_of, labels_of, name_of, sequence
from aioctl.controller.knobs import Knobs
from aioctl.kube.errors import KubeError
from aioctl.sim import fleet
from aioctl.sim.dataplane import DataPlane
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from aioctl.sim.records import Record
from aioctl.sim.resources import Resource
from testbed.crashes import AFTERWARDS, CountingWire, rest
from testbed.misfortunes import MISFORTUNES, clear
from testbed.virtual_time import BEGIN, allow_cpu, run_virtual
from testbed.world import NAMESPACE, World, condition, furnished

LEARNING: Final = ("v1alpha2-only", "accepts-both-routes-v1alpha2", "both")
"""What the gateway can, in order; it forgets nothing."""
_BY_HAND: Final = (kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2, kinds.DEPLOYMENT)
_CPU_PER_SECOND: Final = 2.0
"""Seconds of CPU that a virtual second may take, on however slow a machine: a bound for what runs away."""


@dataclass(frozen=True)
class Report:
    """One soak. `broken`: what must not have been seen; empty is good. `deeds`: what happened, and how often."""

    deeds: Mapping[str, int]
    writes: int
    services: int
    """Alive at the end."""
    broken: Sequence[str]


def play(
    seconds: float, *, seed: int, services: int = 12, told: Callable[[float], object] = lambda _: None
) -> Report:
    """So many virtual seconds of it with at most so many services at a time, and the calm after it. `told` hears how many
    have passed whenever a user acts."""
    random.seed(seed)  # clients draw the length of their pauses
    return run_virtual(lambda: _live(seconds, seed, services, told))


async def _live(seconds: float, seed: int, services: int, told: Callable[[float], object]) -> Report:
    allow_cpu(_CPU_PER_SECOND * seconds)
    async with furnished(start=BEGIN.timestamp()) as world, anyio.create_task_group() as group:
        client, stamp = player_client(world.cluster), world.cluster.core.clock.stamp
        gateways = GatewayPlayer(client, stamp=stamp, default=GatewayScript(BEHAVIOURS[LEARNING[0]]))
        group.start_soon(gateways.run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        soak = Soak(world, gateways, seed, services, seconds, told)
        with anyio.move_on_after(seconds):
            async with anyio.create_task_group() as trouble:
                for actor in (soak.users, soak.processes, soak.misfortunes, soak.learning):
                    trouble.start_soon(actor)
        await soak.end()
        group.cancel_scope.cancel()
    return Report(soak.deeds, soak.wire_writes, len(soak.alive), soak.broken)


@dataclass
class Soak:
    """One history."""

    world: World
    gateways: GatewayPlayer
    seed: int
    most: int
    seconds: float
    told: Callable[[float], object] = lambda _: None
    deeds: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    alive: list[str] = field(default_factory=list)
    """Names of the services that users have not deleted."""
    wire_writes: int = 0
    plane: DataPlane = field(init=False)
    _locked: set[ObjectKey] = field(default_factory=set)
    """Services whose route carried the lock once."""
    _made: int = 0

    def __post_init__(self) -> None:
        self.plane = DataPlane(self.world.cluster)
        self.world.cluster.observers.append(self.watch)

    def dice(self, of: str) -> random.Random:
        """Each actor has its own, so that none shifts what another does."""
        return random.Random(f"{self.seed}/{of}")  # noqa: S311  determinism, no secrets

    # -- who acts

    async def users(self) -> None:
        """What fails, fails: they see it and go on."""
        dice = self.dice("users")
        deeds: tuple[tuple[int, Callable[[random.Random], Awaitable[None]]], ...] = (
            (4, self.create), (2, self.delete), (3, self.scale), (2, self.change_model), (2, self.stop), (2, self.resume),
            (1, self.pause), (2, self.go_on), (2, self.delete_by_hand),
        )  # fmt: skip
        weights = [weight for weight, _ in deeds]
        while True:
            await anyio.sleep(dice.uniform(0.2, 4.0))
            self.told(anyio.current_time())
            ((_, deed),) = dice.choices(deeds, weights)
            try:
                await deed(dice)
            except KubeError:
                self.deeds["refused"] += 1

    async def processes(self) -> None:
        """One after the other; each dies at some moment, in the midst of whatever it does."""
        dice = self.dice("processes")
        while True:
            with anyio.move_on_after(dice.choice((dice.uniform(0.5, 20.0), dice.uniform(20.0, 180.0)))):
                await self.process()
            self.deeds["process died"] += 1
            await anyio.sleep(dice.uniform(0.1, 5.0))

    async def process(self) -> None:
        """Endless."""
        wire = CountingWire(self.world.cluster)
        try:
            async with self.world.running(self.world.controller(knobs=Knobs(), wire=wire)):
                await anyio.sleep_forever()
        finally:
            self.wire_writes += wire.taken

    async def misfortunes(self) -> None:
        dice = self.dice("misfortunes")
        while True:
            await anyio.sleep(dice.uniform(2.0, 25.0))
            chosen = dice.sample(list(MISFORTUNES), dice.choice((1, 1, 2, 3)))
            with anyio.move_on_after(dice.uniform(3.0, 40.0)):
                async with anyio.create_task_group() as group:
                    for name in chosen:
                        self.deeds[name] += 1
                        group.start_soon(MISFORTUNES[name], self.world)
                    await anyio.sleep_forever()
            clear(self.world)

    async def learning(self) -> None:
        """The gateway comes to know v1 in the first half."""
        dice = self.dice("gateway")
        for behaviour in LEARNING:
            self.gateways.set_script(GatewayScript(BEHAVIOURS[behaviour], delay=dice.uniform(0.1, 3.0)))
            await anyio.sleep(dice.uniform(0.0, self.seconds / 4))
        await anyio.sleep_forever()

    # -- what users do

    async def create(self, dice: random.Random) -> None:
        if len(self.alive) < self.most:
            service = fleet.service(self._made, seed=self.seed, namespace=NAMESPACE)
            self._made += 1
            # It may be there though the answer was lost.
            self.alive.append(name_of(service))
            self.deeds["created"] += 1
            await self.world.user.create(fleet.kind_of(service), NAMESPACE, service)

    async def delete(self, dice: random.Random) -> None:
        if self.alive:
            name = dice.choice(self.alive)
            await self.world.user.delete(kinds.SERVICE, NAMESPACE, name)
            self.alive.remove(name)
            self.deeds["deleted"] += 1

    async def scale(self, dice: random.Random) -> None:
        await self._patch(dice, "scaled", {"spec": {"replicas": dice.randint(0, 4)}})

    async def change_model(self, dice: random.Random) -> None:
        await self._patch(
            dice, "model changed", {"spec": {"model": {"uri": f"hf://example/model-{dice.randint(1, 99)}"}}}
        )

    async def stop(self, dice: random.Random) -> None:
        await self._mark(dice, "stopped", names.STOP, "true")

    async def resume(self, dice: random.Random) -> None:
        await self._mark(dice, "resumed", names.STOP, None)

    async def pause(self, dice: random.Random) -> None:
        await self._mark(dice, "paused", names.MIGRATION, "paused")

    async def go_on(self, dice: random.Random) -> None:
        await self._mark(dice, "unpaused", names.MIGRATION, None)

    async def delete_by_hand(self, dice: random.Random) -> None:
        """A child of some service. Not a route whose lock has no copy yet: nobody could know of it afterwards."""
        kind = dice.choice(_BY_HAND)
        found = sorted(
            name_of(obj) for obj in self._objects(kind) if labels_of(obj).get(names.NAME) in self.alive
        )
        if found:
            name = dice.choice(found)
            if kind is kinds.HTTP_ROUTE and not self._may_go(name):
                return
            await self.world.user.delete(kind, NAMESPACE, name)
            self.deeds[f"{kind.plural} deleted by hand"] += 1

    def _may_go(self, route: str) -> bool:
        obj = self.world.cluster.peek(kinds.HTTP_ROUTE.resource, NAMESPACE, route)
        owner = self.world.cluster.peek(
            kinds.SERVICE.resource, NAMESPACE, labels_of(obj or {}).get(names.NAME, "")
        )
        has_lock = annotations_of(obj or {}).get(names.MIGRATED) is not None
        return not has_lock or dig(owner, "status", "annotations", names.MIGRATED) is not None

    async def _mark(self, dice: random.Random, deed: str, name: str, value: str | None) -> None:
        await self._patch(dice, deed, {"metadata": {"annotations": {name: value}}})

    async def _patch(self, dice: random.Random, deed: str, body: Object) -> None:
        if self.alive:
            await self.world.user.patch(kinds.SERVICE, NAMESPACE, dice.choice(self.alive), body)
            self.deeds[deed] += 1

    # -- what is looked at

    def watch(self, resource: Resource, record: Record, type_: str) -> None:
        """Every version of every route: lock and weights are together, and nothing goes back behind the lock."""
        if resource.title == kinds.SERVICE.resource and type_ == "DELETED":
            self._locked.discard(ObjectKey(*record.key))
        if resource.title != kinds.HTTP_ROUTE.resource or type_ == "DELETED":
            return
        route = record.decode()
        owner = ObjectKey(record.key[0], labels_of(route).get(names.NAME, ""))
        has_lock = annotations_of(route).get(names.MIGRATED) == "v1"
        is_back = any(
            ref.get("group") == kinds.POOL_GROUP_V1ALPHA2 and ref.get("weight", 1) for ref in _refs(route)
        )
        at = f"{owner} at {anyio.current_time():.3f}"
        if has_lock and is_back:
            self.broken.append(f"lock without weights: {at}")
        elif is_back and owner in self._locked:
            self.broken.append(f"went back behind the lock: {at}")
        if has_lock:
            self._locked.add(owner)

    # -- the calm

    async def end(self) -> None:
        """All works again, and nobody holds anything back; then all must be where it should."""
        clear(self.world)
        self.gateways.set_script(GatewayScript(BEHAVIOURS["both"], delay=0.5))
        for name in list(self.alive):
            marks = {"metadata": {"annotations": {names.STOP: None, names.MIGRATION: None}}}
            try:
                await self.world.user.patch(kinds.SERVICE, NAMESPACE, name, marks)
            except KubeError:
                self.alive.remove(name)  # its creation never arrived
        async with anyio.create_task_group() as group:
            group.start_soon(self.process)
            try:
                await rest(self.world)
            except AssertionError as error:
                self.broken.append(str(error))
            group.cancel_scope.cancel()
        before = self.wire_writes
        with anyio.move_on_after(AFTERWARDS):
            await self.process()
        if later := self.wire_writes - before:
            self.broken.append(f"{later} writes by a process that finds everything done")
        self.broken += self.plane.bad_moves
        self.broken += self._not_done()
        self.broken += self._left_over()

    def _not_done(self) -> list[str]:
        found = []
        for name in self.alive:
            service = self.world.cluster.peek(kinds.SERVICE.resource, NAMESPACE, name)
            route = self.world.cluster.peek(kinds.HTTP_ROUTE.resource, NAMESPACE, names.route_name(name))
            ready = condition(service, "Ready")
            if ready[0] != "True":
                found.append(f"{name} is not Ready: {ready[1]} {ready[2]}".strip())
            if annotations_of(route or {}).get(names.MIGRATED) != "v1":
                found.append(f"{name} did not migrate")
        return found

    def _left_over(self) -> list[str]:
        """What belongs to a service that is gone."""
        found = []
        for title in self.world.cluster.store.collections:
            for obj in self.world.cluster.peek_all(title):
                labels = labels_of(obj)
                owner = labels.get(names.NAME)
                ours = labels.get(names.PART_OF) == names.PART_OF_VALUE and owner
                if ours and owner not in self.alive and title != kinds.SERVICE.resource:
                    found.append(f"left over: {title} {key_of(obj)}")
        return found

    def _objects(self, kind: Kind) -> Sequence[Object]:
        return self.world.cluster.peek_all(kind.resource, NAMESPACE)


def _refs(route: Object) -> list[Any]:
    return [ref for rule in sequence(route, "spec", "rules") for ref in sequence(rule, "backendRefs")]
