"""External pools, no scheduler, routes of users, inline routes, several gateways."""

from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, POOL_V1, POOL_V1ALPHA2
from aioctl.api.objects import dig
from tests.scenarios.ground import on_both_servers
from tests.scenarios.scene import ACCEPTED, ROUTER, SVC, Scene, pool_ref

EXTERNAL = "my-pool"
EXTERNAL_ROUTER: dict[str, Any] = {
    "route": {},
    "gateway": {},
    "scheduler": {"pool": {"ref": {"name": EXTERNAL}}},
}
GATEWAY_GROUP = "gateway.networking.k8s.io"
USER_ROUTE = "mine"


async def external_pool(scene: Scene, kind: kinds.Kind) -> None:
    """A pool of somebody else, `my-pool`."""
    scene.pool = EXTERNAL
    picker = {"name": "their-epp"}
    spec: dict[str, Any] = (
        {
            "selector": {"matchLabels": {"app": "theirs"}},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {**picker, "port": {"number": 9002}},
        }
        if kind == POOL_V1
        else {"selector": {"app": "theirs"}, "targetPortNumber": 8000, "extensionRef": picker}
    )
    await scene.put(kind, EXTERNAL, spec)


async def user_route(scene: Scene, *, backend: str = "theirs") -> dict[str, Any]:
    """A route of the user's own, behind the gateway `own` of the namespace."""
    return await scene.put(
        kinds.HTTP_ROUTE,
        USER_ROUTE,
        {
            "parentRefs": [
                {"group": GATEWAY_GROUP, "kind": "Gateway", "name": "own", "namespace": scene.namespace}
            ],
            "rules": [{"backendRefs": [pool_ref(POOL_GROUP_V1ALPHA2, backend, weight=3)]}],
        },
    )


def references(*names_: str) -> dict[str, Any]:
    return {"route": {"http": {"refs": [{"name": name} for name in names_]}}, "scheduler": {}}


async def default_pools(scene: Scene) -> list[str]:
    """Names of the pools the controller made."""
    made = [obj for kind in (POOL_V1, POOL_V1ALPHA2) for obj in await scene.list(kind)]
    return [obj["metadata"]["name"] for obj in made if obj["metadata"]["name"] != EXTERNAL]


@on_both_servers
async def test_scenario_26_an_external_v1_pool_locks_whether_it_is_ready_or_not(scene: Scene) -> None:
    await external_pool(scene, POOL_V1)
    await scene.created(EXTERNAL_ROUTER)
    await scene.until_traffic(100, 0, "v1")
    assert (await scene.condition("InferencePoolReady"))[0] == "False"
    assert await default_pools(scene) == []
    assert await scene.find(kinds.DEPLOYMENT, "svc-kserve-router-scheduler") is None


@on_both_servers
async def test_scenario_27_an_external_pool_of_the_old_generation_only_keeps_the_traffic(
    scene: Scene,
) -> None:
    await external_pool(scene, POOL_V1ALPHA2)
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.created(EXTERNAL_ROUTER)
    await scene.until_condition("InferencePoolReady", "True")
    assert await scene.traffic() == (0, 100, None)
    assert await default_pools(scene) == []


@on_both_servers
async def test_scenario_28_an_external_pool_that_becomes_ready_wakes_the_service(scene: Scene) -> None:
    await external_pool(scene, POOL_V1)
    await scene.created(EXTERNAL_ROUTER)
    await scene.until_condition("InferencePoolReady", "False")
    await scene.pool_status(POOL_V1)
    await scene.until_condition("InferencePoolReady", "True")


@on_both_servers
async def test_scenario_28_also_a_pool_of_the_old_generation_that_no_managed_route_names(
    scene: Scene,
) -> None:
    await external_pool(scene, POOL_V1ALPHA2)
    await scene.created({"scheduler": EXTERNAL_ROUTER["scheduler"]})
    await scene.until_condition("InferencePoolReady", "False")
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")


@on_both_servers
async def test_scenario_29_without_a_scheduler_every_rule_points_at_the_workload(scene: Scene) -> None:
    await scene.created({"route": {}, "gateway": {}})
    rules = (await scene.route())["spec"]["rules"]
    refs = [ref for rule in rules for ref in rule["backendRefs"]]
    assert {(ref.get("group", ""), ref["kind"], ref["name"]) for ref in refs} == {
        ("", "Service", names.workload_service_name(SVC))
    }
    assert {
        (len(rule["backendRefs"]), *(ref["weight"] for ref in rule["backendRefs"])) for rule in rules
    } == {(1, 1)}
    assert await scene.condition("InferencePoolReady") == ("", "", ""), "there is no pool to wait for"
    assert await default_pools(scene) == []


@on_both_servers
async def test_scenario_30_a_referenced_route_is_never_touched(scene: Scene) -> None:
    await scene.gateway("own")
    before = await user_route(scene, backend=scene.pool)
    await scene.created(references(USER_ROUTE))
    await scene.pool_status(POOL_V1)
    await scene.rest()
    assert (await scene.condition("InferencePoolReady"))[0] == "False"  # a gateway the route does not hang on
    await scene.pool_status(POOL_V1, ACCEPTED, (scene.namespace, "own"))
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    assert await scene.find(kinds.HTTP_ROUTE, USER_ROUTE) == before
    assert await scene.find(kinds.HTTP_ROUTE, scene.route_name) is None
    assert await scene.copy_of_lock() is None


@on_both_servers
async def test_scenario_31_refs_and_back_again_keeps_the_lock(scene: Scene) -> None:
    await scene.migrated()
    await scene.gateway("own")
    await user_route(scene)
    await scene.set_router(references(USER_ROUTE))

    async def gone() -> bool:
        return await scene.find(kinds.HTTP_ROUTE, scene.route_name) is None

    await scene.until(gone)
    await scene.rest()
    await scene.set_router(ROUTER)
    await scene.until_traffic(100, 0, "v1")
    assert (await scene.route())["metadata"]["generation"] == 1


def inline(*refs: dict[str, Any], **more: Any) -> dict[str, Any]:
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": "/x"}}], "backendRefs": list(refs), **more}
    return {"route": {"http": {"spec": {"rules": [rule]}}}, "scheduler": {}}


@on_both_servers
async def test_scenario_32_a_single_inline_reference_becomes_one_to_each_generation_and_the_rest_is_kept(
    scene: Scene,
) -> None:
    timeouts = {"request": "30s", "backendRequest": "30s"}
    await scene.created(inline(pool_ref(POOL_GROUP_V1ALPHA2, scene.pool, weight=7), timeouts=timeouts))
    await scene.pool_status(POOL_V1)

    async def locked() -> bool:
        return bool(dig(await scene.route(), "metadata", "annotations", names.MIGRATED) == "v1")

    await scene.until(locked)
    await scene.rest()
    (rule,) = (await scene.route())["spec"]["rules"]
    assert rule["backendRefs"] == [
        pool_ref(POOL_GROUP_V1, scene.pool, weight=7),
        pool_ref(POOL_GROUP_V1ALPHA2, scene.pool, weight=0),
    ]
    assert rule["timeouts"] == timeouts


@on_both_servers
async def test_scenario_33_pools_of_others_keep_their_weights(scene: Scene) -> None:
    refs = [pool_ref(POOL_GROUP_V1, "blue", weight=80), pool_ref(POOL_GROUP_V1, "green", weight=20)]
    await scene.created(inline(*refs))
    await scene.pool_status(POOL_V1)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    (rule,) = (await scene.route())["spec"]["rules"]
    assert rule["backendRefs"] == refs


@on_both_servers
async def test_scenario_34_every_gateway_of_the_route_has_to_accept_the_v1_pool(scene: Scene) -> None:
    for name in ("a", "b"):
        await scene.gateway(name)
    await scene.created({**ROUTER, "gateway": {"refs": [{"name": "a"}, {"name": "b"}]}})
    await scene.pool_status(POOL_V1, ACCEPTED, (scene.namespace, "a"))
    await scene.rest()
    status, reason, message = await scene.condition("InferencePoolReady")
    assert (status, reason) == ("False", "WaitingForGateway")
    assert message.endswith(f"is not yet accepted by gateway {scene.namespace}/b")
    assert await scene.traffic() == (0, 100, None)
    await scene.pool_status(POOL_V1, ACCEPTED, (scene.namespace, "a"), (scene.namespace, "b"))
    await scene.until_traffic(100, 0, "v1")


@on_both_servers
async def test_scenario_35_a_gateway_that_leaves_the_refs_leaves_the_route(scene: Scene) -> None:
    for name in ("a", "b"):
        await scene.gateway(name)
    await scene.created({**ROUTER, "gateway": {"refs": [{"name": "a"}, {"name": "b"}]}})
    assert [ref["name"] for ref in (await scene.route())["spec"]["parentRefs"]] == ["a", "b"]
    await scene.set_router({**ROUTER, "gateway": {"refs": [{"name": "a"}]}})

    async def only_a() -> bool:
        parents = (await scene.route())["spec"]["parentRefs"]
        return [(ref.get("namespace"), ref["name"]) for ref in parents] == [(None, "a")]

    await scene.until(only_a)


@on_both_servers
async def test_scenario_36_a_missing_route_that_comes_replaces_refs_invalid_by_its_readiness(
    scene: Scene,
) -> None:
    await scene.gateway("own")
    await scene.created(references(USER_ROUTE))
    missing = f"HTTPRoute {scene.namespace}/{USER_ROUTE} does not exist"
    assert await scene.condition("HTTPRoutesReady") == ("False", "RefsInvalid", missing)
    await user_route(scene)
    await scene.until_condition("HTTPRoutesReady", "False", "HTTPRoutesNotReady")
    await scene.route_status(ACCEPTED, (scene.namespace, "own"), name=USER_ROUTE)
    await scene.until_condition("HTTPRoutesReady", "True")
