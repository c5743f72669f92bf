"""What a controller waits for comes when it is due, whatever happens to the clock of its machine."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.controller.knobs import Knobs
from aioctl.controller.service_state import Unsettled
from aioctl.kube.wire import Request, Response
from aioctl.metrics.shared import CONTROLLER
from aioctl.sim.memory import MemoryWire
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service

ROUTED: Any = {"route": {}, "gateway": {}, "scheduler": {}}


class Undated(MemoryWire):
    """Does not say what time it is for the server."""

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        return replace(await super().send(request, timeout=timeout), headers={})


def looks(world: World) -> float:
    labels = {"controller": CONTROLLER, "result": "requeue_after"}
    return world.metrics.registry.get_sample_value("controller_runtime_reconcile_total", labels) or 0.0


@pytest.mark.parametrize("hours", [-1, 24])
@virtual_time
async def test_a_clock_that_jumps_in_mid_wait_makes_nobody_look_without_pause(hours: int) -> None:
    """No gateway says a word, and each has some seconds for it from the creation of the pools on."""
    async with furnished() as world:
        wire = Undated(world.cluster, agent="aioctl/test")
        async with world.running(world.controller(wire=wire, knobs=Knobs(status_settle=10.0))):
            await world.user.create(kinds.SERVICE, NAMESPACE, plain_service(router=ROUTED))
            await anyio.sleep(3.0)
            before = looks(world)
            world.clock.off_by = timedelta(hours=hours)
            await anyio.sleep(60.0)
            assert before <= looks(world) < before + 30


def test_a_wait_that_is_shorter_than_any_clock_can_tell_is_over() -> None:
    """Else whoever has nothing to do looks again at once, and for ever where time stands still meanwhile: a soak hung on it."""
    ended = Unsettled({}, problem=False, unknown=False, wrote=False, again=5.0, at=14.000000027028648)
    assert ended.left(18.0) == pytest.approx(1.0)
    for now in (19.000000027028644, 19.000000027028648, 20.0):
        assert ended.left(now) == 0.0
