"""Counting API calls and conversions from the API server's side: the simulated one counts itself, a real one has an audit
log and metrics. The controller's own view (queue, loop lag, latency of conversions) is read from its metrics page."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
from prometheus_client.parser import text_string_to_metric_families

from aioctl.histogram import quantile
from aioctl.kube.client import Client

WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection"})
STATUS: Final = "llminferenceservices.serving.kserve.io/status"
DRY_RUN: Final = "dry-run"
"""The verb under which a write stands that only asks what would be."""
_LEASES: Final = "leases"
_AGENT: Final = "aioctl/"
_OTHERS: Final = ("bench", "sim", "user", "kube-", "kubectl", "etcd")
_TIMEOUT: Final = 30.0
_CONVERSIONS: Final = "apiserver_crd_conversion_webhook_duration_seconds"

Call = tuple[str, str]
"""Verb and resource, `<plural>` or `<plural>/<subresource>`."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Since the server's start: the controller's calls, and the conversions anybody caused."""

    calls: Counter[Call] = field(default_factory=Counter)
    conversions: int = 0
    conversion_failures: int = 0
    conversion_buckets: Counter[float] = field(default_factory=Counter)
    """The server's histogram of their seconds, cumulative by upper bound; empty where there is none."""

    def __sub__(self, earlier: "Counts") -> "Counts":
        return Counts(
            self.calls - earlier.calls,
            self.conversions - earlier.conversions,
            self.conversion_failures - earlier.conversion_failures,
            self.conversion_buckets - earlier.conversion_buckets,
        )

    @property
    def writes(self) -> int:
        """Without renewals of a lease, which never end."""
        return sum(
            count
            for (verb, resource), count in self.calls.items()
            if verb in WRITES and not resource.startswith(_LEASES)
        )

    @property
    def events(self) -> int:
        return sum(count for (_, resource), count in self.calls.items() if resource == "events")

    def by_verb(self) -> dict[str, int]:
        """Without events, watches and discovery apart from the rest."""
        found: Counter[str] = Counter()
        for (verb, resource), count in self.calls.items():
            if resource != "events":
                found[verb] += count
        return dict(sorted(found.items()))


def ours(agent: str) -> bool:
    """Whether a client is our controller, by its user agent."""
    return agent.startswith(_AGENT)


def any_controller(agent: str) -> bool:
    """Whether it is a controller, whatever it calls itself: nobody of those who are there beside one."""
    return bool(agent) and not agent.startswith(_OTHERS)


class Counting(Protocol):
    """A source of counts. `belongs` tells by the user agent whose calls are counted."""

    belongs: Callable[[str], bool]

    async def read(self) -> Counts: ...

    async def conversion_seconds(self, counts: Counts) -> Mapping[str, float]:
        """p50, p99, max and max_in_flight of the counted conversions as the API server saw them, handshakes included;
        what it cannot tell is missing."""
        ...


class SimCounting:
    """The counters of `aioctl.sim`."""

    def __init__(self, server: str) -> None:
        self._url = f"{server}/sim/stats"
        self.belongs: Callable[[str], bool] = ours

    async def read(self) -> Counts:
        stats = await self._get()
        calls: Counter[Call] = Counter()
        for row in stats["calls"]:
            if self.belongs(row["client"]):
                calls[row["verb"], row["resource"]] += row["count"]
        for row in stats["dry_runs"]:
            if self.belongs(row["client"]):
                calls[row["verb"], row["resource"]] -= row["count"]
                calls[DRY_RUN, row["resource"]] += row["count"]
        return Counts(calls, stats["conversion"]["calls"], stats["conversion"]["failures"])

    async def conversion_seconds(self, counts: Counts) -> Mapping[str, float]:
        """Of all since the start: this server keeps no histogram."""
        conversion = (await self._get())["conversion"]
        return {**conversion["seconds"], "max_in_flight": conversion["max_in_flight"]}

    async def _get(self) -> Any:
        async with httpx.AsyncClient() as http:
            return (await http.get(self._url, timeout=_TIMEOUT)).raise_for_status().json()


class AuditCounting:
    """The audit log of a kube-apiserver, and the histogram it keeps of conversions."""

    def __init__(self, client: Client, log: Path | None, page: str = "") -> None:
        """`log` is None where it cannot be read; then the controller's own metrics `page` tells of its writes, and nothing of
        its reads."""
        self.belongs: Callable[[str], bool] = ours
        self._client = client
        self._log = log
        self._page = page
        self._offset = 0
        self._calls: Counter[Call] = Counter()

    async def read(self) -> Counts:
        if self._log is not None:
            self._read_on(self._log)
        elif self._page:
            self._calls = await self._told()
        page = await self._metrics()
        counts = page[f"{_CONVERSIONS}_count"]
        failed = sum(value for labels, value in counts if labels.get("succeeded") == "false")
        buckets = Counter(dict(summed_buckets(page, _CONVERSIONS)))
        return Counts(Counter(self._calls), int(sum(value for _, value in counts)), int(failed), buckets)

    async def conversion_seconds(self, counts: Counts) -> Mapping[str, float]:
        buckets = sorted(counts.conversion_buckets.items())
        return {"p50": quantile(0.5, buckets), "p99": quantile(0.99, buckets)}

    def _read_on(self, path: Path) -> None:
        with path.open("rb") as log:
            log.seek(self._offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break  # still being written
                self._offset += len(line)
                entry = json.loads(line)
                if not self.belongs(entry.get("userAgent", "")):
                    continue
                target = entry.get("objectRef") or {}
                resource = "/".join(
                    part for part in (target.get("resource"), target.get("subresource")) if part
                )
                started = entry.get("stage") == "ResponseStarted"
                if not started:  # a watch is logged when it begins and when it ends
                    asks_only = entry["verb"] in WRITES and "dryRun=" in entry.get("requestURI", "")
                    self._calls[DRY_RUN if asks_only else entry["verb"], resource] += 1

    async def _told(self) -> Counter[Call]:
        """Its writes by its own page; none while there is no controller. What it updated beyond them are statuses."""
        async with httpx.AsyncClient() as http:
            try:
                page = await metrics_page(http, self._page)
            except httpx.TransportError:
                return Counter()
        return told_writes(page)

    async def _metrics(self) -> "Series":
        return parse((await self._client.get_raw("/metrics", accept="text/plain")).decode())


Series = Mapping[str, list[tuple[Mapping[str, str], float]]]
"""Samples by name, each with its labels."""


def parse(text: str) -> Series:
    """A page in the Prometheus text format. Raises ValueError."""
    values: defaultdict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name].append((sample.labels, sample.value))
    return values


def told_writes(page: Series) -> Counter[Call]:
    """A controller's writes by verb and kind, and its updates of statuses, which are all others that the API server took. Of one that
    renews a lease they are not told: the renewals, which never end, look the same."""
    told: Counter[Call] = Counter()
    for labels, value in page.get("aioctl_writes_total", ()):
        told[labels["verb"], labels["kind"]] += int(value)
    updates = sum(count for (verb, _), count in told.items() if verb == "update")
    taken = sum(
        value
        for labels, value in page.get("rest_client_requests_total", ())
        if labels["method"] == "PUT" and labels["code"].startswith("2")
    )
    if not any(leads for _, leads in page.get("leader_election_master_status", ())):
        told["update", STATUS] += int(taken) - updates
    return told


def total(page: Series, name: str) -> float:
    """The sum over all labels; 0 where there is no such series."""
    return sum(value for _, value in page.get(name, ()))


def summed_buckets(page: Series, name: str, earlier: Series | None = None) -> list[tuple[float, float]]:
    """A histogram's buckets over all labels, less those of an earlier reading."""
    buckets: defaultdict[float, float] = defaultdict(float)
    for source, sign in ((page, 1), (earlier or {}, -1)):
        for labels, value in source.get(f"{name}_bucket", ()):
            buckets[float(labels["le"])] += sign * value
    return sorted(buckets.items())


async def metrics_page(http: httpx.AsyncClient, url: str) -> Series:
    """The controller's metrics. Raises httpx.HTTPError."""
    return parse((await http.get(url, timeout=_TIMEOUT)).raise_for_status().text)
