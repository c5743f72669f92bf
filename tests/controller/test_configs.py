"""Configs on a whole cluster: who uses them stands in their status, and one in use is not deleted (CFG-5)."""

from collections import Counter
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.names import CONFIG_FINALIZER
from aioctl.api.objects import Object, dig, name_of
from aioctl.controller.interests import Interests
from aioctl.controller.service_state import ServiceStates
from aioctl.controller.triggers import keys_for
from aioctl.kube.cached import Cached
from aioctl.sim import seed
from aioctl.sim.faults import Match
from testbed.shipped_files import presets
from testbed.virtual_time import run_virtual
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

PRESET = "kserve-config-llm-template"


def base(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"template": {"containers": [{"name": "main", "env": [{"name": "A", "value": "b"}]}]}},
    }


async def _says(stage: World, name: str, reason: str, count: int, namespace: str = NAMESPACE) -> bool:
    found = await stage.find(kinds.CONFIG, name, namespace)
    users = dig(found, "status", "referencedBy") or []
    return condition(found, "ConfigInUse")[1] == reason and len(users) == count


def test_a_config_names_its_users_and_is_deleted_after_the_last() -> None:
    async def scene() -> None:
        async with furnished() as stage:
            for name in ("used", "unused"):
                await stage.user.create(kinds.CONFIG, NAMESPACE, base(name))
            await stage.user.create(
                kinds.SERVICE, NAMESPACE, plain_service("one", baseRefs=[{"name": "used"}])
            )
            async with stage.running(stage.controller()):
                await stage.until(lambda: _says(stage, "used", "InUse", 1))
                await stage.until(lambda: _says(stage, "unused", "NotInUse", 0))
                await stage.until(lambda: _says(stage, PRESET, "InUse", 1, seed.SYSTEM_NAMESPACE))
                await stage.user.delete(kinds.CONFIG, NAMESPACE, "unused")
                await stage.until(lambda: _gone(stage, "unused"))
                await stage.user.delete(kinds.CONFIG, NAMESPACE, "used")
                await stage.until(lambda: _says(stage, "used", "DeletionBlocked", 1))
                await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
                await stage.until(lambda: _gone(stage, "used"))
                await stage.until(lambda: _says(stage, PRESET, "NotInUse", 0, seed.SYSTEM_NAMESPACE))

    run_virtual(scene)


def test_what_goes_with_its_namespace_keeps_no_config() -> None:
    async def scene() -> None:
        async with furnished() as stage:
            await stage.user.create(kinds.CONFIG, NAMESPACE, base("used"))
            service = plain_service("one", baseRefs=[{"name": "used"}])
            service["metadata"]["finalizers"] = ["example.com/keeps-it"]
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            async with stage.running(stage.controller()):
                await stage.until(lambda: _says(stage, "used", "InUse", 1))
                await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
                await stage.user.delete(kinds.CONFIG, NAMESPACE, "used")
                await stage.until(lambda: _says(stage, "used", "DeletionBlocked", 1))
                await anyio.sleep(60)
                assert not await _gone(stage, "used"), "the namespace stays, and so may the service"
                await stage.user.delete(kinds.NAMESPACE, "", NAMESPACE)
                await stage.until(lambda: _gone(stage, "used"))
                assert await stage.find(kinds.SERVICE, "one") is not None

    run_virtual(scene)


async def _gone(stage: World, name: str) -> bool:
    return await stage.find(kinds.CONFIG, name) is None


def test_a_config_of_the_namespace_takes_the_place_of_the_shared_one() -> None:
    async def scene() -> None:
        async with furnished() as stage:
            shared = base("shared")
            shared["metadata"]["namespace"] = seed.SYSTEM_NAMESPACE
            await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, shared)
            await stage.user.create(
                kinds.SERVICE, NAMESPACE, plain_service("one", baseRefs=[{"name": "shared"}])
            )
            async with stage.running(stage.controller()):
                await stage.until(lambda: _says(stage, "shared", "InUse", 1, seed.SYSTEM_NAMESPACE))
                await stage.user.create(kinds.CONFIG, NAMESPACE, base("shared"))
                await stage.until(lambda: _says(stage, "shared", "InUse", 1))
                await stage.until(lambda: _says(stage, "shared", "NotInUse", 0, seed.SYSTEM_NAMESPACE))

    run_virtual(scene)


def test_the_status_of_a_preset_is_written_seldom_and_counts_all(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: Counter[str] = Counter()
    looks: Counter[str] = Counter()

    async def scene() -> int:
        async with furnished() as stage, stage.running(controller := stage.controller()):
            decode, added = controller.configs.decode, controller.config_queue.add

            def add(key: ObjectKey, *, priority: int = 0) -> None:
                looks[key.name] += 1
                added(key, priority=priority)

            monkeypatch.setattr(controller.config_queue, "add", add)

            def counted(raw: bytes) -> Object:
                config = decode(raw)
                reads[name_of(config)] += 1
                return config

            controller.configs.decode = counted
            for number in range(20):
                await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(f"s{number}"))
                await anyio.sleep(0.1)
            await stage.until(lambda: _says(stage, PRESET, "InUse", 20, seed.SYSTEM_NAMESPACE))
            preset = await stage.find(kinds.CONFIG, PRESET, seed.SYSTEM_NAMESPACE)
            assert dig(preset, "metadata", "finalizers") == [CONFIG_FINALIZER]
            return sum(
                count
                for (verb, resource, *_), count in stage.cluster.stats.calls.items()
                if verb == "update" and resource == "llminferenceserviceconfigs/status"
            )

    # Every preset is used by each of the 20 services: at once, and again when some seconds have passed.
    assert run_virtual(scene) <= 3 * len(presets())
    # Nor is one read for each service while its next status waits.
    assert 0 < reads[PRESET] <= 10
    assert 0 < looks[PRESET] <= 15


def test_a_config_that_goes_on_conflicting_is_tried_seldom() -> None:
    """Its watch lags behind somebody's write: nothing can be done about it before that arrives (CFG-5)."""

    async def scene() -> int:
        async with furnished() as stage, stage.running(stage.controller()):
            await stage.until(lambda: _says(stage, PRESET, "NotInUse", 0, seed.SYSTEM_NAMESPACE))
            stage.cluster.faults.lag_watches(Match(resource=kinds.CONFIG.resource, client="aioctl/"), 20.0)
            mark = {"metadata": {"labels": {"by": "somebody"}}}
            await stage.user.patch(kinds.CONFIG, seed.SYSTEM_NAMESPACE, PRESET, mark)
            before = _tries(stage)
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
            await anyio.sleep(15.0)
            tried = _tries(stage) - before
            await stage.until(lambda: _says(stage, PRESET, "InUse", 1, seed.SYSTEM_NAMESPACE))
            return tried

    assert 1 < run_virtual(scene) < 30


def _tries(stage: World) -> int:
    """Writes of the preset that conflicted."""
    return sum(
        count
        for (_, resource, client, status), count in stage.cluster.stats.calls.items()
        if resource.startswith(kinds.CONFIG.plural) and client.startswith("aioctl/") and status == 409
    )


def _cached(spec: dict[str, Any], version: int, **rest: Any) -> Cached:
    metadata = {"name": PRESET, "namespace": "kserve", "uid": "u", "resourceVersion": str(version)}
    return Cached.from_raw(msgspec.json.encode({"metadata": metadata, "spec": spec, **rest}), kinds.CONFIG)


def test_only_the_spec_of_a_config_wakes_who_read_it() -> None:
    interests = Interests(ServiceStates())
    reader = ObjectKey(NAMESPACE, "one")
    interests.record(reader, [ObjectRef(kinds.CONFIG, "kserve", PRESET)])
    old = _cached({"replicas": 1}, 1)
    assert keys_for(kinds.CONFIG, old, _cached({"replicas": 1}, 2, status={"a": 1}), interests) == set()
    assert keys_for(kinds.CONFIG, old, _cached({"replicas": 2}, 2), interests) == {reader}
    assert keys_for(kinds.CONFIG, None, old, interests) == {reader}
    assert keys_for(kinds.CONFIG, old, None, interests) == {reader}
