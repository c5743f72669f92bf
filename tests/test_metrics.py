"""What the observers count and log; gauges of a fleet's progress are what a count of all would give."""

import random
from collections import Counter
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from structlog.testing import capture_logs

from aioctl.api.kinds import POOL_V1, SERVICE, Kind, ObjectKey
from aioctl.engine.workers import Failed, ResultLabel, Run
from aioctl.metrics.page import Metrics
from aioctl.metrics.shared import exposed
from aioctl.pki.pairs import ParsedPair
from aioctl.plan.migration import Decision, Reason, State
from testbed.virtual_time import VirtualClock, virtual_time

GATEWAYS = ("a/one", "a/two", "b/one")


def shown(metrics: Metrics, family: str) -> Counter[tuple[str, ...]]:
    """The samples of a gauge by the values of its labels, zeros left out."""
    only = metrics.registry.restricted_registry([family])
    samples = [sample for found in only.collect() for sample in found.samples]
    return Counter({tuple(sample.labels.values()): int(sample.value) for sample in samples if sample.value})


@virtual_time
async def test_gauges_agree_with_a_count_of_all_services_at_every_moment() -> None:
    chance = random.Random(7)  # noqa: S311  a repeatable sequence, no secret
    metrics = Metrics(clock=VirtualClock())
    progress = metrics.migration
    fleet: dict[ObjectKey, tuple[State, Reason, frozenset[str]]] = {}
    for _ in range(400):
        key = ObjectKey("n", f"s{chance.randrange(12)}")
        if chance.random() < 0.25:
            fleet.pop(key, None)
            progress.gone(key)
        else:
            state, reason = chance.choice(list(State)), chance.choice(list(Reason))
            gateways = frozenset(chance.sample(GATEWAYS, chance.randrange(3)))
            fleet[key] = state, reason, gateways
            progress.observed(key, Decision(state, locked=False, reason=reason), gateways)
        assert shown(metrics, "aioctl_services") == Counter((state.value,) for state, _, _ in fleet.values())
        assert shown(metrics, "aioctl_services_by_reason") == Counter(
            (reason.value,) for _, reason, _ in fleet.values()
        )
        assert shown(metrics, "aioctl_services_by_gateway") == Counter(
            (gateway, state.value) for state, _, gateways in fleet.values() for gateway in gateways
        )


@virtual_time
async def test_a_gateway_that_no_service_uses_any_more_leaves_no_series() -> None:
    metrics = Metrics(clock=VirtualClock())
    progress = metrics.migration
    decision = Decision(State.INITIAL, locked=False, reason=Reason.V1_POOL_MISSING)
    progress.observed(ObjectKey("n", "s"), decision, frozenset({"a/one"}))
    assert b'gateway="a/one"' in metrics.render()
    progress.gone(ObjectKey("n", "s"))
    assert b"a/one" not in metrics.render()


@pytest.mark.parametrize(
    ("days", "level", "event"),
    [(1, "info", "certificate loaded"), (-1, "error", "certificate loaded, but it has expired")],
)
@virtual_time
async def test_an_expired_certificate_is_an_error_in_the_log(days: int, level: str, event: str) -> None:
    clock = VirtualClock()
    end = clock.now() + timedelta(days=days)
    with capture_logs() as lines:
        Metrics(clock=clock).certificate.certificate_loaded(
            ParsedPair(frozenset({"b", "a"}), frozenset(), end - timedelta(days=9), end)
        )
    expected = {"event": event, "log_level": level, "dns_names": ["a", "b"], "not_after": end.isoformat()}
    assert lines == [expected]


@virtual_time
async def test_the_log_says_whether_an_old_certificate_goes_on_to_be_served() -> None:
    clock = VirtualClock()
    observer = Metrics(clock=clock).certificate
    with capture_logs() as lines:
        observer.certificate_failed("no file")
        observer.certificate_loaded(ParsedPair(frozenset(), frozenset(), clock.now(), clock.now()))
        observer.certificate_failed("no file")
    assert [line["event"] for line in lines] == [
        "certificate not usable, webhooks wait for one",
        "certificate loaded",
        "certificate not usable, the old one stays",
    ]


@pytest.mark.parametrize("unexpected", [True, False])
def test_a_failed_reconcile_is_logged_once_with_its_service(unexpected: bool) -> None:
    key, metrics = ObjectKey("ns", "name"), Metrics()
    with capture_logs() as lines:
        metrics.reconcile.finished(Run(key, Failed(ValueError("no")), ResultLabel.ERROR, 1.0, unexpected))
    (line,) = lines
    assert (line["service"], line["error"], line["exc_info"] is not None) == (str(key), "no", unexpected)


@pytest.mark.parametrize(("kind", "levels"), [(SERVICE, ["warning", "info"]), (POOL_V1, [])])
def test_a_kind_of_ours_that_is_not_served_is_a_warning(kind: Kind, levels: list[str]) -> None:
    """Of optional kinds discovery tells."""
    metrics = Metrics()
    with capture_logs() as lines:
        metrics.client.presence_changed(kind, True)
        metrics.client.presence_changed(kind, False)
    assert [line["log_level"] for line in lines] == levels


class OneFamily:
    """A collector of one family."""

    def __init__(self, family: Metric) -> None:
        self.family = family

    def collect(self) -> list[Metric]:
        return [self.family]


def written_by_the_library(family: Metric) -> bytes:
    registry = CollectorRegistry()
    registry.register(OneFamily(family))
    return generate_latest(registry)


def test_every_family_of_the_page_is_written_as_the_library_writes_it() -> None:
    metrics = Metrics(webhook_paths=["/convert"])
    families = list(metrics.registry.collect())
    assert len(families) > 20
    for family in families:
        assert exposed(family) == written_by_the_library(family)


def test_what_the_text_format_escapes_is_written_as_the_library_writes_it() -> None:
    odd = 'quote " backslash \\ newline \n and ü'
    gauge = GaugeMetricFamily("a_gauge", odd, labels=["z", "a"])
    for value in (0, 1.5, -2, 1e7, 123456789.25, 1e300, 1e-9, float("inf"), float("-inf"), float("nan")):
        gauge.add_metric([odd, str(value)], value)
    counter = CounterMetricFamily("a_counter", odd, labels=["a"])
    counter.add_metric([odd], 12345678)
    histogram = HistogramMetricFamily("a_histogram", odd, labels=["z", "a"])
    histogram.add_metric([odd, ""], [("0.5", 1), ("1.0", 2), ("+Inf", 3)], 2.5)
    plain = GaugeMetricFamily("plain", "no labels", value=3)
    for family in (gauge, counter, histogram, plain):
        assert exposed(family) == written_by_the_library(family)
