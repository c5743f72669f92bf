"""`aioctl finish`: reads what the conditions are about, marks service after service, and waits for the controller each time.

All it writes are marks (`plan/finished.py`); routes, models and pools are the controller's. So a kill after any write loses nothing:
the next run finds the marks, waits where it has to, and goes on.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import msgspec

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, annotations_of, dig, key_of
from aioctl.kube.errors import KubeError, NotFound
from aioctl.plan.finished import FINISHED, LEAVING, is_marked
from aioctl.plan.readiness import find_condition
from aioctl.tools import writing
from aioctl.tools.access import Exit, ToolError
from aioctl.tools.connect import Connection, explain, told
from aioctl.tools.finishing import (
    Around,
    Check,
    checks,
    is_open,
    is_reading,
    not_any_more,
    routes_of,
    service_of,
    strangers,
    unresolved,
)
from aioctl.tools.look import Look
from aioctl.tools.session import Session
from aioctl.tools.writing import Told

OBJECTIVE: Final = Kind(
    kinds.POOL_GROUP_V1ALPHA2, "v1alpha2", "InferenceObjective", "inferenceobjectives", optional=True
)
REWRITE: Final = Kind(
    kinds.POOL_GROUP_V1ALPHA2, "v1alpha2", "InferenceModelRewrite", "inferencemodelrewrites", optional=True
)
UPSTREAM: Final = ("llmisvc-controller-manager",)
"""Deployments of KServe that reconcile LLMInferenceServices."""
POLL: Final = 0.5
"""Seconds between two looks at what the controller has done."""
_decoder: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Options:
    """`soak`: how long a lock must have held; `rate`: services a second; `timeout`: seconds for one service."""

    soak: timedelta
    rate: float
    timeout: float
    lease: ObjectKey | None
    """None where the controller runs without leader election."""
    restart_sidecars: bool = False
    """Model servers whose routing sidecar reads v1alpha2 pools are restarted, one service after another."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What one look found."""

    checks: Sequence[Check]
    seen: Sequence[Look]
    todo: Sequence[Look]
    """Services whose v1alpha2 pool is still there, or is not marked to go."""
    strangers: Sequence[str]
    config_map: Object | None
    reading: frozenset[ObjectKey] = frozenset()
    """Services with processes that were told to read v1alpha2 pools."""

    @property
    def allowed(self) -> bool:
        return all(check.holds for check in self.checks)


async def picture(opened: Session, options: Options) -> Picture:
    """Reads and judges everything. Raises ToolError."""
    found, seen = await opened.looks()
    connection = opened.connection
    unread = list(dict.fromkeys([*found.unread.values(), *(said for one in seen for said in one.unread)]))

    async def listed(kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        made: list[Object] = []
        try:
            async for page in connection.client.list_pages(kind, namespace=namespace, labels=labels):
                made += [{"kind": kind.kind, **_decoder.decode(raw)} for raw in page.items]
        except NotFound:
            return []
        except KubeError as error:
            unread.append(explain(error, "list", kind, namespace, connection.server))
        return made

    async def got(kind: Kind, key: ObjectKey) -> Object | None:
        try:
            return await connection.client.get(kind, *key)
        except NotFound:
            return None
        except KubeError as error:
            unread.append(explain(error, "get", kind, key.namespace, connection.server))
            return None

    system = opened.policy.system_namespace
    lease = await got(kinds.LEASE, options.lease) if options.lease else None
    here = connection.namespace
    around = Around(
        routes=await listed(kinds.HTTP_ROUTE),
        pods=await listed(kinds.POD, here, f"{names.PART_OF}={names.PART_OF_VALUE}"),
        models=await listed(kinds.MODEL, here),
        objectives=[*await listed(OBJECTIVE, here), *await listed(REWRITE, here)],
        leader=str(dig(lease, "spec", "holderIdentity") or "") if options.lease else "whoever runs",
        others=[
            str(key_of(one))
            for one in await listed(kinds.DEPLOYMENT, system)
            if key_of(one).name in UPSTREAM and dig(one, "spec", "replicas") != 0
        ],
        unread=unread,
        namespace=here,
        restarts=options.restart_sidecars,
    )
    pools = await listed(kinds.POOL_V1ALPHA2, here)
    held = {key_of(pool) for pool in pools}
    now = datetime.now(UTC)
    judged = checks(seen, around, options.soak, now)
    todo = [one for one in seen if is_open(one, held)]
    config_map = await got(kinds.CONFIG_MAP, ObjectKey(system, names.CONFIG_MAP_NAME))
    reading = frozenset(service_of(pod) for pod in around.pods if is_reading(pod))
    return Picture(judged, seen, todo, strangers(seen, pools), config_map, reading)


def _pool(service: ObjectKey) -> ObjectKey:
    return ObjectKey(service.namespace, names.default_pool_name(service.name))


async def remove(opened: Session, found: Picture, options: Options) -> AsyncIterator[Told]:
    """Marks every open service and waits until its pool is gone, one after another; then, for all, the ConfigMap.

    Ends at the first one that does not come to its end. Raises ToolError where the API server cannot be asked.
    """
    connection = opened.connection
    for number, one in enumerate(found.todo):
        if number and options.rate:
            await anyio.sleep(1 / options.rate)
        done = await _finish_one(connection, one, options, reads=one.key in found.reading)
        yield done
        if done.failed:
            return
    if connection.namespace:
        return
    # What came in the meantime counts, too, before new services are made without v1alpha2.
    again = await picture(opened, options)
    if not again.allowed or again.todo:
        key = ObjectKey(opened.policy.system_namespace, names.CONFIG_MAP_NAME)
        yield Told(key, "is not marked: the conditions do not hold any more; run it again", failed=True)
    elif again.config_map is not None and not is_marked(again.config_map):
        yield await writing.mark(connection, kinds.CONFIG_MAP, key_of(again.config_map), FINISHED)


async def _finish_one(connection: Connection, one: Look, options: Options, *, reads: bool) -> Told:
    service = await _now(connection, kinds.SERVICE, one.key)
    if service is None:
        return Told(one.key, "is gone")
    if not is_marked(service):
        if reason := not_any_more(one, service):
            return Told(one.key, f"{reason}; nothing was changed", failed=True)
        if reads and (left := await _leave(connection, one.key, options)).failed:
            return left
        marked = await writing.mark(connection, kinds.SERVICE, one.key, FINISHED)
        if marked.failed:
            return marked
    with anyio.move_on_after(options.timeout):
        while True:
            if await _now(connection, kinds.POOL_V1ALPHA2, _pool(one.key)) is None:
                return Told(one.key, "finished: routes name v1 alone, the v1alpha2 pool is gone")
            for key in routes_of(one):
                route = await _now(connection, kinds.HTTP_ROUTE, key)
                if route is not None and (why := unresolved(route)):
                    return Told(
                        one.key, f"stopped: its HTTPRoute {key.name} does not resolve: {why}", failed=True
                    )
            await anyio.sleep(POLL)
    return Told(
        one.key,
        f"its v1alpha2 pool is still there after {options.timeout:g} s; does the controller run?",
        failed=True,
    )


async def _leave(connection: Connection, key: ObjectKey, options: Options) -> Told:
    """Takes the service's processes off v1alpha2 and waits until none reads it and the service is ready again."""
    marked = await writing.mark(connection, kinds.SERVICE, key, LEAVING)
    if marked.failed:
        return marked
    why = ""
    with anyio.move_on_after(options.timeout):
        while why := await _not_left(connection, key):  # noqa: ASYNC110  a cluster tells nobody when it has come true
            await anyio.sleep(POLL)
    if why:
        return Told(
            key,
            f"{why} after {options.timeout:g} s; nothing was removed: run it again, with more time by --timeout",
            failed=True,
        )
    return Told(key, "its processes read v1")


async def _not_left(connection: Connection, key: ObjectKey) -> str:
    """What is awaited of a service that leaves v1alpha2; empty when nothing is."""
    labels = f"{names.PART_OF}={names.PART_OF_VALUE},{names.NAME}={key.name}"
    with told("list", kinds.POD, key.namespace, connection.server):
        async for page in connection.client.list_pages(kinds.POD, namespace=key.namespace, labels=labels):
            for raw in page.items:
                if is_reading(pod := _decoder.decode(raw)):
                    return f"Pod {key_of(pod)} still reads the v1alpha2 pool"
    service = await _now(connection, kinds.SERVICE, key)
    found = find_condition(dig(service, "status", "conditions") or (), c.READY) if service else None
    if service and (found is None or found.get("status") != c.TRUE):
        return f"is not Ready ({dig(found, 'reason')})"
    return ""


async def undo(opened: Session) -> AsyncIterator[Told]:
    """Takes the marks off, that of the ConfigMap first: pools come back, locks stay. Raises ToolError."""
    connection = opened.connection
    key = ObjectKey(opened.policy.system_namespace, names.CONFIG_MAP_NAME)
    config_map = await _now(connection, kinds.CONFIG_MAP, key)
    if config_map is not None and is_marked(config_map):
        if connection.namespace:
            said = f"ConfigMap {key} is marked, which holds for every namespace: undo it with -A"
            raise ToolError(said, Exit.USAGE)
        yield await writing.mark(connection, kinds.CONFIG_MAP, key, None)
    for service in await writing.every(connection):
        if names.OLD_POOLS in annotations_of(service):
            yield await writing.mark(connection, kinds.SERVICE, key_of(service), None)


async def _now(connection: Connection, kind: Kind, key: ObjectKey) -> Object | None:
    try:
        return await connection.client.get(kind, *key)
    except NotFound:
        return None
    except KubeError as error:
        raise ToolError(explain(error, "get", kind, key.namespace, connection.server)) from error
