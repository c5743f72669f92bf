"""Gateways accept what their script says, workloads become available."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey
from aioctl.sim import seed
from aioctl.sim.faults import Match
from aioctl.sim.players.following import AGENT, player_client
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.real_players import BROUGHT, within
from testbed.virtual_time import virtual_time
from tests.sim.driver import Driver, Object, cluster
from tests.sim.test_crud import APPS, POOLS_OLD, POOLS_V1, ROUTES, deployment, pool_old, pool_v1

GLOBAL = {
    "group": "gateway.networking.k8s.io",
    "kind": "Gateway",
    "name": "kserve-ingress-gateway",
    "namespace": "kserve",
}


def route(*weights: tuple[str, int], gateways: tuple[ObjectKey, ...] = ()) -> Object:
    """A route with one rule that names pool `p` in the given groups."""
    refs = [
        {"group": group, "kind": "InferencePool", "name": "p", "port": 8000, "weight": weight}
        for group, weight in weights
    ]
    parents = [{"name": key.name, "namespace": key.namespace} for key in gateways] or [
        {"name": "kserve-ingress-gateway", "namespace": "kserve"}
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r", "labels": {"app.kubernetes.io/name": "svc"}},
        "spec": {"parentRefs": parents, "rules": [{"backendRefs": refs}]},
    }


BOTH = ((POOL_GROUP_V1, 0), (POOL_GROUP_V1ALPHA2, 100))


@asynccontextmanager
async def stage(
    *, answers_after: float = 0.0, **settings: Any
) -> AsyncIterator[tuple[Driver, GatewayPlayer]]:
    """A demo world with a gateway player."""
    async with cluster() as api, anyio.create_task_group() as group:
        player = GatewayPlayer(
            player_client(api.cluster, answers_after=answers_after),
            stamp=api.cluster.core.clock.stamp,
            **settings,
        )
        group.start_soon(player.run)
        for obj in seed.world(namespaces=()):
            await api.cluster.create(obj)
        yield api, player
        group.cancel_scope.cancel()


async def pools_and_route(api: Driver, **spec: Any) -> None:
    await api("POST", POOLS_V1, pool_v1())
    await api("POST", POOLS_OLD, pool_old())
    await api("POST", ROUTES, route(*BOTH, **spec))


async def seen(api: Driver) -> dict[str, str]:
    """What each object says, in a word."""
    v1 = (await api.get(f"{POOLS_V1}/p")).body
    old = (await api.get(f"{POOLS_OLD}/p")).body
    found = (await api.get(f"{ROUTES}/r")).body
    conditions = [
        condition
        for parent in found.get("status", {}).get("parents", [])
        for condition in parent["conditions"]
        if condition["type"] == "ResolvedRefs"
    ]
    return {
        "v1": _word(v1.get("status", {}).get("parents", [])),
        "v1alpha2": _word(old.get("status", {}).get("parent", [])),
        "route": conditions[0]["reason"] if conditions else "silent",
    }


def _word(parents: list[Object]) -> str:
    kinds = {parent["parentRef"]["kind"] for parent in parents}
    if kinds == {"Gateway"}:
        assert parents[0]["parentRef"] == GLOBAL
        assert {c["type"]: c["status"] for c in parents[0]["conditions"]} == {
            "Accepted": "True",
            "ResolvedRefs": "True",
        }
        return "accepted"
    return "synthetic" if kinds == {"Status"} else "silent"


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("both", {"v1": "accepted", "v1alpha2": "accepted", "route": "ResolvedRefs"}),
        ("v1-only", {"v1": "accepted", "v1alpha2": "synthetic", "route": "InvalidKind"}),
        ("v1alpha2-only", {"v1": "silent", "v1alpha2": "accepted", "route": "InvalidKind"}),
        (
            "accepts-both-routes-v1alpha2",
            {"v1": "accepted", "v1alpha2": "accepted", "route": "InvalidKind"},
        ),
        ("silent", {"v1": "silent", "v1alpha2": "synthetic", "route": "ResolvedRefs"}),
    ],
)
def test_a_gateway_answers_as_it_can(behaviour: str, expected: dict[str, str]) -> None:
    @virtual_time
    async def run() -> None:
        async with stage(default=GatewayScript(BEHAVIOURS[behaviour])) as (api, _):
            await pools_and_route(api)
            await anyio.sleep(5)
            assert await seen(api) == expected

    run()


@virtual_time
async def test_a_late_answer_does_not_hide_what_a_watch_showed_meanwhile() -> None:
    async with stage(answers_after=1.0, default=GatewayScript(delay=1.0)) as (api, _):
        await pools_and_route(api)
        await anyio.sleep(1.5)
        found = (await api.get(f"{ROUTES}/r")).body
        found["spec"]["hostnames"] = ["a.example.com"]
        await api("PUT", f"{ROUTES}/r", found)
        await anyio.sleep(5)
        now = (await api.get(f"{ROUTES}/r")).body
        assert now["metadata"]["generation"] == 2
        (parent,) = now["status"]["parents"]
        assert {condition["observedGeneration"] for condition in parent["conditions"]} == {2}


ANSWER = Match(client=AGENT, resource="httproutes/status", verb="patch")


async def answered(api: Driver) -> tuple[int, set[int]]:
    """The generation of the route, and those that its gateways speak of."""
    found = (await api.get(f"{ROUTES}/r")).body
    (parent,) = found["status"]["parents"]
    return found["metadata"]["generation"], {each["observedGeneration"] for each in parent["conditions"]}


@virtual_time
async def test_of_two_answers_on_their_way_the_older_one_does_not_come_last() -> None:
    async with stage(default=GatewayScript(delay=1.0)) as (api, _):
        slow = api.cluster.faults.slow(ANSWER, 5.0, times=1)
        await pools_and_route(api)
        await anyio.sleep(1.5)
        await api.merge(f"{ROUTES}/r", {"spec": {"hostnames": ["a.example.com"]}})
        await anyio.sleep(10)
        assert slow.hits == 1
        assert await answered(api) == (2, {2})


@virtual_time
async def test_a_change_that_came_between_question_and_answer_is_answered_though_no_watch_shows_it() -> None:
    async with stage(default=GatewayScript(delay=1.0)) as (api, _):
        slow = api.cluster.faults.slow(ANSWER, 5.0, times=1)
        await pools_and_route(api)
        await anyio.sleep(5.9)
        assert api.cluster.faults.cut_watches(Match(client=AGENT, resource="httproutes")) == 1
        await api.merge(f"{ROUTES}/r", {"spec": {"hostnames": ["a.example.com"]}})
        await anyio.sleep(10)
        assert slow.hits == 1
        assert await answered(api) == (2, {2})


@virtual_time
async def test_the_answer_comes_after_the_delay_and_for_the_current_generation() -> None:
    async with stage(default=GatewayScript(delay=3.0)) as (api, _):
        await pools_and_route(api)
        await anyio.sleep(2.9)
        assert (await seen(api))["v1"] == "silent"
        await anyio.sleep(1)
        assert (await seen(api))["v1"] == "accepted"
        await api.merge(f"{POOLS_V1}/p", {"spec": {"selector": {"matchLabels": {"c": "d"}}}})
        await anyio.sleep(4)
        pool = (await api.get(f"{POOLS_V1}/p")).body
        [parent] = pool["status"]["parents"]
        assert (
            {c["observedGeneration"] for c in parent["conditions"]} == {2} == {pool["metadata"]["generation"]}
        )


@virtual_time
async def test_a_gateway_is_programmed_and_gets_an_address() -> None:
    async with stage(default=GatewayScript(address="10.1.2.3")) as (api, _):
        await anyio.sleep(2)
        path = "/apis/gateway.networking.k8s.io/v1/namespaces/kserve/gateways/kserve-ingress-gateway"
        status = (await api.get(path)).body["status"]
        assert status["addresses"] == [{"type": "IPAddress", "value": "10.1.2.3"}]
        assert {c["type"]: c["status"] for c in status["conditions"]} == {
            "Accepted": "True",
            "Programmed": "True",
        }


@virtual_time
async def test_pools_nobody_names_are_ignored_by_a_gateway_that_waits_for_routes() -> None:
    async with stage(accepts_unreferenced=False) as (api, _):
        await api("POST", POOLS_V1, pool_v1())
        await anyio.sleep(5)
        assert "status" not in (await api.get(f"{POOLS_V1}/p")).body
        await api("POST", ROUTES, route((POOL_GROUP_V1, 1)))
        await anyio.sleep(5)
        assert (await api.get(f"{POOLS_V1}/p")).body["status"]["parents"][0]["parentRef"] == GLOBAL


@virtual_time
async def test_each_gateway_plays_its_own_script() -> None:
    other = ObjectKey("demo", "mine")
    scripts = {other: GatewayScript(BEHAVIOURS["v1alpha2-only"])}
    async with stage(scripts=scripts) as (api, _):
        await api.cluster.create(seed.gateway("demo", "mine"))
        await pools_and_route(api, gateways=(ObjectKey("kserve", "kserve-ingress-gateway"), other))
        await anyio.sleep(5)
        v1 = (await api.get(f"{POOLS_V1}/p")).body["status"]["parents"]
        old = (await api.get(f"{POOLS_OLD}/p")).body["status"]["parent"]
        assert [parent["parentRef"]["name"] for parent in v1] == ["kserve-ingress-gateway"]
        assert {parent["parentRef"]["name"] for parent in old} == {"kserve-ingress-gateway", "mine"}
        parents = (await api.get(f"{ROUTES}/r")).body["status"]["parents"]
        reasons = {p["parentRef"]["name"]: p["conditions"][1]["reason"] for p in parents}
        assert reasons == {"kserve-ingress-gateway": "ResolvedRefs", "mine": "InvalidKind"}


@virtual_time
async def test_a_gateway_answers_each_of_the_parent_refs_to_it() -> None:
    wanted = route(*BOTH)
    (ref,) = wanted["spec"]["parentRefs"]
    wanted["spec"]["parentRefs"] = [{**ref, "sectionName": name} for name in ("http", "https")]
    async with stage() as (api, _):
        await api("POST", ROUTES, wanted)
        await anyio.sleep(5)
        parents = (await api.get(f"{ROUTES}/r")).body["status"]["parents"]
        assert [parent["parentRef"]["sectionName"] for parent in parents] == ["http", "https"]
        assert all(parent["conditions"][0]["status"] == "True" for parent in parents)


@virtual_time
async def test_a_new_script_is_played_at_once() -> None:
    async with stage(default=GatewayScript(BEHAVIOURS["v1alpha2-only"])) as (api, player):
        await pools_and_route(api)
        await anyio.sleep(5)
        player.set_script(GatewayScript(BEHAVIOURS["both"]))
        await anyio.sleep(5)
        assert await seen(api) == {"v1": "accepted", "v1alpha2": "accepted", "route": "ResolvedRefs"}


@virtual_time
async def test_a_route_with_a_missing_pool_is_resolved_when_it_comes() -> None:
    async with stage() as (api, _):
        await api("POST", POOLS_OLD, pool_old())
        await api("POST", ROUTES, route(*BOTH))
        await anyio.sleep(3)
        status = (await api.get(f"{ROUTES}/r")).body["status"]["parents"][0]["conditions"][1]
        assert (status["status"], status["reason"]) == ("False", "BackendNotFound")
        await api("POST", POOLS_V1, pool_v1())
        await anyio.sleep(3)
        assert (await seen(api))["route"] == "ResolvedRefs"


@virtual_time
async def test_players_survive_a_restart_and_kinds_that_come_late() -> None:
    async with stage() as (api, _):
        await api.cluster.uninstall("inferencepools.inference.networking.k8s.io")
        await anyio.sleep(10)
        await api.cluster.install("inferencepools.inference.networking.k8s.io")
        await api.cluster.restart(down_for=3)
        await pools_and_route(api)
        await anyio.sleep(20)
        assert await seen(api) == {"v1": "accepted", "v1alpha2": "accepted", "route": "ResolvedRefs"}


@virtual_time
async def test_a_quiet_world_stays_quiet() -> None:
    async with stage() as (api, _):
        await pools_and_route(api)
        await anyio.sleep(10)
        before = api.cluster.store.revision
        await anyio.sleep(600)
        assert api.cluster.store.revision == before


@virtual_time
async def test_workloads_become_available_after_the_delay_again_for_each_generation() -> None:
    async with cluster() as api, anyio.create_task_group() as group:
        player = WorkloadPlayer(player_client(api.cluster), delay=2, stamp=api.cluster.core.clock.stamp)
        group.start_soon(player.run)
        await api("POST", APPS, deployment())
        lws = {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "metadata": {"name": "l"},
            "spec": {"leaderWorkerTemplate": {"workerTemplate": {}}},
        }
        sets = "/apis/leaderworkerset.x-k8s.io/v1/namespaces/demo/leaderworkersets"
        await api("POST", sets, lws)
        await anyio.sleep(1.5)
        assert "status" not in (await api.get(f"{APPS}/d")).body
        await anyio.sleep(1)
        for path in (f"{APPS}/d", f"{sets}/l"):
            conditions = (await api.get(path)).body["status"]["conditions"]
            assert ("Available", "True") in {(c["type"], c["status"]) for c in conditions}
        await api.merge(f"{APPS}/d", {"spec": {"replicas": 3}})
        await anyio.sleep(3)
        status = (await api.get(f"{APPS}/d")).body["status"]
        assert (status["observedGeneration"], status["availableReplicas"]) == (2, 3)
        before = api.cluster.store.revision
        await anyio.sleep(600)
        assert api.cluster.store.revision == before, (
            "the status of a LeaderWorkerSet has no observedGeneration"
        )
        group.cancel_scope.cancel()


@virtual_time
async def test_a_failing_workload_says_so() -> None:
    async with cluster() as api, anyio.create_task_group() as group:
        player = WorkloadPlayer(
            player_client(api.cluster),
            delay=0,
            stamp=api.cluster.core.clock.stamp,
            fails=lambda obj: obj["metadata"]["name"] == "d",
        )
        group.start_soon(player.run)
        await api("POST", APPS, deployment())
        await anyio.sleep(1)
        [available, _] = (await api.get(f"{APPS}/d")).body["status"]["conditions"]
        assert (available["type"], available["status"]) == ("Available", "False")
        group.cancel_scope.cancel()


@virtual_time
async def test_what_a_player_does_not_play_is_left_to_others() -> None:
    there = within(["elsewhere"])
    async with stage(plays=there) as (api, _), anyio.create_task_group() as group:
        stamp = api.cluster.core.clock.stamp
        player = WorkloadPlayer(player_client(api.cluster), delay=0, stamp=stamp, plays=there)
        group.start_soon(player.run)
        await pools_and_route(api)
        await api("POST", APPS, deployment())
        await anyio.sleep(10)
        for path in (f"{APPS}/d", f"{ROUTES}/r", f"{POOLS_V1}/p"):
            assert not (await api.get(path)).body.get("status", {}).get("conditions"), path
            assert not (await api.get(path)).body.get("status", {}).get("parents"), path
        ours = deployment()
        ours["metadata"] = {**ours["metadata"], "name": "ours", "labels": {BROUGHT: "true"}}
        await api("POST", APPS, ours)
        await anyio.sleep(10)
        assert (await api.get(f"{APPS}/ours")).body["status"]["conditions"]
        group.cancel_scope.cancel()


def test_a_player_within_namespaces_plays_there_and_on_what_was_brought() -> None:
    plays = within(["demo"])
    assert plays({"metadata": {"name": "a", "namespace": "demo"}})
    assert plays({"metadata": {"name": "a", "labels": {BROUGHT: "true"}}})
    assert not plays({"metadata": {"name": "a", "namespace": "prod"}})
    assert not plays({"metadata": {"name": "a"}})
    assert within(())({"metadata": {"name": "a"}})
