"""Failed reads, crashes, conflicts; nothing moves back, nothing doubles."""

from typing import Any

import anyio

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_V1, POOL_V1ALPHA2
from aioctl.sim.errors import conflict, invalid, plain_500
from aioctl.sim.faults import Match
from aioctl.sim.records import Record
from aioctl.sim.resources import Resource
from testbed.at_rest import At
from testbed.crashes import picture
from testbed.virtual_time import virtual_time
from tests.scenarios.ground import CONTROLLER, Stage, on_the_simulated_server, simulated, stage
from tests.scenarios.scene import SVC

CLIENT = CONTROLLER.client
BROKEN = plain_500("etcdserver: request timed out")
VOLATILE = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "lastTransitionTime",
)
"""What two runs never share."""


@on_the_simulated_server
async def test_scenario_15_failed_reads_of_the_v1_pool_leave_a_migrated_route_alone(stage: Stage) -> None:
    scene = stage.scene
    await scene.migrated()
    before = await scene.route()
    failing = stage.cluster.faults.fail(
        Match(resource="inferencepools.inference.networking.k8s.io", client=CLIENT), BROKEN, times=0
    )
    stage.cluster.faults.cut_watches(Match(resource="inferencepools.inference.networking.k8s.io"))
    for number in range(3):
        await scene.touch(str(number))
        await scene.rest()
    assert await scene.route() == before
    stage.cluster.faults.remove(failing)
    await scene.rest()
    assert await scene.route() == before


@on_the_simulated_server
async def test_scenario_15_a_new_process_that_cannot_list_pools_yet_leaves_the_route_alone(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.migrated()
    before = await scene.route()
    await stage.stop()
    stage.cluster.faults.fail(
        Match(verb="list", resource="inferencepools.inference.networking.k8s.io", client=CLIENT),
        BROKEN,
        times=3,
    )
    await stage.start()
    await scene.touch("after")
    await scene.rest()
    assert await scene.route() == before
    assert await scene.find(POOL_V1, scene.pool) is not None


async def end_state(killed_at: kinds.Kind | None) -> dict[str, Any]:
    """A service up to its migration; the controller is killed with the first write of that kind, and started again."""
    async with stage(started=False) as made:
        scene, killed = made.scene, anyio.Event()

        def kill(resource: Resource, record: Record, kind: str) -> None:
            if killed_at is not None and resource.title == killed_at.resource and not killed.is_set():
                killed.set()
                made.kill()

        made.cluster.observers.append(kill)
        await scene.create()
        await made.start()
        if killed_at is not None:
            await killed.wait()
            await made.restart()
        await scene.until(scene.service_has_status)
        await scene.rest()
        await scene.pool_status(POOL_V1)
        await scene.until_traffic(100, 0, "v1")
        await scene.rest()
        created = [change for change in made.writes if change[0] == "ADDED"]
        assert len(created) == len(set(created))
        notes = [note for _, _, note in await scene.events()]
        assert len(notes) == len(set(notes))
        return picture(made.world, apart_from=VOLATILE)


@virtual_time
async def test_scenario_22_killed_with_a_write_a_new_process_reaches_the_same_state() -> None:
    """All the other writes: tests/model/test_crash.py."""
    whole = await end_state(None)
    for kind in (POOL_V1ALPHA2, POOL_V1, kinds.HTTP_ROUTE):
        assert await end_state(kind) == whole, kind


@on_the_simulated_server
async def test_scenario_22_a_restart_repeats_no_event_of_a_write_that_was_done(stage: Stage) -> None:
    scene = stage.scene
    await scene.created()
    before = sorted(await scene.events())
    await stage.restart()
    await scene.rest()
    assert sorted(await scene.events()) == before


@on_the_simulated_server
async def test_scenario_23_killed_right_after_the_migration_write_only_the_status_catches_up(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.created()
    dead = anyio.Event()

    def crash() -> None:
        stage.kill()
        dead.set()

    stage.cluster.faults.crash_after(1, crash, client=CLIENT)
    await scene.pool_status(POOL_V1)
    with anyio.fail_after(10):
        await dead.wait()
    assert await scene.traffic() == (100, 0, "v1")
    assert await scene.copy_of_lock() is None
    stage.writes.clear()
    await stage.restart()

    async def caught_up() -> bool:
        return await scene.copy_of_lock() == "v1"

    await scene.until(caught_up)
    await scene.rest()
    assert {change[1:] for change in stage.writes} == {(kinds.SERVICE.resource, SVC)}


@on_the_simulated_server
async def test_scenario_24_a_service_deleted_before_its_migration_is_only_taken_down(stage: Stage) -> None:
    scene = stage.scene
    await scene.created()
    assert stage.cluster.peek_all(kinds.CLUSTER_ROLE_BINDING.resource)
    stage.cluster.faults.partition(CLIENT)
    await scene.pool_status(POOL_V1)
    await scene.user.delete(kinds.SERVICE, scene.namespace, SVC)
    stage.writes.clear()
    stage.cluster.faults.heal(CLIENT)

    async def gone() -> bool:
        return await scene.find(kinds.SERVICE, SVC) is None and not await scene.versions()

    await scene.until(gone)
    await scene.rest()
    assert set(stage.writes_of(kinds.HTTP_ROUTE)) == {"DELETED"}
    assert [
        binding["metadata"]["name"]
        for binding in stage.cluster.peek_all(kinds.CLUSTER_ROLE_BINDING.resource)
        if dict(binding["metadata"].get("labels") or {}).get(names.NAME) == SVC
    ] == []


@simulated()
async def test_scenario_40_a_failed_discovery_leaves_a_live_route_alone(stage: Stage) -> None:
    scene = stage.scene
    await stage.cluster.install(kinds.AUTH_POLICY.resource)
    await stage.restart()
    await scene.create(annotations={})
    await scene.until(scene.service_has_status)
    await scene.rest()
    before = await scene.route()
    failing = stage.cluster.faults.fail(
        Match(client=CLIENT, resource="/apis/kuadrant.io/v1"), BROKEN, times=0
    )
    await anyio.sleep(90)
    assert failing.hits > 0
    await scene.touch("while it fails")
    await scene.rest()
    assert await scene.route() == before
    await stage.restart()
    await scene.touch("a new process that cannot ask either")
    await scene.rest()
    assert await scene.route() == before
    stage.cluster.faults.remove(failing)
    await anyio.sleep(90)
    assert await scene.route() == before


@on_the_simulated_server
async def test_scenario_46_a_status_write_that_conflicts_is_repeated_and_nobody_hears_of_it(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.created()
    failing = stage.cluster.faults.fail(
        Match(verb="update", resource="llminferenceservices/status", client=CLIENT),
        conflict(kinds.SERVICE.resource, kinds.GROUP, SVC),
    )
    await scene.pool_status(POOL_V1ALPHA2)
    await scene.until_condition("InferencePoolReady", "True")
    await scene.rest()
    assert failing.hits == 1
    assert [event for event in await scene.events() if event[0] == "Warning"] == []


@on_the_simulated_server
async def test_a_failed_reconcile_is_told_though_its_status_cannot_be_written(stage: Stage) -> None:
    scene = stage.scene
    stage.cluster.faults.fail(
        Match(verb="update", resource="llminferenceservices/status", client=CLIENT), BROKEN, times=0
    )
    await scene.create({"route": {"http": {"refs": [{"name": "nowhere"}]}}})
    told = (
        "Warning",
        "Error",
        f"Reconciliation failed: failed to reconcile networking: HTTPRoute {scene.namespace}/nowhere does not exist",
    )

    async def is_told() -> bool:
        return told in await scene.events()

    await scene.until(is_told)
    assert await scene.condition("HTTPRoutesReady") == ("", "", "")


@on_the_simulated_server
async def test_a_pool_that_is_refused_again_and_again_is_tried_with_growing_pauses(stage: Stage) -> None:
    scene = stage.scene
    refusal = Match(verb="create", resource=POOL_V1.resource, client=CLIENT)
    failing = stage.cluster.faults.fail(
        refusal, invalid("InferencePool", POOL_V1.group, scene.pool, []), times=0
    )
    await scene.create()
    await scene.until_condition("RouterReady", "False")
    stage.writes.clear()
    await anyio.sleep(120)
    assert failing.hits < 25
    assert len(stage.writes_of(kinds.SERVICE)) <= 1


@on_the_simulated_server
async def test_a_new_process_that_cannot_discover_pools_deletes_nothing_and_moves_nothing(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.migrated()
    before = await scene.versions()
    await stage.stop()
    failing = [
        stage.cluster.faults.fail(Match(client=CLIENT, resource=f"/apis/{kind.api_version}"), BROKEN, times=0)
        for kind in (POOL_V1, kinds.POOL_V1ALPHA2)
    ]
    await stage.start()
    await anyio.sleep(90)
    assert all(fault.hits > 0 for fault in failing)
    touched = await scene.touch("while it fails")
    after = await scene.rest()
    assert await scene.traffic() == (100, 0, "v1")
    # Of all that stands only the touched service differs.
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == {At(kinds.SERVICE.resource, scene.namespace, touched["metadata"]["name"])}
    for fault in failing:
        stage.cluster.faults.remove(fault)
    await anyio.sleep(90)
    assert await scene.rest() == after
