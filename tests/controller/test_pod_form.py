"""FORM-1, FORM-2 with a whole controller: who restarts a model server, and when."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.controller.knobs import Knobs
from aioctl.plan.policy import PodForm, Policy
from aioctl.plan.workload import initializer
from aioctl.plan.workload.pod_form import template_digest
from aioctl.sim import seed
from aioctl.sim.backup import Backup
from aioctl.sim.players.following import player_client
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import virtual_time
from testbed.world import LONG_AGO, NAMESPACE, POLICY, World, beforehand, condition, furnished, plain_service

MAIN = {"containers": [{"name": "main", "image": "vllm:v1"}]}
INTERVAL = 30.0
KNOBS = Knobs(status_settle=0.05, roll_interval=INTERVAL)
CURRENT = Policy(auth_disabled=True, pod_form=PodForm.CURRENT)
SINGLE = plain_service("one", template=MAIN, prefill={"template": MAIN})
GROUPED = plain_service("two", template=MAIN, worker=MAIN, parallelism={"data": 2, "dataLocal": 1})
WORKLOADS = (
    (kinds.DEPLOYMENT, "one-kserve"),
    (kinds.DEPLOYMENT, "one-kserve-prefill"),
    (kinds.LEADER_WORKER_SET, "two-kserve-mn"),
)
REST = 20.0


@asynccontextmanager
async def controlled(stage: World, policy: Policy = POLICY) -> AsyncIterator[None]:
    """The controller and the players run while the block runs."""
    client = player_client(stage.cluster)
    player = WorkloadPlayer(client, delay=0.1, stamp=stage.cluster.core.clock.stamp)
    async with anyio.create_task_group() as group:
        group.start_soon(player.run)
        async with stage.running(stage.controller(policy=policy, knobs=KNOBS)):
            yield
        group.cancel_scope.cancel()


@asynccontextmanager
async def settled() -> AsyncIterator[World]:
    """Two services that an earlier process of ours has settled."""
    async with furnished(backup=_settled()) as stage:
        yield stage


@cache
def _settled() -> Backup:
    return beforehand(_settle)


async def _settle() -> Backup:
    async with furnished(start=LONG_AGO) as stage:
        await settle(stage)
        return Backup.of(stage.cluster.core)


async def settle(stage: World) -> None:
    for service in (SINGLE, GROUPED):
        await stage.user.create(kinds.SERVICE, NAMESPACE, service)
    async with controlled(stage):
        await anyio.sleep(REST)


async def templates(stage: World) -> dict[str, str]:
    return {name: template_digest(await live(stage, kind, name)) for kind, name in WORKLOADS}


async def live(stage: World, kind: Kind, name: str) -> Any:
    found = await stage.find(kind, name)
    assert found is not None, name
    return found


async def generations(stage: World) -> dict[str, int]:
    return {name: (await live(stage, kind, name))["metadata"]["generation"] for kind, name in WORKLOADS}


async def new_image(stage: World) -> None:
    """An administrator gives another image for downloads."""
    made = seed.config_map()
    storage = {**json.loads(made["data"]["storageInitializer"]), "image": "kserve/storage-initializer:next"}
    data = {"storageInitializer": json.dumps(storage)}
    await stage.user.patch(kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, made["metadata"]["name"], {"data": data})


async def forget(stage: World) -> None:
    """As another controller, or an earlier release, leaves it: nothing stands beside the pods."""
    gone = {"metadata": {"annotations": {"aioctl.dev/inputs": None, "aioctl.dev/template": None}}}
    for kind, name in WORKLOADS:
        await stage.user.patch(kind, NAMESPACE, name, gone)


def held_back(stage: World) -> float | None:
    return stage.metrics.registry.get_sample_value("aioctl_workloads_held_back")


async def said(stage: World, name: str = "one") -> tuple[str, str, str]:
    return condition(await stage.find(kinds.SERVICE, name), "PodFormCurrent")


def workload_writes(stage: World) -> int:
    """Creations and updates of workloads that the controller has sent, dry runs among them."""
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if client.startswith("aioctl/")
        and verb in ("create", "update", "patch")
        and resource.partition(".")[0] in ("deployments", "leaderworkersets")
    )


@virtual_time
async def test_what_is_remembered_costs_no_further_write() -> None:
    async with furnished() as stage:
        await settle(stage)
        # Two Deployments and one set, and the picker of none.
        assert workload_writes(stage) == len(WORKLOADS)
        async with controlled(stage):
            await anyio.sleep(REST)
        assert workload_writes(stage) == len(WORKLOADS)


@virtual_time
async def test_a_new_image_for_downloads_restarts_nothing_and_is_told() -> None:
    async with settled() as stage:
        before = await templates(stage)
        async with controlled(stage):
            await anyio.sleep(REST)
            assert held_back(stage) == 0
            await new_image(stage)
            await anyio.sleep(REST)
            assert await templates(stage) == before
            assert held_back(stage) == len(WORKLOADS)
            status, reason, message = await said(stage)
            assert (status, reason) == ("False", "HeldBack")
            assert message.startswith("Deployment one-kserve, Deployment one-kserve-prefill: ")
            assert "aioctl.dev/pod-form: current" in message
            assert condition(await stage.find(kinds.SERVICE, "one"), "WorkloadsReady")[0] == "True"
            await stage.user.delete(kinds.SERVICE, NAMESPACE, "two")
            await anyio.sleep(REST)
            assert held_back(stage) == 2


@virtual_time
async def test_another_default_of_a_new_release_restarts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with settled() as stage:
        before = await templates(stage)
        monkeypatch.setattr(initializer, "_HF_DEFAULTS", (("HF_SOMETHING_NEW", "1"),))
        async with controlled(stage):
            await anyio.sleep(REST)
            # Prefill pods have no account here, so they get no such variables.
            assert held_back(stage) == len(WORKLOADS) - 1
        assert await templates(stage) == before


@virtual_time
async def test_an_edit_rolls_once_and_brings_everything_of_today() -> None:
    async with settled() as stage:
        async with controlled(stage):
            await new_image(stage)
            await anyio.sleep(REST)
            before = await generations(stage)
            edit = {"spec": {"template": {"containers": [{"name": "main", "image": "vllm:v2"}]}}}
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", edit)
            await anyio.sleep(REST)
            after = await generations(stage)
            found = await live(stage, kinds.DEPLOYMENT, "one-kserve")
            assert "kserve/storage-initializer:next" in str(found["spec"])
            assert "vllm:v2" in str(found["spec"])
            assert {name: after[name] - before[name] for name in before} == {
                "one-kserve": 1,
                "one-kserve-prefill": 0,
                "two-kserve-mn": 0,
            }
            assert (await said(stage))[2].startswith("Deployment one-kserve-prefill: ")
        assert held_back(stage) == 2


@virtual_time
async def test_a_hand_edit_of_the_pods_is_put_right() -> None:
    async with settled() as stage:
        before = await templates(stage)
        async with controlled(stage):
            for kind, name in WORKLOADS:
                found = await live(stage, kind, name)
                text = json.dumps(found).replace("vllm:v1", "by-hand")
                await stage.user.update(kind, json.loads(text))
            await anyio.sleep(REST)
        assert await templates(stage) == before


@virtual_time
async def test_what_an_earlier_release_made_is_adopted_and_held() -> None:
    async with settled() as stage:
        await new_image(stage)
        await forget(stage)
        before, generation = await templates(stage), await generations(stage)
        async with controlled(stage):
            await anyio.sleep(REST)
            assert held_back(stage) == len(WORKLOADS)
        assert await templates(stage) == before
        assert await generations(stage) == generation
        found = await live(stage, kinds.DEPLOYMENT, "one-kserve")
        assert found["metadata"]["annotations"]["aioctl.dev/template"] == before["one-kserve"]


@virtual_time
async def test_an_edit_that_the_former_controller_did_not_see_is_applied_though_it_takes_two_tries() -> None:
    async with settled() as stage:
        await forget(stage)
        edit = {
            "spec": {
                "template": {"serviceAccountName": "absent", "containers": [{"name": "main", "image": "v2"}]}
            }
        }
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", edit)
        before = await templates(stage)
        async with controlled(stage):
            await anyio.sleep(REST)
            service = await live(stage, kinds.SERVICE, "one")
            assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
            assert condition(service, "MainWorkloadReady")[1] == "ReconcileSingleNodeWorkloadError"
        assert await templates(stage) == before
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "absent"}}
        await stage.user.create(kinds.SERVICE_ACCOUNT, NAMESPACE, account)
        async with controlled(stage):
            await anyio.sleep(REST)
            service = await live(stage, kinds.SERVICE, "one")
        assert "v2" in str((await live(stage, kinds.DEPLOYMENT, "one-kserve"))["spec"])
        assert "aioctl.dev/workloads-behind" not in service["status"].get("annotations", {})


@virtual_time
async def test_the_current_form_comes_to_one_workload_after_another() -> None:
    async with settled() as stage:
        await new_image(stage)
        async with controlled(stage):
            await anyio.sleep(REST)
        before, generation = await templates(stage), await generations(stage)
        async with controlled(stage, CURRENT):
            rolled = []
            for _ in WORKLOADS:
                await anyio.sleep(INTERVAL / 2)
                now = await templates(stage)
                rolled.append(sum(now[name] != before[name] for name in before))
                assert held_back(stage) == len(WORKLOADS) - rolled[-1]
                await anyio.sleep(INTERVAL / 2)
            assert rolled == [1, 2, 3]
            await anyio.sleep(INTERVAL)
            for name in ("one", "two"):
                assert await said(stage, name) == ("", "", "")
        after = await generations(stage)
        assert {name: after[name] - generation[name] for name in after} == dict.fromkeys(after, 1)


@virtual_time
async def test_one_service_asks_for_the_current_form() -> None:
    async with settled() as stage:
        await new_image(stage)
        before = await templates(stage)
        ask = {"metadata": {"annotations": {"aioctl.dev/pod-form": "current"}}}
        async with controlled(stage):
            await anyio.sleep(REST)
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", ask)
            await anyio.sleep(1.0)
            assert (await said(stage))[1] == "WaitsForRollout"
            await anyio.sleep(2 * INTERVAL)
            assert await said(stage) == ("", "", "")
        after = await templates(stage)
        assert [name for name in before if before[name] != after[name]] == [
            "one-kserve",
            "one-kserve-prefill",
        ]
