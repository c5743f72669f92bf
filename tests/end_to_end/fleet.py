"""A fleet of services from creation over migration to deletion, by `aioctl run` as a process; what was to be seen on the way.

The cluster is the simulated server in a process of its own, or a kube-apiserver with the same players beside it. The fleet is
made as users would, half of it in v1alpha1. Everything is observed through the API: `watched` holds each revision of routes
and pools, in the order of the API server.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
from anyio.abc import TaskStatus

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.objects import dig, labels_of, name_of
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.errors import NotFound
from aioctl.sim import fleet, seed
from bench import clusters
from bench.counts import Counting, Counts
from testbed.at_rest import work_of

Object = dict[str, Any]
SERVICES = 20
NAMESPACE = seed.DEMO_NAMESPACE
PATIENCE = 600.0
QUIET = 5.0
"""Seconds in which nothing may be written after the migration."""
STILL = 1.5
OF_A_SERVICE = (
    kinds.SERVICE,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.MODEL,
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    kinds.CORE_SERVICE,
    kinds.SECRET,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.DESTINATION_RULE,
)
"""Every kind that a service may have children of on these clusters."""
WATCHED = (kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2)
SETTINGS = {"AIOCTL_POOL_STAGGER": "0.05", "AIOCTL_STATUS_SETTLE": "0.2"}


@dataclass(frozen=True, slots=True)
class Seen:
    """One revision of an object in a watch."""

    type: str
    object: Object

    @property
    def revision(self) -> int:
        return int(self.object["metadata"]["resourceVersion"])


@dataclass
class Story:
    """What was to be seen. Mappings are by the service's name."""

    sent: dict[str, Object]
    """Services as they were created."""
    watched: dict[Kind, list[Seen]] = field(default_factory=dict)
    services: dict[Kind, dict[str, Object]] = field(default_factory=dict)
    """In both versions, after the migration."""
    events: list[Object] = field(default_factory=list)
    moved: Counts = field(default_factory=Counts)
    """Calls until everything was still."""
    afterwards: Counts = field(default_factory=Counts)
    """Calls in the quiet time."""
    before: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    """Objects of the kinds of a service: before the fleet, after the migration, and after its deletion."""

    def of(self, kind: Kind, service: str) -> list[Seen]:
        return [seen for seen in self.watched[kind] if labels_of(seen.object).get(names.NAME) == service]

    def events_of(self, service: str) -> list[Object]:
        return [event for event in self.events if dig(event, "regarding", "name") == service]


@dataclass(frozen=True, slots=True)
class Ground:
    """A cluster, its user, and the metrics page of the program on it."""

    counting: Counting
    client: Client
    page: str


@asynccontextmanager
async def cluster(folder: Path, name: str) -> AsyncIterator[Ground]:
    """The named cluster with the program running on it; ready for services. Raises StageError."""
    ports, certificates = processes.Ports.free(), processes.write_certificates(folder)
    opened = {"sim": clusters.simulated, "real": clusters.real}[name]
    async with (
        opened(folder, ports, certificates, clusters.Players(gateway_delay=1.0, workload_delay=1.0)) as place,
        processes.controller(folder, ports, certificates, place.kubeconfig, SETTINGS),
        clusters.client_for(place.kubeconfig) as client,
    ):
        await processes.install_presets(client)
        yield Ground(place.counting, client, ports.metrics_page)


async def play(place: Ground) -> Story:
    """The whole story. Raises TimeoutError where it does not come to its end."""
    client = place.client
    services = fleet.services(SERVICES, namespace=NAMESPACE)
    story = Story({name_of(service): service for service in services})
    await _still(place)
    story.before = await objects(client)
    counted = await place.counting.read()
    async with anyio.create_task_group() as group:
        for kind in WATCHED:
            await group.start(_watch, client, kind, story.watched.setdefault(kind, []))
        await fleet.create(client, services)
        await _until(lambda: _all_ready(client))
        await _still(place)
        settled = await place.counting.read()
        story.moved = settled - counted
        for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1):
            story.services[kind] = {name_of(obj): obj for obj in await listed(client, kind)}
        story.events = await listed(client, kinds.EVENT)
        story.made = await objects(client)
        await anyio.sleep(QUIET)
        story.afterwards = await place.counting.read() - settled
        group.cancel_scope.cancel()
    for name in story.sent:
        await client.delete(kinds.SERVICE, NAMESPACE, name)
    await _until(lambda: _none_left(client))
    await _still(place)
    await collect_garbage(client)
    story.left = await objects(client)
    return story


async def _watch(
    client: Client, kind: Kind, seen: list[Seen], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Every revision from now on, without a gap: a watch that is over is an error."""
    since = ""
    async for page in client.list_pages(kind, namespace=NAMESPACE):
        since = page.resource_version
    async with client.watch(kind, namespace=NAMESPACE, resource_version=since) as events:
        task_status.started()
        async for event in events:
            if event.type != "BOOKMARK":
                seen.append(Seen(event.type, msgspec.json.decode(event.object)))  # noqa: PERF401  seen as it comes
    raise AssertionError(f"the watch of {kind.resource} ended")


async def listed(client: Client, kind: Kind) -> list[Object]:
    """All objects of the kind in the fleet's namespace (cluster-scoped: all); none where it is not served."""
    found: list[Object] = []
    with contextlib.suppress(NotFound):
        async for page in client.list_pages(kind, namespace=NAMESPACE if kind.namespaced else ""):
            found += [msgspec.json.decode(raw) for raw in page.items]
    return found


async def objects(client: Client) -> set[str]:
    """`<plural>/<name>` of everything that a service may have."""
    return {f"{kind.resource}/{name_of(obj)}" for kind in OF_A_SERVICE for obj in await listed(client, kind)}


async def _all_ready(client: Client) -> bool:
    found = await listed(client, kinds.SERVICE)
    return len(found) == SERVICES and all(
        condition(service, "Ready")[0] == "True" and dig(service, "status", "annotations", names.MIGRATED)
        for service in found
    )


async def _none_left(client: Client) -> bool:
    return not await listed(client, kinds.SERVICE)


async def collect_garbage(client: Client) -> None:
    """What the garbage collector of a cluster would delete: objects whose owners are all gone. A kube-apiserver alone has
    none, and the simulated one may have been quicker."""
    while True:
        found = [(kind, obj) for kind in OF_A_SERVICE for obj in await listed(client, kind)]
        uids = {obj["metadata"]["uid"] for _, obj in found}
        orphans = [(kind, obj) for kind, obj in found if _is_orphan(obj, uids)]
        if not orphans:
            return
        for kind, obj in orphans:
            with contextlib.suppress(NotFound):
                await client.delete(kind, NAMESPACE if kind.namespaced else "", name_of(obj))


def _is_orphan(obj: Object, uids: set[str]) -> bool:
    owners = obj["metadata"].get("ownerReferences") or ()
    return bool(owners) and not any(owner["uid"] in uids for owner in owners)


async def _still(place: Ground) -> None:
    """Until the program has written nothing for a while, has nothing to do, and nobody asks it for conversions."""
    with anyio.fail_after(PATIENCE):
        before = await place.counting.read()
        while True:
            await anyio.sleep(STILL)
            now = await place.counting.read()
            moved = now - before
            if not moved.writes and not moved.conversions and not (await work_of(place.page)).now:
                return
            before = now


async def _until(claim: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(PATIENCE):
        while not await claim():  # noqa: ASYNC110  another process works; there is nothing to await
            await anyio.sleep(0.25)


def condition(obj: Mapping[str, Any], type_: str) -> tuple[str, str]:
    """(status, reason) of a condition; empty where it is absent."""
    for found in dig(obj, "status", "conditions") or ():
        if found["type"] == type_:
            return found["status"], found.get("reason", "")
    return "", ""
