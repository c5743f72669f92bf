"""Watches a fleet from outside, as any user can: when was each service migrated, when was it ready?

Migrated is the lock: the annotation on the managed route. Times are those at which this process saw
the change, so they include the API server's and our own delay.
"""

from dataclasses import dataclass, field
from time import monotonic

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.names import MIGRATED, NAME
from aioctl.api.objects import dig, key_of, labels_of, namespace_of, sequence
from aioctl.kube.client import Client
from aioctl.sim.players.following import Object, follow


@dataclass
class Witness:
    """`created` is filled by `starts`; the rest by `run`. Seconds of the monotonic clock."""

    wanted: int
    created: dict[ObjectKey, float] = field(default_factory=dict)
    migrated: dict[ObjectKey, float] = field(default_factory=dict)
    ready: dict[ObjectKey, float] = field(default_factory=dict)
    stored: dict[ObjectKey, Object] = field(default_factory=dict)
    """Every service as last seen."""

    def __post_init__(self) -> None:
        self._news = anyio.Event()

    async def run(self, client: Client) -> None:
        """Endless."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_routes, client)
            group.start_soon(self._follow_services, client)

    def starts(self, service: Object) -> None:
        """The creation of a service begins now."""
        self.created[key_of(service)] = monotonic()

    async def wait_migrated(self) -> None:
        await self.wait_for(self.wanted)

    async def wait_for(self, count: int) -> None:
        """Until so many are migrated."""
        while len(self.migrated) < count:
            await self._news.wait()

    async def wait_ready(self) -> None:
        while len(self.ready) < self.wanted:
            await self._news.wait()

    def seconds_to(self, moments: dict[ObjectKey, float]) -> list[float]:
        """From the start of each service's creation."""
        return [moment - self.created[key] for key, moment in moments.items() if key in self.created]

    async def _follow_routes(self, client: Client) -> None:
        async for event in follow(client, kinds.HTTP_ROUTE, {}):
            route = event.object
            if dig(route, "metadata", "annotations", MIGRATED) == "v1":
                name = labels_of(route).get(NAME, "")
                self._note(self.migrated, ObjectKey(namespace_of(route), name))

    async def _follow_services(self, client: Client) -> None:
        async for event in follow(client, kinds.SERVICE, self.stored):
            found = [c for c in sequence(event.object, "status", "conditions") if c.get("type") == "Ready"]
            if found and found[0].get("status") == "True":
                self._note(self.ready, key_of(event.object))

    def _note(self, moments: dict[ObjectKey, float], key: ObjectKey) -> None:
        if key not in moments:
            moments[key] = monotonic()
            self._news.set()
            self._news = anyio.Event()
