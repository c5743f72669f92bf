"""The progress view reads an ordinary metrics page over HTTP."""

import httpx
import pytest
import respx

from aioctl.api.kinds import ObjectKey
from aioctl.demo.progress import ProgressError, parse, read
from aioctl.histogram import quantile
from aioctl.metrics.page import Metrics
from aioctl.plan.migration import Decision, Reason, State

URL = "http://127.0.0.1:8080/metrics"


def page() -> str:
    """Needs a running loop: the age of what waits is counted by its clock."""
    metrics = Metrics()
    migrated = Decision(State.MIGRATED, locked=True, reason=Reason.LOCKED)
    initial = Decision(State.INITIAL, locked=False, reason=Reason.V1_POOL_MISSING)
    for number, decision in enumerate([migrated] * 3 + [initial] * 2):
        metrics.migration.observed(ObjectKey("n", f"s{number}"), decision, frozenset())
    for seconds in (0.002, 0.002, 0.02):
        metrics.webhook.reviewed("up", "success", seconds, 1)
    metrics.webhook.reviewed("down", "failure", 0.2, 1)
    metrics.queue.depth(7)
    return metrics.render().decode()


async def test_a_page_becomes_a_snapshot() -> None:
    found = parse(page())
    assert (found.services["Migrated"], found.services["Initial"], found.total) == (3, 2, 5)
    assert (found.conversions, found.conversion_failures, found.queue_depth) == (4, 1, 7)
    assert 0.001 < found.conversion_p50 <= 0.0025
    assert 0.1 < found.conversion_p99 <= 0.25


def test_a_fresh_page_has_every_state_at_zero() -> None:
    found = parse(Metrics().render().decode())
    assert set(found.services) == {"NoRoute", "Initial", "Shifting", "Migrated", "Held"}
    assert (found.total, found.conversions, found.conversion_p99) == (0, 0, 0.0)


def test_a_fresh_page_has_every_series_whose_labels_are_known() -> None:
    samples = {line.rpartition(" ")[0]: line for line in Metrics().render().decode().splitlines()}
    for cause in ("full", "refused", "failed"):
        assert f'aioctl_events_dropped_total{{cause="{cause}"}}' in samples
    for kind in (
        "InferencePool.v1.inference.networking.k8s.io",
        "InferencePool.v1alpha2.inference.networking.x-k8s.io",
        "AuthPolicy.v1.kuadrant.io",
    ):
        series = f'aioctl_kind_served{{kind="{kind}"}}'
        assert samples[series] == f"{series} -1.0"


@respx.mock
async def test_it_is_read_over_http() -> None:
    respx.get(URL).mock(return_value=httpx.Response(200, text=page()))
    async with httpx.AsyncClient() as client:
        assert (await read(client, URL)).total == 5


@respx.mock
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(503), "503"),
        (httpx.Response(200, text="{not metrics"), "is no metrics page"),
        (httpx.ConnectError("refused"), "refused"),
    ],
)
async def test_what_is_no_metrics_page_is_said_plainly(answer: httpx.Response | Exception, says: str) -> None:
    respx.get(URL).mock(side_effect=[answer])
    async with httpx.AsyncClient() as client:
        with pytest.raises(ProgressError, match=says):
            await read(client, URL)


@pytest.mark.parametrize(("q", "expected"), [(0.5, 1.0), (0.25, 0.5), (0.75, 1.5), (1.0, 2.0)])
def test_quantiles_are_linear_within_a_bucket(q: float, expected: float) -> None:
    assert quantile(q, [(1.0, 50.0), (2.0, 100.0), (float("inf"), 100.0)]) == pytest.approx(expected)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile(0.99, [(1.0, 10.0), (float("inf"), 100.0)]) == 1.0
