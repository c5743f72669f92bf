"""The simulated cluster with presets and one namespace of services, on virtual time; and what it looks like in the end.

`snapshot` shows every object that a controller makes or writes, without what may differ from run to run (uids, versions,
times, random keys), so two histories can be compared as wholes.
"""

import copy
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.app import observers_of
from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.client import Client
from aioctl.metrics.page import Metrics
from aioctl.plan.global_config import EXPIRATION
from aioctl.sim import seed
from aioctl.sim.memory import MemoryWire
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from aioctl.sim.records import Record
from aioctl.sim.resources import Resource
from testbed.shipped_files import presets
from testbed.world import NAMESPACE, POLICY, World, world

SVC = "svc"
EVENTS = "events"
OWN = (
    kinds.SERVICE,
    kinds.DEPLOYMENT,
    kinds.CORE_SERVICE,
    kinds.SECRET,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.MODEL,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.HTTP_ROUTE,
    kinds.DESTINATION_RULE,
    kinds.POD_MONITOR,
    kinds.SERVICE_MONITOR,
)
_VOLATILE = ("uid", "resourceVersion", "creationTimestamp", "managedFields")
_TIMES = ("lastTransitionTime", "lastUpdateTime")
_GENERATIONS = ("generation", "observedGeneration")


@dataclass
class Stage:
    """A world, its gateways' player, and every write it has seen: (resource, name, event type) in order."""

    world: World
    gateways: GatewayPlayer
    written: list[tuple[str, str, str]] = field(default_factory=list)

    def controller(self, life: int = 1) -> Controller:
        """One process's controller. Its events go through a client of their own, so that they can be told apart."""
        cluster = self.world.cluster
        return Controller(
            client=Client(MemoryWire(cluster, agent=agent(life))),
            events_client=Client(MemoryWire(cluster, agent=events_agent(life))),
            policy=POLICY,
            knobs=Knobs(status_settle=0.05),
            observers=observers_of(Metrics(clock=self.world.clock)),
            clock=self.world.clock,
            turnstile=Turnstile(),
        )

    def note(self, resource: Resource, record: Record, type_: str) -> None:
        self.written.append((resource.title, record.key[1], type_))

    @property
    def created(self) -> Counter[tuple[str, str]]:
        """How often each object was created, events apart: kind and name."""
        return Counter(
            (resource, name)
            for resource, name, type_ in self.written
            if type_ == "ADDED" and resource != EVENTS
        )

    def generations(self) -> dict[str, int]:
        """How often the spec of each object was written, by kind and name."""
        return {
            f"{kind.resource} {key[1]}": record.decode()["metadata"].get("generation", 1)
            for kind in OWN
            for key, record in self._records(kind.resource).items()
        }

    def snapshot(self) -> dict[str, Any]:
        """Every object of our kinds, by kind and name, as stored."""
        return {
            f"{kind.resource} {key[1]}": comparable(record.decode())
            for kind in OWN
            for key, record in self._records(kind.resource).items()
        }

    def events(self) -> Counter[str]:
        """Messages of the events of services, and how often each happened."""
        found: Counter[str] = Counter()
        for record in self._records(EVENTS).values():
            event = record.decode()
            found[event["message"]] += event.get("count") or 1
        return found

    def _records(self, resource: str) -> Mapping[Any, Record]:
        return self.world.cluster.store.collections[resource].records


@asynccontextmanager
async def stage(*, played: bool = True) -> AsyncIterator[Stage]:
    """A cluster with presets, gateways and (if played) answers; no controller and no service yet."""
    async with world() as w, anyio.create_task_group() as group:
        for obj in seed.world():
            await w.cluster.create(obj)
        for preset in presets():
            metadata = {**preset["metadata"], "namespace": seed.SYSTEM_NAMESPACE}
            await w.cluster.create({**preset, "metadata": metadata})
        client, stamp = player_client(w.cluster), w.cluster.core.clock.stamp
        gateways = GatewayPlayer(client, stamp=stamp, default=GatewayScript(delay=1.0))
        staged = Stage(w, gateways)
        w.cluster.observers.append(staged.note)
        if played:
            group.start_soon(gateways.run)
            group.start_soon(WorkloadPlayer(client, delay=0.5, stamp=stamp).run)
        yield staged
        group.cancel_scope.cancel()


def agent(life: int) -> str:
    return f"aioctl/{life}."


def events_agent(life: int) -> str:
    return f"events/{life}."


def service(name: str = SVC) -> dict[str, Any]:
    """A service with everything the router can have."""
    return {
        "apiVersion": kinds.SERVICE.api_version,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "model": {"uri": "hf://facebook/opt-125m", "name": "m"},
            "router": {"gateway": {}, "route": {}, "scheduler": {}},
        },
    }


def comparable(obj: dict[str, Any]) -> dict[str, Any]:
    """The object without what is not decided by anybody."""
    made = copy.deepcopy(obj)
    metadata = made["metadata"]
    for name in _VOLATILE:
        metadata.pop(name, None)
    for owner in metadata.get("ownerReferences", ()):
        owner.pop("uid")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        if name in made.get("data", {}):
            made["data"][name] = "(random)"
    metadata.get("annotations", {}).pop(EXPIRATION, None)
    return dict(without(made, *_TIMES, *_GENERATIONS))


def without(value: Any, *fields: str) -> Any:
    """Without the fields, at any depth."""
    if isinstance(value, dict):
        return {name: without(item, *fields) for name, item in value.items() if name not in fields}
    if isinstance(value, list):
        return [without(item, *fields) for item in value]
    return value


def without_times(value: Any) -> Any:
    """Without the times of transitions, at any depth."""
    return without(value, *_TIMES)
