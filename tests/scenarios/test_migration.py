"""How traffic moves, and that it never moves back by itself."""

import anyio

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_V1, POOL_V1ALPHA2
from tests.scenarios.ground import Stage, on_both_servers, on_the_simulated_server
from tests.scenarios.scene import ACCEPTED_ONLY, GLOBAL_GATEWAY, INVALID_KIND, SVC, Scene, condition

NOT_ACCEPTED = [condition("Accepted", "False")]


@on_both_servers
async def test_scenario_01_a_new_service_gets_both_pools_and_a_route_on_v1alpha2(scene: Scene) -> None:
    await scene.created()
    service, route = await scene.service(), await scene.route()
    assert await scene.find(POOL_V1, scene.pool) is not None
    assert await scene.find(POOL_V1ALPHA2, scene.pool) is not None
    assert await scene.traffic() == (0, 100, None)
    (parent,) = route["spec"]["parentRefs"]
    assert (parent["namespace"], parent["name"]) == GLOBAL_GATEWAY
    (owner,) = route["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "LLMInferenceService",
        SVC,
        service["metadata"]["uid"],
        True,
    )


@on_both_servers
async def test_scenario_02_without_pool_status_the_route_is_not_written_again(scene: Scene) -> None:
    await scene.created()
    before = await scene.route()
    for number in range(5):
        await scene.touch(str(number))
        await scene.rest()
    assert await scene.route() == before


@on_both_servers
async def test_scenario_03_accepted_alone_moves_nothing(scene: Scene) -> None:
    await scene.created()
    await scene.pool_status(POOL_V1, ACCEPTED_ONLY)
    await scene.rest()
    assert await scene.traffic() == (0, 100, None)
    assert (await scene.condition("InferencePoolReady"))[0] == "True", "it speaks of acceptance alone"


@on_both_servers
async def test_scenario_04_a_ready_v1_pool_moves_weights_and_lock_in_one_write(scene: Scene) -> None:
    await scene.created()
    generation = (await scene.route())["metadata"]["generation"]
    await scene.pool_status(POOL_V1)
    await scene.until_traffic(100, 0, "v1")
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    assert (await scene.route())["metadata"]["generation"] == generation + 1
    assert await scene.copy_of_lock() == "v1"

    async def announced() -> bool:
        text = f"Traffic moved to v1 InferencePool {scene.namespace}/{scene.pool}"
        return (await scene.events()).count(("Normal", "InferencePoolMigrated", text)) == 1

    await scene.until(announced)


@on_both_servers
async def test_scenario_05_a_ready_v1alpha2_pool_makes_ready_but_moves_nothing(scene: Scene) -> None:
    await scene.created()
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    assert await scene.traffic() == (0, 100, None)


@on_both_servers
async def test_scenario_06_conditions_of_an_older_generation_do_not_count(scene: Scene) -> None:
    await scene.created()
    # A foreign label in the selector is a new generation; ours puts its own selector back, which is the next one.
    await scene.edit(POOL_V1, scene.pool, lambda pool: pool["spec"]["selector"]["matchLabels"].update(a="b"))
    await scene.rest()
    pool = await scene.find(POOL_V1, scene.pool)
    assert pool is not None
    assert pool["metadata"]["generation"] > 1
    stale = [condition(name, observedGeneration=1) for name in ("Accepted", "ResolvedRefs")]
    await scene.pool_status(POOL_V1, stale)
    await scene.rest()
    assert await scene.traffic() == (0, 100, None)
    current = [{**found, "observedGeneration": pool["metadata"]["generation"]} for found in stale]
    await scene.pool_status(POOL_V1, current)
    await scene.until_traffic(100, 0, "v1")


@on_the_simulated_server
async def test_scenario_07_a_pool_that_is_ready_before_the_route_needs_at_most_two_writes(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.created()
    await stage.stop()
    await scene.user.delete(kinds.HTTP_ROUTE, scene.namespace, scene.route_name)
    await scene.pool_status(POOL_V1)
    stage.writes.clear()
    await stage.start()
    await scene.until_traffic(100, 0, "v1")
    await scene.rest()
    assert len(stage.writes_of(kinds.HTTP_ROUTE)) <= 2


@on_both_servers
async def test_scenario_11_an_invalid_kind_keeps_traffic_on_a_v1alpha2_pool_that_works(scene: Scene) -> None:
    await scene.created()
    said = f'referencing unsupported backendRef: group "{kinds.POOL_GROUP_V1}" kind "InferencePool"'
    await scene.route_status([{**each, "message": said} for each in INVALID_KIND])
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.pool_status(POOL_V1)
    await scene.until_condition("InferencePoolMigration", "False", "GatewayRefusesV1")
    await scene.rest()
    assert await scene.traffic() == (0, 100, None)


@on_both_servers
async def test_scenario_12_a_gateway_that_knows_only_v1_migrates_in_spite_of_invalid_kind(
    scene: Scene,
) -> None:
    await scene.created()
    await scene.route_status(INVALID_KIND)
    await scene.pool_status(POOL_V1)
    await scene.until_traffic(100, 0, "v1")


@on_both_servers
async def test_a_gateway_upgraded_to_v1_only_moves_traffic_though_the_old_status_stands(scene: Scene) -> None:
    await scene.created()
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.pool_status(POOL_V1)
    await scene.route_status(INVALID_KIND)
    await scene.until_traffic(100, 0, "v1")


@on_both_servers
async def test_scenario_13_a_migrated_service_stays_when_its_v1_pool_turns_unready(scene: Scene) -> None:
    await scene.migrated()
    before = await scene.route()
    await scene.pool_status(POOL_V1, NOT_ACCEPTED)
    await scene.until_condition("InferencePoolReady", "False")
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    assert await scene.route() == before


@on_both_servers
async def test_scenario_14_a_deleted_v1_pool_comes_back_and_the_route_never_moves(scene: Scene) -> None:
    await scene.migrated()
    before, pool = await scene.route(), await scene.find(POOL_V1, scene.pool)
    assert pool is not None
    await scene.user.delete(POOL_V1, scene.namespace, scene.pool)

    async def is_back() -> bool:
        found = await scene.find(POOL_V1, scene.pool)
        return found is not None and found["metadata"]["uid"] != pool["metadata"]["uid"]

    await scene.until(is_back)
    await scene.rest()
    assert await scene.route() == before


@on_both_servers
async def test_scenario_16_edited_weights_of_a_migrated_route_are_put_back(scene: Scene) -> None:
    await scene.migrated()
    for weights in ((50, 50), (30, None), (None, 70)):
        await scene.set_weights(*weights)
        await scene.until_traffic(100, 0, "v1")


@on_both_servers
async def test_scenario_17_edited_weights_of_an_unmigrated_route_are_put_back(scene: Scene) -> None:
    await scene.created()
    await scene.set_weights(100, 0)
    await scene.until_traffic(0, 100, None)


@on_both_servers
async def test_scenario_18_a_removed_lock_comes_back_without_a_second_announcement(scene: Scene) -> None:
    await scene.migrated()
    spec = (await scene.route())["spec"]
    await scene.annotate(names.MIGRATED, None, kind=kinds.HTTP_ROUTE, name=scene.route_name)
    await scene.until_traffic(100, 0, "v1")
    await scene.rest()
    assert (await scene.route())["spec"] == spec
    assert [reason for _, reason, _ in await scene.events()].count("InferencePoolMigrated") == 1


@on_both_servers
async def test_scenario_19_removing_both_copies_of_the_lock_is_the_manual_rollback(scene: Scene) -> None:
    await scene.migrated()
    await scene.pool_status(POOL_V1, NOT_ACCEPTED)
    await scene.until_condition("InferencePoolReady", "False")
    await scene.rest()
    await remove_both_locks(scene)
    await scene.until_traffic(0, 100, None)
    await scene.rest()
    assert await scene.traffic() == (0, 100, None)
    assert await scene.copy_of_lock() is None


async def remove_both_locks(scene: Scene) -> None:
    """Until both are gone and stay so: a controller that still sees one copy writes the other again, and hears of them in any order."""
    no_copy = {"status": {"annotations": {names.MIGRATED: None}}}

    async def gone() -> bool:
        for _ in range(10):
            await scene.user.patch(kinds.SERVICE, scene.namespace, SVC, no_copy, subresource="status")
            await scene.annotate(names.MIGRATED, None, kind=kinds.HTTP_ROUTE, name=scene.route_name)
            await anyio.sleep(0.1)
        await scene.rest()
        return (await scene.traffic())[2] is None and await scene.copy_of_lock() is None

    await scene.until(gone)


@on_both_servers
async def test_scenario_20_a_deleted_route_comes_back_migrated(scene: Scene) -> None:
    await scene.migrated()
    await scene.pool_status(POOL_V1, NOT_ACCEPTED)
    await scene.until_condition("InferencePoolReady", "False")
    await scene.user.delete(kinds.HTTP_ROUTE, scene.namespace, scene.route_name)
    await scene.until_traffic(100, 0, "v1")
    await scene.rest()
    assert (await scene.route())["metadata"]["generation"] == 1


@on_both_servers
async def test_scenario_21_the_other_spelling_of_the_lock_counts_and_stays(scene: Scene) -> None:
    await scene.created()
    key = names.MIGRATED_MERGED_SPELLING
    await scene.annotate(key, "v1", kind=kinds.HTTP_ROUTE, name=scene.route_name)
    await scene.until_traffic(100, 0, "v1")
    assert (await scene.route())["metadata"]["annotations"][key] == "v1"
