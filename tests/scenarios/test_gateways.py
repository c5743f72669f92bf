"""Services on gateways that do as real ones were measured to do, and on one that is upgraded under them (MIG-7, MIG-8,
MIG-12, MIG-14, POOL-7)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.encoding import to_json
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind
from aioctl.api.objects import dig, sequence
from aioctl.controller.knobs import Knobs
from aioctl.controller.traffic import AGAIN, TRIES, Send
from aioctl.plan.policy import Policy, Probe, Strategy
from aioctl.sim.facts import ABSENT_BY_DEFAULT
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.sampling import sampled
from testbed.virtual_time import VirtualClock, virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

ROUTE = "one-kserve-route"
PROBE = "one-aioctl-probe"
UNKNOWN_CLASS = {"spec": {"controllerName": "example.com/gateway"}}
"""Of no implementation of which anything is known before it says it."""
PATIENCE = 200.0
"""Virtual seconds in which everything has settled: the question is put after a minute."""


@asynccontextmanager
async def played(
    behaviour: str,
    strategy: Strategy,
    *,
    patience: float = PATIENCE,
    send: Send | None = None,
    **options: Any,
) -> AsyncIterator[tuple[World, GatewayPlayer]]:
    """A service on a gateway of that behaviour, everything settled. `send`: gateways are asked with requests, which it answers."""
    async with furnished(**options) as stage, anyio.create_task_group() as group:
        # One time for both: the question is put by the age of the route, which the API server stamped.
        stage.clock = VirtualClock(stage.cluster.core.clock.now() - timedelta(seconds=anyio.current_time()))
        stamp = stage.cluster.core.clock.stamp
        client = player_client(stage.cluster)
        await stage.user.patch(kinds.GATEWAY_CLASS, "", "istio", UNKNOWN_CLASS)
        script = GatewayScript(BEHAVIOURS[behaviour], controller="example.com/gateway")
        gateways = GatewayPlayer(client, stamp=stamp, default=script, accepts_unreferenced=False)
        group.start_soon(gateways.run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        probe = Probe.STATUS if send is None else Probe.TRAFFIC
        policy = Policy(auth_disabled=True, strategy=strategy, probe=probe)
        parts: dict[str, Any] = {} if send is None else {"send": send}
        controller = stage.controller(policy=policy, knobs=Knobs(), **parts)
        async with stage.running(controller):
            router: dict[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(router=router))
            await anyio.sleep(patience)
            yield stage, gateways
        group.cancel_scope.cancel()


async def carried(stage: World) -> tuple[set[str], bool]:
    """The generations that the route's traffic goes to, and whether it is locked."""
    route = await stage.find(kinds.HTTP_ROUTE, ROUTE)
    groups = {
        ref["group"]
        for rule in sequence(route, "spec", "rules")
        for ref in sequence(rule, "backendRefs")
        if ref["kind"] == "InferencePool" and ref.get("weight") != 0
    }
    return groups, (dig(route, "metadata", "annotations") or {}).get(names.MIGRATED) == "v1"


async def is_ready(stage: World) -> bool:
    return condition(await stage.find(kinds.SERVICE, "one"), "HTTPRoutesReady")[0] == "True"


@pytest.mark.parametrize(
    ("behaviour", "ends", "ready"),
    [
        ("istio", POOL_GROUP_V1, True),
        ("istio-agentgateway", POOL_GROUP_V1, True),
        ("both", POOL_GROUP_V1, True),
        ("silent", POOL_GROUP_V1, True),
        ("v1alpha2-only", POOL_GROUP_V1ALPHA2, True),
        ("istio-disabled", POOL_GROUP_V1ALPHA2, False),
        ("envoy-gateway-plain", POOL_GROUP_V1ALPHA2, False),
        ("envoy-gateway-ai-v1", POOL_GROUP_V1, True),
    ],
)
def test_under_auto_the_end_is_v1_wherever_it_is_served(behaviour: str, ends: str, *, ready: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with played(behaviour, Strategy.AUTO) as (stage, _):
            assert await carried(stage) == ({ends}, ends == POOL_GROUP_V1)
            assert await is_ready(stage) is ready
            found: Any = condition(await stage.find(kinds.SERVICE, "one"), "InferencePoolMigration")
            assert found[1] == ("" if ready else "GatewayServesNoPool")
            asked = await stage.find(kinds.HTTP_ROUTE, PROBE)
            assert (asked is not None) == (ends != POOL_GROUP_V1), "the question goes with the move"
            assert await stage.find(kinds.HTTP_ROUTE, f"{PROBE}-mixed") is None, "so does that about both"

    run()


@pytest.mark.parametrize(("behaviour", "by_weight"), [("istio-agentgateway", True), ("istio", False)])
def test_a_gateway_that_takes_both_says_so_when_it_is_asked_and_traffic_moves_by_weight(
    behaviour: str, *, by_weight: bool
) -> None:
    @virtual_time
    async def run() -> None:
        async with played(behaviour, Strategy.AUTO, patience=1.0) as (stage, _):
            began = await _version(stage)
            await anyio.sleep(PATIENCE)
            written = [
                [(ref["group"], ref["weight"]) for ref in route["rules"][0]["backendRefs"]]
                for route in map(json.loads, await _history(stage, began))
            ]
            asked = [(POOL_GROUP_V1, 1), (POOL_GROUP_V1ALPHA2, 1)]
            steps = [
                [(POOL_GROUP_V1, 0), (POOL_GROUP_V1ALPHA2, 1)],
                [(POOL_GROUP_V1, 1), (POOL_GROUP_V1ALPHA2, 0)],
            ]
            assert (asked in written) is by_weight
            assert [refs for refs in steps if refs in written] == (steps if by_weight else [])
            assert await stage.find(kinds.HTTP_ROUTE, f"{PROBE}-mixed") is None

    run()


@pytest.mark.parametrize("strategy", [Strategy.AUTO, Strategy.WEIGHTED, Strategy.SWAP])
def test_a_gateway_upgraded_under_an_unmigrated_service_is_a_non_event(strategy: Strategy) -> None:
    @virtual_time
    async def run() -> None:
        async with played("v1alpha2-only", strategy) as (stage, gateways):
            if strategy is not Strategy.WEIGHTED:  # that gateway refuses a rule with both
                assert await carried(stage) == ({POOL_GROUP_V1ALPHA2}, False)
                assert await is_ready(stage)
            gateways.set_script(GatewayScript(BEHAVIOURS["istio"], controller="example.com/gateway"))
            await anyio.sleep(15)
            assert await carried(stage) == ({POOL_GROUP_V1}, True)
            assert await is_ready(stage)
            old = await stage.find(kinds.POOL_V1ALPHA2, "one-inference-pool")
            assert sequence(old, "status", "parent"), "what the old version said still stands"

    run()


def test_with_requests_a_gateway_that_resolves_v1_and_does_not_serve_it_gets_no_traffic_until_it_does() -> (
    None
):
    """It writes no status of pools, so nothing but its routes and requests is known of it."""
    served, asked = False, list[tuple[str, str]]()

    async def send(url: str, host: str) -> int:
        asked.append((url, host))
        await anyio.sleep(0.1)
        return 404 if served else 503

    @virtual_time
    async def run() -> None:
        nonlocal served
        async with played("silent", Strategy.AUTO, send=send) as (stage, _):
            assert await carried(stage) == ({POOL_GROUP_V1ALPHA2}, False)
            probe = await stage.find(kinds.HTTP_ROUTE, PROBE)
            (host,) = sequence(probe, "spec", "hostnames")
            assert asked == [("http://10.9.9.9:80/v1/models", host)] * TRIES
            served = True
            await anyio.sleep(AGAIN + 30)
            assert await carried(stage) == ({POOL_GROUP_V1}, True)
            assert await stage.find(kinds.HTTP_ROUTE, PROBE) is None
            assert len(asked) == TRIES + 1

    run()


def another(name: str, **metadata: Any) -> dict[str, Any]:
    router: dict[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}
    service = plain_service(name, router=router)
    service["metadata"].update(metadata)
    return service


@virtual_time
async def test_a_service_that_has_moved_says_what_the_next_gateway_serves_and_tells_others_no_lies() -> None:
    """Envoy Gateway names references by their place: refused are both, then the idle one to v1alpha2 alone."""
    async with played("both", Strategy.WEIGHTED) as (stage, gateways):
        assert await carried(stage) == ({POOL_GROUP_V1}, True)
        gateways.set_script(
            GatewayScript(BEHAVIOURS["envoy-gateway-plain"], controller="example.com/gateway")
        )
        await anyio.sleep(15)
        assert not await is_ready(stage), "the v1 pool's status is of the gateway before"
        gateways.set_script(
            GatewayScript(BEHAVIOURS["envoy-gateway-ai-v1"], controller="example.com/gateway")
        )
        await anyio.sleep(15)
        assert await is_ready(stage)
        await stage.user.create(kinds.SERVICE, NAMESPACE, another("two"))
        await anyio.sleep(PATIENCE)
        route = await stage.find(kinds.HTTP_ROUTE, "two-kserve-route")
        assert dig(route, "metadata", "annotations", names.MIGRATED) == "v1"
        found: Any = condition(await stage.find(kinds.SERVICE, "two"), "HTTPRoutesReady")
        assert found[0] == "True"


def test_a_new_service_on_a_gateway_that_serves_v1_alone_never_shows_it_v1alpha2() -> None:
    @virtual_time
    async def run() -> None:
        async with played("istio", Strategy.AUTO) as (stage, _):
            await stage.user.create(kinds.SERVICE, NAMESPACE, another("two"))
            await anyio.sleep(20)
            route = await stage.find(kinds.HTTP_ROUTE, "two-kserve-route")
            assert dig(route, "metadata", "generation") == 1, "it was written once"
            assert dig(route, "metadata", "annotations", names.MIGRATED) == "v1"
            groups = {
                ref["group"] for rule in sequence(route, "spec", "rules") for ref in rule["backendRefs"]
            }
            assert POOL_GROUP_V1ALPHA2 not in groups
            assert await stage.find(kinds.HTTP_ROUTE, "two-aioctl-probe") is None

    run()


def test_a_gateway_is_asked_once_for_all_its_services_and_all_move() -> None:
    @virtual_time
    async def run() -> None:
        fleet = [f"s{number:02}" for number in range(4)]
        async with played("v1alpha2-only", Strategy.AUTO) as (stage, gateways):
            for name in fleet:
                await stage.user.create(kinds.SERVICE, NAMESPACE, another(name))
            await anyio.sleep(PATIENCE)
            asking = [name for name in ("one", *fleet) if await _probe_of(stage, name) is not None]
            assert asking == ["one"], "it asked before the others were there, and is not answered yes"
            gateways.set_script(GatewayScript(BEHAVIOURS["both"], controller="example.com/gateway"))
            await anyio.sleep(30)
            for name in fleet:
                route = await stage.find(kinds.HTTP_ROUTE, f"{name}-kserve-route")
                assert dig(route, "metadata", "annotations", names.MIGRATED) == "v1"
            assert [name for name in ("one", *fleet) if await _probe_of(stage, name) is not None] == []

    run()


@pytest.mark.parametrize(
    ("behaviour", "strategy", "ends"),
    [
        ("istio-agentgateway", Strategy.HOLD, POOL_GROUP_V1ALPHA2),
        ("silent", Strategy.HOLD, POOL_GROUP_V1ALPHA2),
        ("silent", Strategy.WEIGHTED, POOL_GROUP_V1),
        ("silent", Strategy.AUTO, POOL_GROUP_V1),
    ],
)
def test_a_gateway_that_says_nothing_on_pools_is_believed_by_its_route(
    behaviour: str, strategy: Strategy, ends: str
) -> None:
    @virtual_time
    async def run() -> None:
        async with played(behaviour, strategy) as (stage, _):
            assert await carried(stage) == ({ends}, ends == POOL_GROUP_V1)
            service = await stage.find(kinds.SERVICE, "one")
            assert condition(service, "InferencePoolReady")[0] == "True"
            assert await is_ready(stage)

    run()


CRD_SETS: dict[str, tuple[set[str], set[str]]] = {
    "v1alpha2 alone": ({kinds.POOL_V1.resource}, {POOL_GROUP_V1}),
    "v1 alone": ({kinds.POOL_V1ALPHA2.resource, kinds.MODEL.resource}, {POOL_GROUP_V1ALPHA2}),
    "both": (set(), set()),
}
"""By name: the CRDs that are not there, and the groups of which nothing may be anywhere."""


@pytest.mark.parametrize("crds", sampled(CRD_SETS, every=len(CRD_SETS)))
def test_nothing_names_a_generation_that_the_cluster_does_not_have(crds: str) -> None:
    absent, forbidden = CRD_SETS[crds]

    @virtual_time
    async def run() -> None:
        async with played("both", Strategy.AUTO, absent=ABSENT_BY_DEFAULT | absent, patience=5.0) as (
            stage,
            _,
        ):
            began = await _version(stage)
            for strategy in Strategy:
                service = another(strategy.value, annotations={names.MIGRATION_STRATEGY: strategy.value})
                service["spec"]["prefill"] = {}
                await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await anyio.sleep(150)  # a gateway that writes statuses is waited for
            for strategy in Strategy:
                assert (
                    condition(await stage.find(kinds.SERVICE, strategy.value), "HTTPRoutesReady")[0] == "True"
                )
                route = await stage.find(kinds.HTTP_ROUTE, f"{strategy.value}-kserve-route")
                locked = dig(route, "metadata", "annotations", names.MIGRATED) == "v1"
                assert locked is (crds == "v1 alone" or (crds == "both" and strategy is not Strategy.HOLD))
            written = [*await _history(stage, began), *await _everything(stage, kinds.DEPLOYMENT)]
            sidecars = [text for text in written if "--pool-group" in text]
            assert len(sidecars) == len(Strategy)
            assert not [
                text for text in written for group in forbidden if f'"{group}"' in text or f"={group}" in text
            ]

    run()


async def _version(stage: World) -> str:
    async for page in stage.user.list_pages(kinds.HTTP_ROUTE, namespace=NAMESPACE):
        return page.resource_version
    raise AssertionError("no page")


async def _history(stage: World, since: str) -> list[str]:
    """Every version of every HTTPRoute, probes too, as text."""
    found: list[str] = []
    with anyio.move_on_after(1.0):
        async with stage.user.watch(kinds.HTTP_ROUTE, namespace=NAMESPACE, resource_version=since) as events:
            async for event in events:
                found += [to_json(dig(msgspec.json.decode(event.object), "spec")).decode()]
    assert found
    return found


async def _everything(stage: World, kind: Kind) -> list[str]:
    """The objects of a kind as text."""
    return [
        to_json(dig(msgspec.json.decode(item), "spec")).decode()
        async for page in stage.user.list_pages(kind, namespace=NAMESPACE)
        for item in page.items
    ]


async def _probe_of(stage: World, name: str) -> Any:
    return await stage.find(kinds.HTTP_ROUTE, f"{name}-aioctl-probe")
