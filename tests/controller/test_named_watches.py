"""ConfigMaps that services refer to wake them when they change, wherever they are.

Rules: WATCH-3.
"""

from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import dig
from aioctl.controller import named_watches
from aioctl.controller.named_watches import NamedWatches
from aioctl.kube.reflector import Reflector
from aioctl.sim import seed
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

TEXT = "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: {}-scorer\n"


def config_map(name: str, namespace: str, plugin: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {"epp": TEXT.format(plugin)},
    }


def asking(service: str, ref: str) -> dict[str, Any]:
    scheduler = {"config": {"ref": {"name": ref, "key": "epp"}}}
    return plain_service(service, router={"route": {}, "gateway": {}, "scheduler": scheduler})


async def picks_by(stage: World, service: str) -> str:
    found = await stage.find(kinds.DEPLOYMENT, f"{service}-kserve-router-scheduler")
    containers = dig(found, "spec", "template", "spec", "containers") or []
    return str([container.get("args") for container in containers])


def watches(stage: World) -> int:
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if verb == "watch" and resource == "configmaps" and client.startswith("aioctl/")
    )


@virtual_time
async def test_an_edit_wakes_who_refers_to_it_and_one_of_the_system_namespace_all() -> None:
    shared = "config-scheduler-shared"
    async with furnished() as stage:
        await stage.user.create(kinds.CONFIG_MAP, NAMESPACE, config_map("own", NAMESPACE, "first"))
        await stage.user.create(
            kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, config_map(shared, seed.SYSTEM_NAMESPACE, "first")
        )
        async with stage.running(stage.controller()):
            for name, ref in (("a", "own"), ("b", shared), ("c", shared)):
                await stage.user.create(kinds.SERVICE, NAMESPACE, asking(name, ref))
            await anyio.sleep(120)
            for name in "abc":
                assert "first-scorer" in await picks_by(stage, name)
            opened = watches(stage)
            await stage.user.patch(
                kinds.CONFIG_MAP, NAMESPACE, "own", {"data": {"epp": TEXT.format("second")}}
            )
            await anyio.sleep(3)
            assert "second-scorer" in await picks_by(stage, "a")
            assert "first-scorer" in await picks_by(stage, "b")
            await stage.user.patch(
                kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, shared, {"data": {"epp": TEXT.format("third")}}
            )
            await anyio.sleep(3)
            assert "third-scorer" in await picks_by(stage, "b")
            assert "third-scorer" in await picks_by(stage, "c")
            assert watches(stage) == opened, "one watch for each, kept"


@virtual_time
async def test_one_that_is_made_later_is_seen_at_once() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, asking("a", "later"))
        await anyio.sleep(600)
        assert condition(await stage.find(kinds.SERVICE, "a"), "PresetsCombined")[1] == "CombineBaseError"
        await stage.user.create(kinds.CONFIG_MAP, NAMESPACE, config_map("later", NAMESPACE, "first"))
        await anyio.sleep(3)
        assert "first-scorer" in await picks_by(stage, "a")


class Idle(Reflector):
    """Watches nothing, and counts itself."""

    running: set[ObjectRef] = set()  # noqa: RUF012  one for all of them

    def __init__(self, ref: ObjectRef) -> None:
        self.ref = ref

    async def run(self, **_: Any) -> None:
        self.running.add(self.ref)
        try:
            await anyio.sleep_forever()
        finally:
            self.running.discard(self.ref)


@virtual_time
async def test_only_so_many_are_watched_and_only_while_somebody_reads_them() -> None:
    Idle.running.clear()
    known = ObjectRef(kinds.CONFIG_MAP, "kserve", "inferenceservice-config")
    named = NamedWatches(lambda ref, _: Idle(ref), lambda *_: None, lambda ref: ref == known)
    refs = [ObjectRef(kinds.CONFIG_MAP, "ns", f"c{number}") for number in range(named_watches.MOST + 1)]
    async with anyio.create_task_group() as group:
        group.start_soon(named.run)
        for ref in (
            known,
            ObjectRef(kinds.SECRET, "ns", "s"),
            ObjectRef(kinds.CONFIG_MAP, "ns", "global-ca-bundle"),
            *refs,
        ):
            named.want(ref)
        await anyio.sleep(1)
        assert Idle.running == set(refs[:-1])
        named.drop(refs[0])
        await anyio.sleep(1)
        assert Idle.running == set(refs[1:])
        for ref in refs:
            named.drop(ref)
        await anyio.sleep(1)
        assert Idle.running == set()
        group.cancel_scope.cancel()
