"""The figures of the operators' page are what came since they were last read, and nothing where nothing came."""

import anyio
import pytest

from aioctl.api.review import CONVERT
from aioctl.metrics.figures import Figures
from aioctl.metrics.page import Metrics
from aioctl.plan.migration import State
from testbed.virtual_time import VirtualClock, virtual_time

ADMISSION = "/validate-it"


@virtual_time
async def test_each_reading_tells_of_the_time_since_the_last() -> None:
    clock = VirtualClock()
    metrics = Metrics(webhook_paths=(CONVERT, ADMISSION), clock=clock)
    figures = Figures(metrics, clock)
    await anyio.sleep(2)
    assert figures.read(leads=False) == {
        "conversion_p50": None, "conversion_p99": None, "conversion_rate": 0.0,
        "admission_p50": None, "admission_p99": None, "admission_rate": 0.0,
        "loop_lag_p50": None, "loop_lag_p99": None,
        "conversions_in_flight": 0.0, "calls_waiting": 0.0, "bytes_in_flight": 0.0,
    }  # fmt: skip

    for _ in range(100):
        metrics.webhook.reviewed("up", "success", 0.002, 1)
        metrics.webhook.call_ended(ADMISSION, 200, 0.02, 10)
        metrics.webhook.call_started(CONVERT)
    metrics.webhook.line_changed(3, 4096)
    metrics.queue.depth(7)
    metrics.process.lagged(0.004)
    await anyio.sleep(4)
    told = figures.read(leads=True)
    assert 0.001 < (told["conversion_p50"] or 0) <= 0.0025
    assert 0.01 < (told["admission_p99"] or 0) <= 0.025
    assert (told["conversion_rate"], told["admission_rate"]) == (25.0, 25.0)
    assert (told["conversions_in_flight"], told["calls_waiting"], told["bytes_in_flight"]) == (100, 3, 4096)
    assert (told["queue_depth"], told["reconcile_rate"]) == (7, 0)
    assert told["loop_lag_p99"] == pytest.approx(0.005, abs=0.001)

    await anyio.sleep(2)
    told = figures.read(leads=True)
    assert (told["conversion_p50"], told["conversion_rate"], told["loop_lag_p99"]) == (None, 0.0, None)


@virtual_time
async def test_every_state_is_there_from_the_start() -> None:
    clock = VirtualClock()
    assert Figures(Metrics(clock=clock), clock).states() == {state.value: 0 for state in State}
