"""Every line of a reconcile says of which service and of which run it is: a failed write among them."""

from uuid import UUID

import anyio

from aioctl.api import kinds
from aioctl.sim.errors import internal
from aioctl.sim.faults import Match
from testbed.logs import full_logs
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service


@virtual_time
async def test_a_failed_write_is_logged_with_its_service_and_run() -> None:
    async with furnished() as stage:
        with full_logs() as lines:
            async with stage.running(stage.controller()):
                deployments = Match(verb="create", resource="deployments", client="aioctl/")
                stage.cluster.faults.fail(deployments, internal("the disk is full"), times=4)
                for name in ("one", "two"):
                    await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name))
                await anyio.sleep(1)
    calls = [line for line in lines if line["event"] == "API call failed" and line["status"] == "500"]
    assert len(calls) == 4
    assert {line["service"] for line in calls} == {f"{NAMESPACE}/one", f"{NAMESPACE}/two"}
    assert all("the disk is full" in line["error"] for line in calls)
    runs = {(line["service"], line["reconcileID"]) for line in calls}
    assert len({UUID(run) for _, run in runs}) == 4, "each run has an id of its own"
    failed = [line for line in lines if line["event"] == "reconcile failed"]
    assert {(line["service"], line["reconcileID"]) for line in failed} == runs
    written = [line for line in lines if line["event"] == "written"]
    assert {"Deployment", "Service"} <= {line["kind"] for line in written}
    assert all(line["service"] and UUID(line["reconcileID"]) for line in written)
