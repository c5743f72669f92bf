"""Never Ready while no request can be served, whoever else has accepted what; and the route comes after its pools (ROUTE-8)."""

from typing import Any

import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import POOL_V1, POOL_V1ALPHA2, Kind
from tests.scenarios.ground import Stage, on_both_servers, on_the_simulated_server
from tests.scenarios.scene import ACCEPTED, ROUTER, Scene, condition

CHILDREN = (kinds.HTTP_ROUTE, POOL_V1, POOL_V1ALPHA2)


@on_both_servers
async def test_the_route_is_created_after_both_pools_it_names(scene: Scene) -> None:
    """In the API server's own order: an etcd gives resourceVersions in the order of the writes, of all kinds together."""
    before = [await _version(scene, kind) for kind in CHILDREN]
    await scene.created()
    route, *pools = [
        await _created(scene, kind, version) for kind, version in zip(CHILDREN, before, strict=True)
    ]
    assert route > max(pools)


async def _version(scene: Scene, kind: Kind) -> str:
    """That of the list as it is now."""
    async for page in scene.user.list_pages(kind, namespace=scene.namespace):
        assert page.items == []
        return page.resource_version
    raise AssertionError("no page")


async def _created(scene: Scene, kind: Kind, since: str) -> int:
    """The version with which the first object of the kind came."""
    async with scene.user.watch(kind, namespace=scene.namespace, resource_version=since) as events:
        async for event in events:
            if event.type == "ADDED":
                return int(msgspec.json.decode(event.object)["metadata"]["resourceVersion"])
    raise AssertionError(f"nobody made {kind.resource}")


@on_both_servers
async def test_rules_with_timeouts_only_never_make_a_ready_service(scene: Scene) -> None:
    rules = [{"timeouts": {"request": "10s"}}]
    await scene.created({**ROUTER, "route": {"http": {"spec": {"rules": rules}}}})
    await scene.pool_status(POOL_V1)
    await scene.route_status(ACCEPTED)
    await scene.rest()
    status, reason, message = await scene.condition("HTTPRoutesReady")
    assert (status, reason) == ("False", "HTTPRoutesNotReady")
    assert "rule 0 sends traffic nowhere: it has no backendRefs; give it some in " in message
    assert (await scene.condition("RouterReady"))[0] == "False"
    await scene.set_router(ROUTER)

    async def default_rules() -> bool:
        return any(rule.get("name") == "v1-catch-all-path" for rule in (await scene.route())["spec"]["rules"])

    await scene.until(default_rules)
    await scene.until_traffic(100, 0, "v1")
    await scene.route_status(ACCEPTED)
    await scene.until_condition("HTTPRoutesReady", "True")


@on_both_servers
async def test_what_another_gateway_left_behind_changes_nothing_and_is_not_named(scene: Scene) -> None:
    await scene.migrated()
    left = [condition("Accepted", "False", "NoMatchingParent")]
    await scene.route_status(ACCEPTED)
    await scene.until_condition("HTTPRoutesReady", "True")
    await _left_behind(scene, left)
    await scene.rest()
    assert (await scene.condition("HTTPRoutesReady"))[0] == "True"
    await scene.route_status(left)
    await _left_behind(scene, left)
    await scene.until_condition("HTTPRoutesReady", "False")
    message = (await scene.condition("HTTPRoutesReady"))[2]
    assert (
        "from Gateway kserve/kserve-ingress-gateway (istio.io/gateway-controller) of generation " in message
    )
    assert "retired" not in message


async def _left_behind(scene: Scene, conditions: list[dict[str, Any]]) -> None:
    """An entry of a gateway that the route does not name, before those that are there."""
    parents = (await scene.route())["status"]["parents"]
    entry = {
        "parentRef": {**parents[0]["parentRef"], "name": "retired"},
        "controllerName": "old.example.org/gateway",
        "conditions": conditions,
    }
    await scene.user.patch(
        kinds.HTTP_ROUTE,
        scene.namespace,
        scene.route_name,
        {"status": {"parents": [entry, *parents]}},
        subresource="status",
    )


@on_both_servers
async def test_a_gateway_that_refuses_what_carries_the_traffic_takes_ready_away(scene: Scene) -> None:
    await scene.migrated()
    await scene.route_status(ACCEPTED)
    await scene.until_condition("HTTPRoutesReady", "True")
    said = 'referencing unsupported backendRef: group "inference.networking.k8s.io" kind "InferencePool"'
    refusal = condition("ResolvedRefs", "False", "InvalidKind", message=said)
    await scene.route_status([condition("Accepted"), refusal])
    await scene.until_condition("HTTPRoutesReady", "False", "HTTPRoutesNotReady")
    assert await scene.traffic() == (100, 0, "v1")


@on_the_simulated_server
async def test_while_the_v1_pool_waits_for_its_turn_so_does_the_route_and_nothing_else(stage: Stage) -> None:
    scene = stage.scene
    await scene.create()
    await scene.until(lambda: scene.find(kinds.HTTP_ROUTE, scene.route_name))
    made = [(title, name) for type_, title, name in stage.writes if type_ == "ADDED"]
    route = made.index((kinds.HTTP_ROUTE.resource, scene.route_name))
    assert (
        route > made.index((POOL_V1.resource, scene.pool)) > made.index((POOL_V1ALPHA2.resource, scene.pool))
    )
    await scene.rest()
    assert stage.writes_of(kinds.HTTP_ROUTE)[:1] == ["ADDED"]
