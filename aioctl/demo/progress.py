"""How far a fleet has come, read from a controller's metrics page over HTTP: what any user or Prometheus can read."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from aioctl.histogram import quantile

TIMEOUT: Final = 5.0


class ProgressError(Exception):
    """The metrics page could not be read; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One reading. Times are in seconds; quantiles are interpolated from the histogram's buckets."""

    services: Mapping[str, int] = field(default_factory=dict)
    conversions: int = 0
    conversion_failures: int = 0
    conversion_p50: float = 0.0
    conversion_p99: float = 0.0
    in_flight: int = 0
    queue_depth: int = 0
    reconciles: int = 0
    reconcile_errors: int = 0
    pools_created: int = 0
    writes: int = 0

    @property
    def total(self) -> int:
        return sum(self.services.values())


async def read(client: httpx.AsyncClient, url: str) -> Snapshot:
    """Reads the page once. Raises ProgressError when it cannot be had or is no metrics page."""
    try:
        answer = await client.get(url, timeout=TIMEOUT)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise ProgressError(f"cannot read {url}: {str(error) or type(error).__name__}") from error
    try:
        return parse(answer.text)
    except ValueError as error:
        raise ProgressError(f"{url} is no metrics page: {error}") from error


def parse(page: str) -> Snapshot:
    """A snapshot of a page in the Prometheus text format. Raises ValueError when it is something else."""
    values: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            values[sample.name].append((sample.labels, sample.value))
    buckets: defaultdict[float, float] = defaultdict(float)
    for labels, value in values["aioctl_conversion_duration_seconds_bucket"]:
        buckets[float(labels["le"])] += value
    counts = values["aioctl_conversion_duration_seconds_count"]
    return Snapshot(
        services={labels["state"]: int(value) for labels, value in values["aioctl_services"]},
        conversions=int(sum(value for _, value in counts)),
        conversion_failures=int(sum(value for labels, value in counts if labels["result"] != "success")),
        conversion_p50=quantile(0.5, sorted(buckets.items())),
        conversion_p99=quantile(0.99, sorted(buckets.items())),
        in_flight=_sum(values["aioctl_conversions_in_flight"]),
        queue_depth=_sum(values["workqueue_depth"]),
        reconciles=_sum(values["controller_runtime_reconcile_total"]),
        reconcile_errors=_sum(values["controller_runtime_reconcile_errors_total"]),
        pools_created=_sum(values["aioctl_pool_creations_total"]),
        writes=_sum(values["aioctl_writes_total"]),
    )


def _sum(samples: Sequence[tuple[Mapping[str, str], float]]) -> int:
    return int(sum(value for _, value in samples))
