"""The controller before everything else: it runs while nothing that it needs is there, says what it waits for, and notices
each thing when it comes, CRDs within a minute (virtual time)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import msgspec

from aioctl.api import kinds, names
from aioctl.api.objects import dig, name_of
from aioctl.kube.errors import KubeError
from aioctl.sim import fleet, seed
from aioctl.sim.facts import custom_kinds
from testbed.shipped_files import presets
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, world

OURS = (kinds.SERVICE.resource, kinds.CONFIG.resource)
GATEWAY_API = tuple(title for title in custom_kinds() if title.endswith(".gateway.networking.k8s.io"))
POOLS = (kinds.POOL_V1.resource, kinds.POOL_V1ALPHA2.resource)
NOTICED = 60.0
"""Seconds within which a CRD is noticed."""
RETRIED = 120.0
"""Seconds within which a service is tried again that waited for something nobody could watch."""
SERVICE = fleet.service(0)
NAME = name_of(SERVICE)


@asynccontextmanager
async def empty_world() -> AsyncIterator[World]:
    """No CRD at all and no namespace of ours; the controller has been running for two minutes."""
    async with world(absent=frozenset(custom_kinds())) as stage, anyio.create_task_group() as group:
        controller = stage.controller()

        async def run() -> None:
            async with stage.running(controller):
                await anyio.sleep_forever()

        group.start_soon(run)
        await anyio.sleep(120)
        yield stage
        group.cancel_scope.cancel()


async def namespace(stage: World, name: str) -> None:
    await stage.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def install(stage: World, *titles: str) -> None:
    for title in titles:
        await stage.cluster.install(title)


def says(stage: World, type_: str, status: str, text: str = "") -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        found = condition(await stage.find(kinds.SERVICE, NAME), type_)
        return found[0] == status and text in found[2]

    return claim


def warned(stage: World, text: str) -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE):
            events = [msgspec.json.decode(raw) for raw in page.items]
            if any(event["type"] == "Warning" and text in event["note"] for event in events):
                return True
        return False

    return claim


def exists(stage: World, kind: kinds.Kind, name: str) -> Callable[[], Awaitable[bool]]:
    async def claim() -> bool:
        try:
            return await stage.find(kind, name) is not None
        except KubeError:
            return False

    return claim


@virtual_time
async def test_an_empty_cluster_is_waited_out_without_a_write() -> None:
    async with empty_world() as stage:
        calls = stage.cluster.stats.verbs(client="aioctl/test")
        assert calls["list"] > 0
        assert not {"create", "update", "patch", "delete"} & set(calls)


@virtual_time
async def test_each_thing_that_was_missing_is_named_and_noticed_when_it_comes() -> None:
    async with empty_world() as stage:
        await namespace(stage, NAMESPACE)
        await install(stage, *OURS)
        await stage.user.create(kinds.SERVICE, NAMESPACE, SERVICE)
        await stage.until(warned(stage, 'configmaps "inferenceservice-config" not found'), seconds=NOTICED)
        service = await stage.find(kinds.SERVICE, NAME)
        assert dig(service, "metadata", "finalizers") == [names.FINALIZER]

        await namespace(stage, seed.SYSTEM_NAMESPACE)
        await stage.cluster.create(seed.config_map())
        missing = 'LLMInferenceServiceConfig "kserve-config-llm-scheduler" not found in namespaces'
        await stage.until(says(stage, "PresetsCombined", "False", missing), seconds=NOTICED)

        for preset in presets():
            await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
        await stage.until(exists(stage, kinds.DEPLOYMENT, f"{NAME}-kserve"), seconds=NOTICED)
        await stage.until(
            says(stage, "HTTPRoutesReady", "False", "non-existent Gateway kserve/kserve-ingress-gateway")
        )

        await install(stage, *GATEWAY_API)
        for obj in seed.world(namespaces=[]):
            if obj["kind"] in {"GatewayClass", "Gateway"}:
                await stage.cluster.create(obj)
        unserved = f"neither {POOLS[0]} nor {POOLS[1]} is served"
        await stage.until(says(stage, "RouterReady", "False", unserved), seconds=NOTICED)

        await install(stage, *POOLS)
        for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
            await stage.until(exists(stage, kind, names.default_pool_name(NAME)), seconds=RETRIED)
        await stage.until(exists(stage, kinds.HTTP_ROUTE, names.route_name(NAME)))
        await stage.until(says(stage, "RouterReady", "False", "The following HTTPRoutes are not ready"))


@virtual_time
async def test_our_crds_may_come_last() -> None:
    async with empty_world() as stage:
        await install(stage, *POOLS, *GATEWAY_API)
        for obj in seed.world():
            await stage.cluster.create(obj)
        await anyio.sleep(NOTICED)
        await install(stage, *OURS)
        for preset in presets():
            await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
        await stage.user.create(kinds.SERVICE, NAMESPACE, SERVICE)
        await stage.until(exists(stage, kinds.HTTP_ROUTE, names.route_name(NAME)), seconds=NOTICED)


@virtual_time
async def test_our_crds_may_go_and_come_back() -> None:
    async with empty_world() as stage:
        await install(stage, *OURS, *POOLS, *GATEWAY_API)
        for obj in seed.world():
            await stage.cluster.create(obj)
        for turn in range(2):
            for preset in presets():
                await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
            await stage.user.create(kinds.SERVICE, NAMESPACE, SERVICE)
            await stage.until(says(stage, "PresetsCombined", "True"), seconds=NOTICED)
            if turn == 0:
                for title in OURS:
                    await stage.cluster.uninstall(title)
                await anyio.sleep(NOTICED)
                await install(stage, *OURS)
