"""A cluster that begins with a backup is the one that it was taken of, and shares nothing that changes with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.kube.client import Client
from aioctl.kube.errors import NotFound
from aioctl.sim.api import SimCluster
from aioctl.sim.backup import Backup
from aioctl.sim.memory import MemoryWire
from aioctl.sim.requests import SimRequest
from testbed.virtual_time import run_virtual, virtual_time
from testbed.world import NAMESPACE, World, plain_service, world

_OWNED: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "owned", "namespace": NAMESPACE},
}


@asynccontextmanager
async def again(backup: Backup) -> AsyncIterator[World]:
    async with world(backup=backup) as stage:
        yield stage


@pytest.fixture(scope="module")
def backup() -> Backup:
    """A service, at hand in both versions, and a ConfigMap that it owns."""

    async def take() -> Backup:
        async with world() as stage:
            await stage.cluster.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
            )
            made = await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
            owner = {"apiVersion": kinds.V1ALPHA2, "kind": "LLMInferenceService", "name": "one"}
            metadata = {**_OWNED["metadata"], "ownerReferences": [{**owner, "uid": made["metadata"]["uid"]}]}
            await stage.user.create(kinds.CONFIG_MAP, NAMESPACE, {**_OWNED, "metadata": metadata})
            await anyio.sleep(1)
            return Backup.of(stage.cluster.core)

    return run_virtual(take)


def test_objects_and_the_revision_are_as_they_were(backup: Backup) -> None:
    async def look() -> int:
        async with again(backup) as stage:
            assert Backup.of(stage.cluster.core) == backup
            changed = await stage.user.patch(
                kinds.SERVICE, NAMESPACE, "one", {"metadata": {"labels": {"a": "b"}}}
            )
            old = await stage.user.get(kinds.SERVICE_V1ALPHA1, NAMESPACE, "one")
            assert old["metadata"]["labels"] == {"a": "b"}
            return int(changed["metadata"]["resourceVersion"])

    assert run_virtual(look) == backup.revision + 1


def test_clusters_of_one_backup_are_apart(backup: Backup) -> None:
    async def drop() -> None:
        async with again(backup) as stage:
            await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
            await anyio.sleep(1)
            with pytest.raises(NotFound):  # the collector knows whom it belonged to
                await stage.user.get(kinds.CONFIG_MAP, NAMESPACE, "owned")

    for _ in range(2):
        run_virtual(drop)


@virtual_time
async def test_a_kind_can_be_taken_away_and_the_others_stay() -> None:
    async with SimCluster(absent=()) as cluster:
        await cluster.uninstall(kinds.POOL_V1.resource)
        kept = Backup.of(cluster.core)
    async with SimCluster(backup=kept) as cluster:
        titles = set(cluster.store.collections)
        assert kinds.POOL_V1.resource not in titles
        assert kinds.POOL_V1ALPHA2.resource in titles


def test_a_watch_from_before_is_told_to_list_anew(backup: Backup) -> None:
    async def watch() -> bytes:
        async with again(backup) as stage:
            query = (("watch", "true"), ("resourceVersion", str(backup.revision - 1)))
            path = f"/apis/{kinds.V1ALPHA2}/llminferenceservices"
            reply = await stage.cluster.handle(SimRequest("GET", path, query=query))
            assert not isinstance(reply.body, bytes)
            return await anext(reply.body)

    assert b'"code":410' in run_virtual(watch)


def test_uids_go_on(backup: Backup) -> None:
    async def make() -> str:
        async with again(backup) as stage:
            client = Client(MemoryWire(stage.cluster))
            named = {**_OWNED, "metadata": {"name": "next", "namespace": NAMESPACE}}
            made = await client.create(kinds.CONFIG_MAP, NAMESPACE, named)
            return str(made["metadata"]["uid"])

    first, second = run_virtual(make), run_virtual(make)
    assert first == second
    uids = {
        record.uid
        for kept in backup.collections.values()
        for found in kept.records.values()
        for record in found
    }
    assert first not in uids
