"""One pool generation alone, and one that comes later."""

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import POOL_V1, POOL_V1ALPHA2
from aioctl.api.objects import dig
from aioctl.sim.facts import ABSENT_BY_DEFAULT
from tests.scenarios.ground import Stage, on_the_simulated_server, simulated
from tests.scenarios.scene import Scene

NO_V1 = ABSENT_BY_DEFAULT | {POOL_V1.resource}
ONLY_V1 = ABSENT_BY_DEFAULT | {POOL_V1ALPHA2.resource, kinds.MODEL.resource}
DISCOVERED = 60.0
"""Seconds within which a CRD is noticed (MIG-3)."""


async def groups(scene: Scene) -> set[str]:
    """The pool groups that the route names."""
    refs = [ref for rule in (await scene.route())["spec"]["rules"] for ref in rule["backendRefs"]]
    return {ref["group"] for ref in refs if ref["kind"] == "InferencePool"}


@simulated(absent=NO_V1)
async def test_scenario_08_with_only_the_v1alpha2_crd_the_service_is_ready_through_it(stage: Stage) -> None:
    scene = stage.scene
    await scene.created()
    assert await scene.traffic() == (0, 100, None)
    assert await groups(scene) == {POOL_V1ALPHA2.group}
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    assert await scene.traffic() == (0, 100, None)
    assert [event for event in await scene.events() if event[0] == "Warning"] == []


@simulated(absent=ONLY_V1)
async def test_scenario_09_with_only_the_v1_crd_traffic_is_on_v1_from_the_start(stage: Stage) -> None:
    scene = stage.scene
    await scene.created()
    assert await scene.traffic() == (100, 0, "v1")
    assert await groups(scene) == {POOL_V1.group}
    picker = await scene.find(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    # The picker reads the v1 pool where nothing else is said.
    container = dig(picker, "spec", "template", "spec")["containers"][0]
    assert not [arg for arg in (*container["command"], *container["args"]) if "pool-group" in arg]
    assert [event for event in await scene.events() if event[0] == "Warning"] == []


@simulated(absent=NO_V1)
async def test_scenario_10_a_v1_crd_that_is_installed_later_is_noticed_and_traffic_moves(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.created()
    await stage.cluster.install(POOL_V1.resource)
    scene.patience = DISCOVERED
    await scene.until(lambda: scene.find(POOL_V1, scene.pool))
    await scene.pool_status(POOL_V1)
    await scene.until_traffic(100, 0, "v1")


@on_the_simulated_server
async def test_a_crd_that_goes_and_comes_back_brings_its_pool_back_and_the_lock_stays(stage: Stage) -> None:
    scene = stage.scene
    await scene.migrated()
    await stage.cluster.uninstall(POOL_V1.resource)
    await anyio.sleep(2 * DISCOVERED)
    assert await scene.traffic() == (100, 0, "v1")
    await stage.cluster.install(POOL_V1.resource)
    await scene.until(lambda: scene.find(POOL_V1, scene.pool))
    await scene.rest()
    assert await scene.traffic() == (100, 0, "v1")
