"""The only writer among the operator's commands: sends what a verb decided, to the services that the command line names."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import anyio

from aioctl.api import kinds, names, user_names, weight
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, annotations_of, key_of
from aioctl.kube.errors import ApiError, Invalid, KubeError, NotFound, is_kind_missing
from aioctl.plan.finished import FINISHED, LEAVING
from aioctl.plan.lock import LOCK_KEYS, has_lock
from aioctl.plan.migration_facts import evidence_of, facts_of
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.connect import Connection, explain, told
from aioctl.tools.finishing import unresolved
from aioctl.tools.look import Look
from aioctl.tools.verbs import (
    PAUSE,
    Change,
    annotated,
    evidence_text,
    has_status_lock,
    unlock_refusal,
)

UNLOCK_TRIES: Final = 3
UNLOCK_ROUNDS: Final = 10
UNLOCK_PAUSE: Final = 0.1
"""Rounds of one try, and seconds between them. The controller may hear of the service, whose events are converted on their way, later
than of the HTTPRoute: then it still sees one copy and writes the other back at once."""

UNLOCK_REST: Final = 2.0
"""Seconds after which a copy that the controller wrote back would show: longer than it waits with a status."""


UNLOCK_LOOKS: Final = 3
"""How often the routes are looked at afterwards, so many seconds apart: gateways answer within seconds."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one service. `failed`: the API server or a guard refused it."""

    service: ObjectKey
    said: str
    failed: bool = False


async def targets(connection: Connection, access: Access, named: Sequence[str]) -> list[Object]:
    """The services that the command line names: by name, by selector or all. Raises ToolError."""
    if bool(named) == bool(access.selector or access.everywhere):
        raise ToolError("name services, or choose them with -l LABELS or -A: one of these", Exit.USAGE)
    if named:
        return [await _one(connection, name) for name in dict.fromkeys(named)]
    return [service async for service in _listed(connection, access.selector)]


async def _one(connection: Connection, name: str) -> Object:
    missing = f'no {kinds.SERVICE.kind} "{name}" in namespace {connection.namespace}'
    if user_names.SUBDOMAIN.fullmatch(name) is None:
        raise ToolError(missing, Exit.USAGE)
    try:
        return await connection.client.get(kinds.SERVICE, connection.namespace, name)
    except NotFound as error:
        if is_kind_missing(error):
            raise ToolError(
                explain(error, "get", kinds.SERVICE, connection.namespace, connection.server)
            ) from error
        raise ToolError(missing, Exit.USAGE) from error
    except KubeError as error:
        raise ToolError(
            explain(error, "get", kinds.SERVICE, connection.namespace, connection.server)
        ) from error


async def _listed(connection: Connection, selector: str) -> AsyncIterator[Object]:
    try:
        with told("list", kinds.SERVICE, connection.namespace, connection.server):
            async for page in connection.client.list_pages(
                kinds.SERVICE, namespace=connection.namespace, labels=selector
            ):
                for raw in page.items:
                    yield weight.decode(raw)
    except ToolError as error:
        if selector and isinstance(error.__cause__, Invalid):
            raise ToolError(f"-l {selector}: {error.__cause__}", Exit.USAGE) from error
        raise


async def change(
    connection: Connection,
    services: Sequence[Object],
    decide: Callable[[Object], Change],
    *,
    dry_run: bool,
) -> AsyncIterator[Told]:
    """Applies what is decided of each service, one after another, and tells of each as soon as it is done."""
    for service in services:
        made = decide(service)
        if made.patch is None:
            yield Told(key_of(service), made.said)
            continue
        yield await _patched(connection, service, made.patch, made.said, dry_run=dry_run)


async def _patched(
    connection: Connection, service: Object, patch: Mapping[str, Any], said: str, *, dry_run: bool
) -> Told:
    key = key_of(service)
    try:
        # A dry run is sent, too: admission says then what it would say.
        await connection.client.patch(kinds.SERVICE, *key, patch, dry_run=dry_run)
    except ApiError as error:
        return Told(
            key, explain(error, "patch", kinds.SERVICE, key.namespace, connection.server), failed=True
        )
    except KubeError as error:
        raise ToolError(explain(error, "patch", kinds.SERVICE, key.namespace, connection.server)) from error
    return Told(key, f"{said} (dry run)" if dry_run else said)


async def unlock(connection: Connection, seen: Look, *, yes: bool) -> Told:
    """Takes the lock off the status and then off the HTTPRoute; without `yes` it is only told what would be done.

    In this order: the controller writes the copy in the status after a moment's wait, and finds the route unlocked by then.
    """
    key = seen.key
    context = seen.plan.context
    if seen.stopped or context is None:
        return Told(key, seen.error or "is stopped: it has no HTTPRoute to unlock", failed=True)
    locked = [route for route in seen.routes if has_lock(route)]
    if not locked and not has_status_lock(seen.service):
        return Told(key, "is not locked, nothing to do")
    evidence = evidence_of(context)
    if refusal := unlock_refusal(facts_of(context), evidence):
        return Told(key, f"stays locked: {refusal}", failed=True)
    routes = [key_of(route) for route in locked]
    paused = annotations_of(seen.service).get(names.MIGRATION) == PAUSE.value
    if not yes:
        first = "" if paused else "pause the service, which would migrate again at once, then "
        where = "the status" + "".join(f" and HTTPRoute {route}" for route in routes)
        known = f" ({evidence_text(evidence)})" if evidence else ""
        return Told(key, f"would {first}remove the lock from {where}{known}; nothing was done, --yes does it")
    with told("patch", kinds.SERVICE, key.namespace, connection.server):
        if not paused:
            await connection.client.patch(kinds.SERVICE, *key, annotated(PAUSE.annotation, PAUSE.value))
        for _ in range(UNLOCK_TRIES):
            await _without_lock(connection, key, routes)
            await anyio.sleep(UNLOCK_REST)
            if not await _locked(connection, key, routes):
                if refused := await _refused(connection, routes):
                    await _locked_again(connection, key, routes)
                    return Told(
                        key,
                        f"is locked again and paused: without the lock its HTTPRoute does not resolve: {refused}",
                        failed=True,
                    )
                return Told(key, "unlocked and paused: traffic goes to v1alpha2 until `aioctl resume`")
    return Told(
        key,
        f"is locked again: somebody wrote the lock back {UNLOCK_TRIES} times; is another controller running?",
        failed=True,
    )


async def _refused(connection: Connection, routes: Sequence[ObjectKey]) -> str:
    """What a gateway says against the routes as they are now, looked at for a while; empty when nothing."""
    for _ in range(UNLOCK_LOOKS):
        for route in routes:
            if why := unresolved(await _found(connection, kinds.HTTP_ROUTE, route)):
                return why
        await anyio.sleep(UNLOCK_REST)
    return ""


async def _locked_again(connection: Connection, key: ObjectKey, routes: Sequence[ObjectKey]) -> None:
    """The copy in the status first: the controller writes the route from it, weights included."""
    await connection.client.patch(
        kinds.SERVICE, *key, {"status": {"annotations": {names.MIGRATED: "v1"}}}, subresource="status"
    )
    for route in routes:
        await connection.client.patch(kinds.HTTP_ROUTE, *route, annotated(names.MIGRATED, "v1"))


async def _without_lock(connection: Connection, key: ObjectKey, routes: Sequence[ObjectKey]) -> None:
    """Takes both copies away, and again whichever comes back at once."""
    for _ in range(UNLOCK_ROUNDS):
        if await _locked(connection, key, routes):
            await _removed(connection, key, routes)
        await anyio.sleep(UNLOCK_PAUSE)


async def _removed(connection: Connection, key: ObjectKey, routes: Sequence[ObjectKey]) -> None:
    await connection.client.patch(
        kinds.SERVICE, *key, {"status": {"annotations": {names.MIGRATED: None}}}, subresource="status"
    )
    body = {"metadata": {"annotations": dict.fromkeys(LOCK_KEYS)}}
    for route in routes:
        await connection.client.patch(kinds.HTTP_ROUTE, *route, body)


async def _locked(connection: Connection, key: ObjectKey, routes: Sequence[ObjectKey]) -> bool:
    found = [await _found(connection, kinds.HTTP_ROUTE, route) for route in routes]
    service = await _found(connection, kinds.SERVICE, key)
    return any(has_lock(route) for route in found) or has_status_lock(service)


async def _found(connection: Connection, kind: Kind, key: ObjectKey) -> Object:
    try:
        return await connection.client.get(kind, *key)
    except NotFound:
        return {}


async def every(connection: Connection) -> list[Object]:
    """All services of the namespace, or of all. Raises ToolError."""
    return [service async for service in _listed(connection, "")]


async def mark(connection: Connection, kind: Kind, key: ObjectKey, value: str | None) -> Told:
    """Sets what is to become of v1alpha2 InferencePools (`plan/finished.py`); None takes it off. Raises ToolError when nobody answers."""
    body = annotated(names.OLD_POOLS, value)
    try:
        await connection.client.patch(kind, *key, body)
    except ApiError as error:
        return Told(key, explain(error, "patch", kind, key.namespace, connection.server), failed=True)
    except KubeError as error:
        raise ToolError(explain(error, "patch", kind, key.namespace, connection.server)) from error
    # Its key goes before it, as a service's would.
    where = "the ConfigMap is " if kind == kinds.CONFIG_MAP else ""
    if value == LEAVING:
        return Told(key, "marked: its processes are told v1")
    if value == FINISHED:
        return Told(key, f"{where}marked: new services start on v1, without a v1alpha2 pool")
    return Told(key, f"{where}no longer marked: v1alpha2 pools come back, the lock stays")
