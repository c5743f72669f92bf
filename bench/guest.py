"""A guest on somebody's cluster (`--kubeconfig`): looks before it begins whether it may, and takes with it all that it brought.

Whatever a run brings must not be there before: nothing of the cluster's own is changed, and what is taken away at the end is
known by its mark. Without a word of ours nothing would tell it apart from an installation that somebody needs.
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import dig, key_of, labels_of, name_of, namespace_of, sequence, text
from aioctl.kube.client import Client
from aioctl.kube.errors import (
    Conflict,
    KubeError,
    NotFound,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
    Unauthorized,
)
from aioctl.settings import Settings
from aioctl.sim.players.following import Object, listed
from bench.scenario import CannotRun, reason, say
from testbed.at_once import for_each
from testbed.real_players import BROUGHT

MARK: Final = BROUGHT
"""Label of everything that a run brings."""
KINDS: Final = {
    kind.kind: kind
    for kind in (
        kinds.CRD,
        kinds.NAMESPACE,
        kinds.CONFIG_MAP,
        kinds.GATEWAY_CLASS,
        kinds.GATEWAY,
        kinds.VALIDATING_WEBHOOK,
        kinds.MUTATING_WEBHOOK,
    )
}
"""Of the objects that a run brings, before there is a controller."""
_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)
_OTHERS: Final = (kinds.GATEWAY, kinds.GATEWAY_CLASS, kinds.HTTP_ROUTE, kinds.POOL_V1)
"""Kinds of other projects, without which there is nothing to migrate."""
_OURS: Final = (kinds.SERVICE, kinds.CONFIG)
_AT_ONCE: Final = 16
_GONE_DEADLINE: Final = 300.0
_AGAIN: Final = 1.0
_NOBODY_EMPTIES: Final = 15.0
"""Seconds after which a deleted namespace without a condition has no controller that would empty it."""


def marked(obj: Object) -> Object:
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), MARK: "true"}}}


@asynccontextmanager
async def visit(
    client: Client, server: str, brought: Sequence[Object], *, clean: bool
) -> AsyncIterator[None]:
    """`brought` may be created inside. `clean`: what an earlier run left is removed first. Raises CannotRun."""
    try:
        await _admitted(client, server, brought, clean=clean)
    except Unauthorized as error:
        raise CannotRun(
            f"the API server {server} does not know the credentials of this kubeconfig (401)"
        ) from error
    except TransportError as error:
        raise CannotRun(f"the API server {server} cannot be reached: {error}") from error
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await leave(client)


async def _admitted(client: Client, server: str, brought: Sequence[Object], *, clean: bool) -> None:
    await client.get_raw("/version")
    if not await _may_everything(client):
        raise CannotRun(
            f"the account of this kubeconfig may not do everything on {server} (`kubectl auth can-i '*' '*'`): a run installs"
            " CRDs, webhooks and namespaces, and its controller writes all that services need"
        )
    if missing := [kind.resource for kind in _OTHERS if not await _is_served(client, kind)]:
        raise CannotRun(
            f"the cluster does not serve {', '.join(missing)}: install the CRDs of the Gateway API and of its inference"
            " extension first; those of KServe come with the run"
        )
    if holder := await _controller(client):
        raise CannotRun(
            f"a controller is at work on the cluster ({holder}): both would write the same objects"
        )
    there = [found for obj in brought if (found := await _found(client, obj)) is not None]
    if foreign := [_named(obj) for obj in there if MARK not in labels_of(obj)]:
        raise CannotRun(
            f"the cluster has {', '.join(foreign)}: a run would change what is not its own. It needs a cluster without KServe,"
            " and without namespaces and a GatewayClass of these names"
        )
    if there and not clean:
        raise CannotRun(
            f"an earlier run left {', '.join(map(_named, there))}, or still runs: --clean removes it first"
        )
    if there:
        say("-- removing what an earlier run left")
        if not await leave(client):
            raise CannotRun("what an earlier run left is still there")


async def leave(client: Client) -> bool:
    """Removes all that is marked, and what services made outside their namespaces. False, and said: not all could be removed."""
    why: Exception = TimeoutError()
    with anyio.move_on_after(_GONE_DEADLINE):
        while True:
            try:
                await _remove_all(client)
            except (KubeError, ExceptionGroup) as error:
                why = error
                if not _passes(error):
                    break
            else:
                return True
            await anyio.sleep(_AGAIN)
    say(
        f"not all that the run brought could be removed ({reason(why)}): the next one removes it with --clean"
    )
    return False


async def _remove_all(client: Client) -> None:
    # First of all nobody may wait for webhooks that are gone.
    for kind in (kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK):
        await _delete_marked(client, kind)
    await _remove_crds(client)
    namespaces = [name_of(each) for each in await _marked(client, kinds.NAMESPACE)]
    bindings = await _all(client, kinds.CLUSTER_ROLE_BINDING)
    await _delete(client, kinds.CLUSTER_ROLE_BINDING, (each for each in bindings if _binds(each, namespaces)))
    await _delete_marked(client, kinds.GATEWAY_CLASS)
    await for_each(namespaces, partial(_remove_namespace, client), most=_AT_ONCE)


def _passes(error: Exception) -> bool:
    """A busy API server has no time for a call now and then: nothing is left behind for that."""
    if isinstance(error, ExceptionGroup):
        return all(map(_passes, error.exceptions))
    return isinstance(error, TransportError | ServerUnavailable | TooManyRequests)


async def _remove_crds(client: Client) -> None:
    """With all services and configs, whose finalizers have no controller any more."""
    crds = await _marked(client, kinds.CRD)
    names = {name_of(each) for each in crds}
    nobody = {"spec": {"conversion": {"strategy": "None", "webhook": None}}}
    for name in names:
        with suppress(NotFound):
            await client.patch(kinds.CRD, "", name, nobody)
    for kind in _OURS:
        if kind.resource in names:
            held = [each for each in await _all(client, kind) if sequence(each, "metadata", "finalizers")]
            await for_each(held, partial(_let_go, client, kind), most=_AT_ONCE)
    await _delete(client, kinds.CRD, crds)
    while await _marked(client, kinds.CRD):  # noqa: ASYNC110  the API server does the rest; nothing tells us when
        await anyio.sleep(0.2)


async def _let_go(client: Client, kind: Kind, obj: Object) -> None:
    with suppress(NotFound):
        await client.patch(kind, *key_of(obj), {"metadata": {"finalizers": None}})


async def _remove_namespace(client: Client, name: str) -> None:
    patience = _NOBODY_EMPTIES if await _has_controllers(client, name) else 0.0
    with suppress(NotFound, Conflict):
        await client.delete(kinds.NAMESPACE, "", name)
    deleted = anyio.current_time()
    while True:
        try:
            found = await client.get(kinds.NAMESPACE, "", name)
        except NotFound:
            return
        # A controller for namespaces says in conditions how far it has come.
        nobody = anyio.current_time() >= deleted + patience and not sequence(found, "status", "conditions")
        if nobody:
            await _empty(client, name)
            with suppress(NotFound, Conflict):
                await client.update(
                    kinds.NAMESPACE, {**found, "spec": {"finalizers": []}}, subresource="finalize"
                )
        await anyio.sleep(0.5)


async def _has_controllers(client: Client, namespace: str) -> bool:
    """Whether somebody furnished it, as controllers do with every namespace."""
    with suppress(NotFound):
        await client.get(kinds.SERVICE_ACCOUNT, namespace, "default")
        return True
    return False


async def _empty(client: Client, namespace: str) -> None:
    """An API server alone has nobody that would."""
    for kind in await _deletable(client):
        with suppress(NotFound):
            objects = [each for each in await _all(client, kind) if namespace_of(each) == namespace]
            await _delete(client, kind, objects)


async def _deletable(client: Client) -> list[Kind]:
    """Every kind in namespaces that is served, each in one version."""
    groups = json.loads(await client.get_raw("/apis"))["groups"]
    found: list[Kind] = []
    for path in ("/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
        with suppress(NotFound):
            listing = json.loads(await client.get_raw(path))
            group, _, version = listing["groupVersion"].rpartition("/")
            found += [
                Kind(group, version, each["kind"], each["name"])
                for each in listing["resources"]
                if each["namespaced"] and {"list", "delete"} <= set(each["verbs"])
            ]
    return found


async def _may_everything(client: Client) -> bool:
    attributes = {"verb": "*", "group": "*", "resource": "*"}
    body = {
        "apiVersion": _REVIEW.api_version,
        "kind": _REVIEW.kind,
        "spec": {"resourceAttributes": attributes},
    }
    return bool(dig(await client.create(_REVIEW, "", body), "status", "allowed"))


async def _is_served(client: Client, kind: Kind) -> bool:
    with suppress(NotFound):
        await client.get_raw(kind.path(), query=(("limit", "1"),))
        return True
    return False


async def _controller(client: Client) -> str:
    """Who holds the lease of such controllers, in any namespace; empty when nobody renews it."""
    name = Settings.model_fields["lease_name"].default
    for lease in await _all(client, kinds.LEASE):
        holder, renewed = text(lease, "spec", "holderIdentity"), text(lease, "spec", "renewTime")
        if name_of(lease) == name and holder and renewed:
            lasts = timedelta(seconds=dig(lease, "spec", "leaseDurationSeconds") or 0)
            if datetime.fromisoformat(renewed) + lasts > datetime.now(UTC):
                return f"{holder} holds the lease {namespace_of(lease)}/{name}"
    return ""


async def _found(client: Client, obj: Object) -> Object | None:
    kind = KINDS[obj["kind"]]
    with suppress(NotFound):
        found = await client.get(kind, namespace_of(obj), name_of(obj))
        return {**found, "kind": kind.kind}
    return None


def _named(obj: Object) -> str:
    return f"{obj['kind']} {name_of(obj)}"


def _binds(binding: Object, namespaces: Sequence[str]) -> bool:
    subjects = sequence(binding, "subjects")
    return bool(subjects) and all(each.get("namespace") in namespaces for each in subjects)


async def _all(client: Client, kind: Kind) -> list[Object]:
    found = await listed(client, kind)
    return found[0] if found else []


async def _marked(client: Client, kind: Kind) -> list[Object]:
    return [each for each in await _all(client, kind) if MARK in labels_of(each)]


async def _delete_marked(client: Client, kind: Kind) -> None:
    await _delete(client, kind, await _marked(client, kind))


async def _delete(client: Client, kind: Kind, objects: Iterable[Object]) -> None:
    async def one(obj: Object) -> None:
        with suppress(NotFound):
            await client.delete(kind, *key_of(obj))

    await for_each(list(objects), one, most=_AT_ONCE)
