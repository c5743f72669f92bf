"""The figures of the operators' page: what this process has done since they were last read, from the metrics themselves."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from aioctl.api.review import CONVERT
from aioctl.engine.clock import Clock
from aioctl.histogram import quantile
from aioctl.metrics.page import Metrics

CONVERSION: Final = "aioctl_conversion_duration_seconds"
ADMISSION: Final = "aioctl_webhook_duration_seconds"
LAG: Final = "aioctl_event_loop_lag_seconds"
RECONCILES: Final = "controller_runtime_reconcile_total"
ERRORS: Final = "controller_runtime_reconcile_errors_total"
GAUGES: Final = {
    "conversions_in_flight": "aioctl_conversions_in_flight",
    "calls_waiting": "aioctl_webhook_waiting",
    "bytes_in_flight": "aioctl_webhook_bytes_in_flight",
}
DEPTH: Final = "workqueue_depth"

Buckets = Mapping[float, float]


class Figures:
    """Reads counters, and remembers them for the next time."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._read_at = clock.monotonic()
        self._counted: dict[str, float] = {}
        self._buckets: dict[str, Buckets] = {}

    def states(self) -> dict[str, int]:
        """Services by state; empty on a replica that does not lead."""
        return self._metrics.migration.by_state()

    def read(self, *, leads: bool) -> dict[str, float | None]:
        """Name -> value: seconds for `_p50` and `_p99` (None where nothing came), per second for `_rate`, else a count.

        The queue and its work are the leader's.
        """
        now = self._clock.monotonic()
        seconds, self._read_at = max(now - self._read_at, 1e-6), now
        found: dict[str, float | None] = {}
        for name, family in (("conversion", CONVERSION), ("admission", ADMISSION)):
            count = self._quantiles(found, name, family)
            found[f"{name}_rate"] = round(count / seconds, 3)
        self._quantiles(found, "loop_lag", LAG)
        found |= {name: self._value(family) for name, family in GAUGES.items()}
        if leads:
            found["queue_depth"] = self._value(DEPTH)
            found["reconcile_rate"] = round(self._since(RECONCILES) / seconds, 3)
            found["error_rate"] = round(self._since(ERRORS) / seconds, 3)
        return found

    def _quantiles(self, found: dict[str, float | None], name: str, family: str) -> float:
        """Adds both quantiles of what came since the last time; returns how many came."""
        now = _buckets(self._families(f"{family}_bucket"))
        before = self._buckets.get(family, {})
        self._buckets[family] = now
        came = sorted((bound, count - before.get(bound, 0.0)) for bound, count in now.items())
        count = came[-1][1] if came else 0.0
        for q in (50, 99):
            found[f"{name}_p{q}"] = round(quantile(q / 100, came), 6) if count else None
        return count

    def _since(self, counter: str) -> float:
        total = self._value(counter)
        before, self._counted[counter] = self._counted.get(counter, 0.0), total
        return total - before

    def _value(self, series: str) -> float:
        """The sum over its labels."""
        return sum(sample.value for family in self._families(series) for sample in family.samples)

    def _families(self, series: str) -> Iterable[Metric]:
        registry: CollectorRegistry = self._metrics.registry
        return registry.restricted_registry([series]).collect()


def _buckets(families: Iterable[Metric]) -> Buckets:
    """Upper bound -> samples up to it, over all labels; calls of conversions are none of admission."""
    found: defaultdict[float, float] = defaultdict(float)
    for family in families:
        for sample in family.samples:
            if sample.labels.get("path") != CONVERT:
                found[float(sample.labels["le"])] += sample.value
    return found
