"""A traffic group on the embedded cluster: members wake each other, find together, and let each other go.

Rules: GROUP-3, GROUP-6.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import dig
from aioctl.sim.backup import Backup
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import virtual_time
from testbed.world import LONG_AGO, NAMESPACE, World, beforehand, condition, furnished, plain_service

SHARED = "v1-model-routing"


def member(name: str, weight: int, *, group: str = "g", model: str = "m", **router: Any) -> dict[str, Any]:
    """As the defaulting webhook leaves it."""
    route = {"group": group, "weight": weight}
    service = plain_service(
        name,
        model={"uri": "hf://facebook/opt-125m", "name": model},
        router={"gateway": {}, "scheduler": {}, "route": route, **router},
    )
    service["metadata"]["labels"] = {names.ROUTING_GROUP: group}
    service["metadata"]["annotations"] = {names.ENABLE_AUTH: "false"}
    return service


@asynccontextmanager
async def scene(
    *services: Mapping[str, Any], behaviour: str = "both", backup: Backup | None = None, **options: Any
) -> AsyncIterator[World]:
    """A cluster with players and a controller, and these services once they have found together."""
    async with furnished(backup=backup, **options) as stage:
        client = player_client(stage.cluster)
        async with anyio.create_task_group() as group:
            stamp = stage.cluster.core.clock.stamp
            slow = GatewayScript(BEHAVIOURS[behaviour], delay=2.0)
            group.start_soon(GatewayPlayer(client, stamp=stamp, default=slow).run)
            group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
            async with stage.running(stage.controller()):
                for service in services:
                    await stage.user.create(kinds.SERVICE, NAMESPACE, service)
                await anyio.sleep(20)
                yield stage
            group.cancel_scope.cancel()


@asynccontextmanager
async def together() -> AsyncIterator[World]:
    """A scene of the members `one` and `two`, who have long been together when the controller starts."""
    async with scene(backup=_together()) as stage:
        yield stage


@cache
def _together() -> Backup:
    return beforehand(_find_together)


async def _find_together() -> Backup:
    async with scene(member("one", 70), member("two", 30), start=LONG_AGO) as stage:
        return Backup.of(stage.cluster.core)


async def shares(stage: World, name: str, rule: str = SHARED) -> list[tuple[str, int]]:
    route = await stage.find(kinds.HTTP_ROUTE, names.route_name(name))
    (found,) = (each for each in dig(route, "spec", "rules") or () if each.get("name") == rule)
    return [(ref["name"], ref["weight"]) for ref in found["backendRefs"]]


async def events(stage: World, reason: str) -> list[str]:
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    found = [msgspec.json.decode(raw) for page in pages for raw in page.items]
    return [event["note"] for event in found if event["reason"] == reason]


def writes(stage: World) -> int:
    return sum(
        count
        for (verb, _, client, _), count in stage.cluster.stats.calls.items()
        if client.startswith("aioctl/") and verb in ("create", "update", "patch", "delete")
    )


BOTH = [("one-inference-pool", 70), ("two-inference-pool", 30)]


@virtual_time
async def test_members_find_together_and_come_to_rest_though_gateways_are_slow() -> None:
    async with scene(member("one", 70), member("two", 30)) as stage:
        assert await shares(stage, "one") == await shares(stage, "two") == BOTH
        for name in ("one", "two"):
            service = await stage.find(kinds.SERVICE, name)
            assert condition(service, "Ready")[0] == condition(service, "GroupReady")[0] == "True"
        before = writes(stage)
        await anyio.sleep(60)
        assert writes(stage) == before


@virtual_time
async def test_a_changed_weight_a_stop_and_a_new_member_reach_the_routes_of_the_others() -> None:
    async with together() as stage:

        async def shared(*expected: tuple[str, int]) -> None:
            async def seen() -> bool:
                return await shares(stage, "one") == list(expected)

            await stage.until(seen)

        patch = {"spec": {"router": {"route": {"weight": 1}}}}
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "two", patch)
        await shared(("one-inference-pool", 70), ("two-inference-pool", 1))
        await stage.user.create(kinds.SERVICE, NAMESPACE, member("three", 5, scheduler=None))
        await shared(("one-inference-pool", 70), ("three-kserve-workload-svc", 5), ("two-inference-pool", 1))
        stop = {"metadata": {"annotations": {names.STOP: "true"}}}
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "two", stop)
        await shared(("one-inference-pool", 70), ("three-kserve-workload-svc", 5))


@virtual_time
async def test_a_member_that_is_deleted_goes_once_no_route_leads_to_it() -> None:
    async with together() as stage:
        gone_with_routes = []

        async def is_gone() -> bool:
            gone = await stage.find(kinds.SERVICE, "two") is None
            gone_with_routes.append((gone, len(await shares(stage, "one"))))
            return gone

        await stage.user.delete(kinds.SERVICE, NAMESPACE, "two")
        await stage.until(is_gone)
        assert gone_with_routes[-1] == (True, 1)
        assert (True, 2) not in gone_with_routes


@virtual_time
async def test_a_member_whose_peer_cannot_be_changed_says_what_it_waits_for() -> None:
    async with together() as stage:
        # Its configuration is gone: nothing of its router can be planned any more.
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"baseRefs": [{"name": "none"}]}})
        await stage.user.delete(kinds.SERVICE, NAMESPACE, "two")
        await anyio.sleep(60)
        waiting = await stage.find(kinds.SERVICE, "two")
        assert condition(waiting, "GroupReady") == (
            "False",
            "FinalizationPending",
            "waiting for member one to remove backendRef before deletion",
        )
        assert await shares(stage, "two") == BOTH, "it goes on serving"
        assert condition(waiting, "Ready")[0] == "True", "and is as ready as it was"
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": {"baseRefs": None}})
        await anyio.sleep(20)
        assert await stage.find(kinds.SERVICE, "two") is None
        assert await shares(stage, "one") == BOTH[:1]


@virtual_time
async def test_members_that_are_deleted_together_all_go() -> None:
    async with together() as stage:
        for name in ("one", "two"):
            await stage.user.delete(kinds.SERVICE, NAMESPACE, name)
        await anyio.sleep(20)
        assert [await stage.find(kinds.SERVICE, name) for name in ("one", "two")] == [None, None]


@virtual_time
async def test_divergent_members_and_groups_without_traffic_are_told_of_once() -> None:
    services = (member("one", 0), member("two", 0), member("other", 7, model="o"))
    async with scene(*services) as stage:
        assert await shares(stage, "one") == [(name, 0) for name, _ in BOTH]
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "other", {"metadata": {"labels": {"a": "b"}}})
        await anyio.sleep(30)
        diverging = 'Group "g" has members with divergent model.name or LoRA adapter sets'
        assert await events(stage, "MemberDivergence") == [diverging] * 3
        assert len(await events(stage, "GroupWithoutTraffic")) == 2
        service = await stage.find(kinds.SERVICE, "one")
        assert condition(service, "GroupDegraded")[:2] == ("True", "MemberDivergence")
        assert condition(service, "Ready")[0] == "True"


@pytest.mark.parametrize(
    ("behaviour", "generation"),
    [
        ("both", kinds.POOL_GROUP_V1),
        ("v1alpha2-only", kinds.POOL_GROUP_V1ALPHA2),
        ("v1-only", kinds.POOL_GROUP_V1),
    ],
)
@virtual_time
async def test_no_route_of_a_group_ever_has_two_generations_and_it_ends_on_what_the_gateway_serves(
    behaviour: str, generation: str
) -> None:
    written: list[tuple[str, set[str]]] = []
    services = (member("one", 70), member("two", 30), member("three", 5, scheduler=None))
    async with scene(behaviour=behaviour) as stage, anyio.create_task_group() as group:

        async def look() -> None:
            async with stage.user.watch(kinds.HTTP_ROUTE) as changes:
                async for event in changes:
                    route = msgspec.json.decode(event.object)
                    if event.type == "BOOKMARK" or not route["metadata"]["name"].endswith("-kserve-route"):
                        continue
                    groups = {
                        ref["group"]
                        for rule in route["spec"]["rules"]
                        for ref in rule["backendRefs"]
                        if ref["kind"] == "InferencePool"
                    }
                    written.append((route["metadata"]["name"], groups))

        group.start_soon(look)
        for service in services:
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
        await anyio.sleep(60)
        assert {name for name, _ in written} == {names.route_name(name) for name in ("one", "two", "three")}
        assert all(len(groups) <= 1 for _, groups in written)
        assert dict(written) == {name: {generation} for name, _ in written}
        for name in ("one", "two", "three"):
            found = await stage.find(kinds.SERVICE, name)
            assert found is not None
            assert condition(found, "Ready")[0] == "True", name
        group.cancel_scope.cancel()
