"""A service is taken away by name: whatever its spec needs may be gone, and stopping and deleting it still work (STOP-1)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import dig, is_controlled_by, uid_of
from aioctl.sim import seed
from aioctl.sim.backup import Backup
from aioctl.sim.errors import plain_500
from aioctl.sim.faults import Match
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import run_virtual
from testbed.world import LONG_AGO, NAMESPACE, SETTLED, World, beforehand, furnished, plain_service

BASE = "team-base"
ROUTED: Any = {"route": {}, "gateway": {}, "scheduler": {}}
_CHILDREN = (
    kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET, kinds.CORE_SERVICE, kinds.SECRET, kinds.SERVICE_ACCOUNT, kinds.ROLE,
    kinds.ROLE_BINDING, kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2, kinds.MODEL, kinds.DESTINATION_RULE,
)  # fmt: skip


async def _leave_be(stage: World) -> None:
    """Breaks nothing."""


async def _drop_preset(stage: World) -> None:
    await stage.drop_config("kserve-config-llm-decode-template", seed.SYSTEM_NAMESPACE)


async def _drop_base(stage: World) -> None:
    await stage.drop_config(BASE)


async def _break_template(stage: World) -> None:
    env = {"containers": [{"name": "main", "env": [{"name": "A", "value": "{{ .Spec.Nothing }}"}]}]}
    await stage.user.patch(kinds.CONFIG, NAMESPACE, BASE, {"spec": {"template": env}})


async def _break_base(stage: World) -> None:
    collection = stage.cluster.core.collection(kinds.CONFIG.resource)
    broken = await stage.user.get(kinds.CONFIG, NAMESPACE, BASE)
    stage.cluster.store.put(collection, {**broken, "spec": {"replicas": "two"}}, (NAMESPACE, BASE))


async def _break_service(stage: World) -> None:
    collection = stage.cluster.core.collection(kinds.SERVICE.resource)
    broken = await stage.user.get(kinds.SERVICE, NAMESPACE, "one")
    spec = {**broken["spec"], "router": "a", "template": [], "prefill": 5, "worker": "b"}
    stage.cluster.store.put(collection, {**broken, "spec": spec}, (NAMESPACE, "one"))


async def _drop_settings(stage: World) -> None:
    await stage.user.delete(kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, names.CONFIG_MAP_NAME)


async def _set(stage: World, key: str, value: str) -> None:
    await stage.user.patch(
        kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, names.CONFIG_MAP_NAME, {"data": {key: value}}
    )


async def _break_settings(stage: World) -> None:
    await _set(stage, "ingress", "{")


async def _mistype_settings(stage: World) -> None:
    await _set(stage, "storageInitializer", '{"image": [5]}')


async def _drop_ca_bundle(stage: World) -> None:
    settings = await stage.user.get(kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, names.CONFIG_MAP_NAME)
    storage = json.loads(settings["data"]["storageInitializer"])
    await _set(stage, "storageInitializer", json.dumps({**storage, "caBundleConfigMapName": "absent"}))


BREAKAGES: dict[str, tuple[Callable[[World], Awaitable[None]], str]] = {
    "nothing": (_leave_be, ""),
    "preset-gone": (_drop_preset, '"kserve-config-llm-decode-template"'),
    "base-gone": (_drop_base, f'"{BASE}"'),
    "template-broken": (_break_template, "Nothing"),
    "base-invalid": (_break_base, "replicas"),
    "service-invalid": (_break_service, "spec."),
    "settings-gone": (_drop_settings, "failed to load ingress config"),
    "settings-broken": (_break_settings, "failed to load ingress config"),
    "settings-mistyped": (_mistype_settings, "failed to load ingress config"),
    "ca-bundle-gone": (_drop_ca_bundle, ""),
}
"""What breaks, and a part of what the condition says of it (empty: it has no part in the combination)."""


def _service() -> dict[str, Any]:
    return plain_service(
        prefill={}, router={"scheduler": {}, "route": {}, "gateway": {}}, baseRefs=[{"name": BASE}]
    )


async def _children(stage: World, uid: str) -> list[str]:
    return [
        f"{kind.kind} {obj['metadata']['name']}"
        for kind in _CHILDREN
        async for page in stage.user.list_pages(kind, namespace=NAMESPACE)
        for obj in map(msgspec.json.decode, page.items)
        if is_controlled_by(obj, uid)
    ]


@asynccontextmanager
async def _with_a_service() -> AsyncIterator[tuple[World, str]]:
    """A controller that has met a service with all its children, and the service's uid."""
    async with furnished(backup=_begun()) as stage, stage.running(stage.controller()):
        await anyio.sleep(SETTLED)
        found = await stage.find(kinds.SERVICE, "one")
        assert found is not None
        yield stage, uid_of(found)


@cache
def _begun() -> Backup:
    return beforehand(_begin)


async def _begin() -> Backup:
    async with furnished(start=LONG_AGO) as stage, stage.running(stage.controller()):
        await _start(stage)
        await anyio.sleep(SETTLED)
        return Backup.of(stage.cluster.core)


async def _start(stage: World) -> None:
    """A service with all its children."""
    base = {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.CONFIG.kind,
        "metadata": {"name": BASE, "namespace": NAMESPACE},
        "spec": {"replicas": 2},
    }
    await stage.user.create(kinds.CONFIG, NAMESPACE, base)
    made = await stage.user.create(kinds.SERVICE, NAMESPACE, _service())
    uid = uid_of(made)

    async def complete() -> bool:
        found = await _children(stage, uid)
        return {
            "Deployment one-kserve",
            "Deployment one-kserve-prefill",
            "HTTPRoute one-kserve-route",
        } <= set(found)

    await stage.until(complete)


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_stopped_service_loses_everything_whatever_is_broken(breakage: str) -> None:
    do, words = BREAKAGES[breakage]

    async def play() -> dict[str, Any]:
        async with _with_a_service() as (stage, uid):
            await do(stage)
            await stage.user.patch(
                kinds.SERVICE, NAMESPACE, "one", {"metadata": {"annotations": {names.STOP: "true"}}}
            )

            async def told() -> bool:
                found = await stage.find(kinds.SERVICE, "one")
                conditions = dig(found, "status", "conditions") or []
                ready = [each for each in conditions if each["type"] == "Ready"]
                return not await _children(stage, uid) and [each.get("reason") for each in ready] == [
                    "Stopped"
                ]

            await stage.until(told)
            return {
                each["type"]: each
                for each in dig(await stage.find(kinds.SERVICE, "one"), "status", "conditions")
            }

    conditions = run_virtual(play)
    combined = conditions["PresetsCombined"]
    assert combined["status"] == ("False" if words else "True")
    if words:
        assert combined["reason"] == "Stopped"
        assert combined["message"].startswith("Service is stopped with warning: ")
        assert words in combined["message"]
    assert conditions["Ready"]["status"] == "False"


@pytest.mark.parametrize("annotations", [{}, pytest.param({names.STOP: "TRUE"}, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_deleted_service_goes_whatever_is_broken(breakage: str, annotations: dict[str, str]) -> None:
    do, _ = BREAKAGES[breakage]

    async def play() -> None:
        async with _with_a_service() as (stage, uid):
            await do(stage)
            await stage.user.patch(
                kinds.SERVICE, NAMESPACE, "one", {"metadata": {"annotations": annotations}}
            )
            await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")

            async def gone() -> bool:
                return await stage.find(kinds.SERVICE, "one") is None and not await _children(stage, uid)

            await stage.until(gone)

    run_virtual(play)


@pytest.mark.parametrize("breakage", ["preset-gone", "base-gone", "template-broken", "settings-gone"])
def test_ready_says_what_keeps_a_running_service_from_being_combined(breakage: str) -> None:
    do, words = BREAKAGES[breakage]

    async def play() -> dict[str, Any]:
        async with _with_a_service() as (stage, _):
            await do(stage)
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"replicas": 3}})
            seen: dict[str, Any] = {}

            async def told() -> bool:
                found = await stage.find(kinds.SERVICE, "one")
                for each in dig(found, "status", "conditions") or []:
                    seen[each["type"]] = each
                return seen.get("Ready", {}).get("reason") in {"CombineBaseError", "ConfigNotFound"}

            await stage.until(told)
            return seen

    seen = run_virtual(play)
    assert seen["Ready"]["status"] == seen["PresetsCombined"]["status"] == "False"
    assert words in seen["Ready"]["message"]


@pytest.mark.parametrize("breakage", ["preset-gone", "template-broken", "settings-broken"])
def test_a_side_that_is_no_longer_asked_for_goes_whatever_is_broken(breakage: str) -> None:
    do, _ = BREAKAGES[breakage]

    async def play() -> None:
        async with _with_a_service() as (stage, uid):
            await do(stage)
            await stage.user.patch(
                kinds.SERVICE, NAMESPACE, "one", {"spec": {"prefill": None, "router": None}}
            )

            async def gone() -> bool:
                found = await _children(stage, uid)
                unwanted = {"Deployment one-kserve-prefill", "HTTPRoute one-kserve-route"}
                return not unwanted & set(found) and not any("router-scheduler" in name for name in found)

            await stage.until(gone)
            assert "Deployment one-kserve" in await _children(stage, uid)

    run_virtual(play)


async def _route_of(stage: World) -> Any:
    return await stage.find(kinds.HTTP_ROUTE, names.route_name("one"))


def test_a_stop_takes_no_lock_away_that_no_status_remembers() -> None:
    """The traffic has moved, and before the status says so the service is stopped: resumed, it begins where it was (MIG-2)."""

    async def play() -> None:
        async with furnished() as stage, anyio.create_task_group() as group:
            client, stamp = player_client(stage.cluster), stage.cluster.core.clock.stamp
            group.start_soon(GatewayPlayer(client, stamp=stamp).run)
            group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
            async with stage.running(stage.controller()):
                status = Match(resource=f"{kinds.SERVICE.resource}/status", client="aioctl")
                failing = stage.cluster.faults.fail(
                    status, plain_500("etcdserver: request timed out"), times=0
                )
                await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(router=ROUTED))

                async def is_locked() -> bool:
                    live = await _route_of(stage)
                    return bool(dig(live, "metadata", "annotations", names.MIGRATED) == "v1")

                await stage.until(is_locked)
                await _mark(stage, "true")
                await anyio.sleep(20.0)
                stored = await stage.find(kinds.SERVICE, "one")
                assert dig(stored, "status", "annotations", names.MIGRATED) is None
                assert await is_locked()
                stage.cluster.faults.remove(failing)

                async def is_gone() -> bool:
                    return await _route_of(stage) is None

                await stage.until(is_gone)
                stored = await stage.find(kinds.SERVICE, "one")
                assert dig(stored, "status", "annotations", names.MIGRATED) == "v1"
            group.cancel_scope.cancel()

    run_virtual(play)


async def _mark(stage: World, value: str | None) -> None:
    await stage.user.patch(
        kinds.SERVICE, NAMESPACE, "one", {"metadata": {"annotations": {names.STOP: value}}}
    )
