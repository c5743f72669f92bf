"""Requests are counted where a gateway would have lost them."""

import anyio
import pytest

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey
from aioctl.sim.dataplane import DataPlane, ServiceReport
from testbed.virtual_time import virtual_time
from tests.sim.driver import Driver, Object, cluster
from tests.sim.test_crud import POOLS_OLD, POOLS_V1, ROUTES, pool_old, pool_v1
from tests.sim.test_players import GLOBAL, route

V1, OLD = POOL_GROUP_V1, POOL_GROUP_V1ALPHA2


def _parents(*, ready: bool, generation: int = 1) -> list[Object]:
    conditions = [
        {
            "type": kind,
            "status": "True" if ready else "False",
            "reason": kind,
            "message": "",
            "observedGeneration": generation,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return [{"parentRef": GLOBAL, "conditions": conditions}]


async def pools(api: Driver) -> None:
    await api("POST", POOLS_V1, pool_v1())
    await api("POST", POOLS_OLD, pool_old())


async def ready(api: Driver, group: str, *, on: bool = True) -> None:
    path, field = (POOLS_V1, "parents") if group == V1 else (POOLS_OLD, "parent")
    answer = await api.merge(f"{path}/p/status", {"status": {field: _parents(ready=on)}})
    assert answer.status == 200, answer.message


async def weigh(api: Driver, v1: int, old: int) -> None:
    rules = route((V1, v1), (OLD, old))["spec"]["rules"]
    assert (await api.merge(f"{ROUTES}/r", {"spec": {"rules": rules}})).status == 200


def report(plane: DataPlane) -> ServiceReport:
    plane.settle()
    return plane.reports[ObjectKey("demo", "svc")]


@virtual_time
async def test_a_clean_migration_loses_nothing() -> None:
    async with cluster() as api:
        plane = DataPlane(api.cluster, requests_per_second=10)
        await pools(api)
        await api("POST", ROUTES, route((V1, 0), (OLD, 100)))
        await anyio.sleep(1)
        await ready(api, OLD)
        await anyio.sleep(1)
        await ready(api, V1)
        await anyio.sleep(1)
        await weigh(api, 100, 0)
        await anyio.sleep(1)
        found = report(plane)
        assert found.served == pytest.approx(30)
        assert (found.lost_for_nothing, found.lost, found.lost_samples, found.bad_moves) == (0, 0, 0, [])
        assert found.first_success == 1


@virtual_time
async def test_a_move_to_a_pool_that_cannot_serve_is_caught() -> None:
    async with cluster() as api:
        plane = DataPlane(api.cluster, requests_per_second=10)
        await pools(api)
        await api("POST", ROUTES, route((V1, 0), (OLD, 100)))
        await ready(api, OLD)
        await weigh(api, 50, 50)
        await anyio.sleep(2)
        found = report(plane)
        assert found.lost_for_nothing == pytest.approx(10)
        assert found.served == pytest.approx(10)
        assert found.bad_moves == ["demo/svc: rule 0: v1alpha2 pool p can serve, weight moved to v1 pool p"]
        await ready(api, V1)
        await anyio.sleep(2)
        assert report(plane).lost_for_nothing == pytest.approx(10)


@virtual_time
async def test_a_single_reference_that_changes_its_group_is_judged_like_weights() -> None:
    async with cluster() as api:
        plane = DataPlane(api.cluster)
        await pools(api)
        await api("POST", ROUTES, route((OLD, 1)))
        await ready(api, OLD)
        rules = route((V1, 1))["spec"]["rules"]
        await api.merge(f"{ROUTES}/r", {"spec": {"rules": rules}})
        assert len(plane.bad_moves) == 1


@virtual_time
async def test_nothing_counts_before_the_first_success() -> None:
    async with cluster() as api:
        plane = DataPlane(api.cluster)
        await pools(api)
        await ready(api, V1)
        await api("POST", ROUTES, route((V1, 0), (OLD, 100)))
        await anyio.sleep(5)
        found = report(plane)
        assert (found.first_success, found.lost_for_nothing, found.lost_samples) == (None, 0, 0)


@virtual_time
async def test_a_stale_acceptance_does_not_serve() -> None:
    async with cluster() as api:
        plane = DataPlane(api.cluster, requests_per_second=10)
        await pools(api)
        await api("POST", ROUTES, route((V1, 100), (OLD, 0)))
        for group in (V1, OLD):
            await ready(api, group)
        await api.merge(f"{POOLS_V1}/p", {"spec": {"selector": {"matchLabels": {"c": "d"}}}})
        await anyio.sleep(1)
        assert report(plane).lost_for_nothing == pytest.approx(10)


@virtual_time
async def test_requests_nobody_could_have_served_are_a_loss_of_another_kind() -> None:
    async with cluster() as api:
        plane = DataPlane(api.cluster, requests_per_second=10)
        await pools(api)
        await api("POST", ROUTES, route((V1, 0), (OLD, 100)))
        await ready(api, OLD)
        await anyio.sleep(1)
        await ready(api, OLD, on=False)
        await anyio.sleep(1)
        found = report(plane)
        assert found.lost == pytest.approx(10)
        assert found.lost_for_nothing == 0


@virtual_time
async def test_the_report_is_served_beside_the_api() -> None:
    async with cluster() as api:
        DataPlane(api.cluster)
        await pools(api)
        await api("POST", ROUTES, route((V1, 0), (OLD, 100)))
        await ready(api, OLD)
        await weigh(api, 100, 0)
        shown = (await api.get("/sim/dataplane")).body
        assert (shown["services"], shown["serving"]) == (1, 1)
        assert shown["total"]["lost_samples"] == 1
        assert list(shown["harmed"]) == ["demo/svc"]
