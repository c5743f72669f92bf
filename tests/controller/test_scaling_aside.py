"""What keeps an autoscaler from being made keeps nothing else, and nothing of the router keeps an autoscaler (SCALE-2)."""

from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.sim.errors import invalid
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

HPA: dict[str, Any] = {"maxReplicas": 3, "wva": {"hpa": {}}}
ROUTER: dict[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}
SCALER = "one-kserve-hpa"


def refuse(stage: World, kind: Kind) -> None:
    """No object of the kind can be made any more, as where a webhook says no."""
    made = Match(verb="create", resource=kind.resource, client="aioctl")
    stage.cluster.faults.fail(made, invalid(kind.kind, kind.group, "any", []), times=0)


async def told(stage: World) -> list[str]:
    await anyio.sleep(5)  # the recorder sends what it holds every now and then
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    found = [msgspec.json.decode(item) for page in pages for item in page.items]
    return sorted(event["note"] for event in found if event["reason"] == "Error")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (kinds.SERVICE_ACCOUNT, ("SchedulerWorkloadReady", "False", "SchedulerReconcileError")),
        (kinds.HTTP_ROUTE, ("HTTPRoutesReady", "False", "HTTPRouteReconcileError")),
    ],
)
@virtual_time
async def test_what_is_refused_of_the_router_keeps_no_autoscaler_from_being_made(
    kind: Kind, said: tuple[str, str, str]
) -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        refuse(stage, kind)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(scaling=HPA, router=ROUTER))
        await anyio.sleep(30)
        service = await stage.find(kinds.SERVICE, "one")
        assert (said[0], *condition(service, said[0])[:2]) == said
        assert await stage.find(kinds.AUTOSCALER, SCALER) is not None
        assert condition(service, "ScalingReady")[2] == "HPA conditions not yet available"


@virtual_time
async def test_an_autoscaler_that_is_refused_keeps_no_route_from_being_made() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        refuse(stage, kinds.AUTOSCALER)
        both = plain_service(scaling=HPA, router=ROUTER, prefill={"scaling": HPA})
        await stage.user.create(kinds.SERVICE, NAMESPACE, both)
        await anyio.sleep(30)
        service = await stage.find(kinds.SERVICE, "one")
        assert condition(service, "MainWorkloadReady")[:2] == ("False", "ReconcileScalingError")
        assert condition(service, "ScalingReady") == ("", "", "")
        assert await stage.find(kinds.HTTP_ROUTE, "one-kserve-route") is not None
        (note,) = await told(stage)
        assert "failed to reconcile main workload scaling: failed to reconcile main actuator: " in note


@virtual_time
async def test_where_both_fail_both_are_said() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        refuse(stage, kinds.AUTOSCALER)
        nowhere = {**ROUTER, "gateway": {"refs": [{"name": "gone", "namespace": NAMESPACE}]}}
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(scaling=HPA, router=nowhere))
        await anyio.sleep(30)
        service = await stage.find(kinds.SERVICE, "one")
        assert condition(service, "MainWorkloadReady")[:2] == ("False", "ReconcileScalingError")
        assert condition(service, "GatewaysReady")[:2] == ("False", "RefsInvalid")
        assert condition(service, "RouterReady")[:2] == ("False", "RefsInvalid")
        scaling, router = sorted(await told(stage), key=lambda note: "networking" in note)
        assert "failed to reconcile scaling: " in scaling
        assert router.endswith(f"Gateway {NAMESPACE}/gone does not exist")


@virtual_time
async def test_an_autoscaler_whose_turn_never_came_is_not_called_missing() -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        refuse(stage, kinds.DEPLOYMENT)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(scaling=HPA, router=ROUTER))
        await anyio.sleep(30)
        service = await stage.find(kinds.SERVICE, "one")
        assert condition(service, "MainWorkloadReady")[:2] == ("False", "ReconcileSingleNodeWorkloadError")
        assert condition(service, "ScalingReady") == ("", "", "")
