"""Every metric of the program, in a registry of its own; `observers.py` fills them.

Names that dashboards know keep their names (`workqueue_*`, `controller_runtime_reconcile_*`, `rest_client_*`,
`leader_election_master_status`, `certwatcher_*`, `process_*`); ours are `aioctl_*`. Labels are few and closed; object names are in logs,
not in labels, but for the gateways that services use now. Series whose labels are known exist at zero from the start.
Children are looked up once and kept: the page is rendered on the loop that serves webhooks. `docs/reference.md` lists
them; a test compares.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from aioctl import __version__
from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.engine.queue import WorkQueue
from aioctl.plan.migration import Reason, State
from aioctl.upkeep.storage_migration import Rewrite

CONTROLLER = "llminferenceservice"
CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 6.0, 10.0, 30.0)
"""Seconds; 50 ms, 1 s and 6 s are KEP-95's bars for conversion webhooks, 30 s the API server's limit."""
WORK_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
OBJECT_BUCKETS = (1.0, 2.0, 10.0, 100.0, 500.0, 1500.0, 10000.0)
SIZE_BUCKETS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside every counter and histogram, which no dashboard reads


def served_label(kind: Kind) -> str:
    """How `aioctl_kind_served` calls a kind."""
    return f"{kind.kind}.{kind.version}.{kind.group}"


class Metrics:
    """The families. One instance a process; tests make their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        info = Gauge("aioctl_build_info", "Version of the program, value 1.", ["version"], registry=r)
        info.labels(__version__).set(1)
        # Memory, CPU, open files and start of the process, from /proc; nothing where there is none.
        ProcessCollector(registry=r)

        self.queue_adds = Counter("workqueue_adds", "Keys that became ready.", ["name"], registry=r)
        self.queue_retries = Counter("workqueue_retries", "Keys added with back-off.", ["name"], registry=r)
        self.queue_depth = Gauge("workqueue_depth", "Keys that are ready now.", ["name"], registry=r)
        self.queue_wait = Histogram(
            "workqueue_queue_duration_seconds",
            "From ready to taken.",
            ["name"],
            buckets=WORK_BUCKETS,
            registry=r,
        )
        self.queue_work = Histogram(
            "workqueue_work_duration_seconds",
            "From taken to finished.",
            ["name"],
            buckets=WORK_BUCKETS,
            registry=r,
        )

        self.reconcile_total = Counter(
            "controller_runtime_reconcile", "Reconciles by result.", ["controller", "result"], registry=r
        )
        self.reconcile_errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed.", ["controller"], registry=r
        )
        self.reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of reconciles.",
            ["controller"],
            buckets=WORK_BUCKETS,
            registry=r,
        )
        self.active_workers = Gauge(
            "controller_runtime_active_workers", "Workers that run a reconcile.", ["controller"], registry=r
        )
        self.max_workers = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers there are.", ["controller"], registry=r
        )

        self.requests = Counter(
            "rest_client_requests", "Requests to the API server.", ["code", "method"], registry=r
        )
        self.request_time = Histogram(
            "rest_client_request_duration_seconds",
            "Length of requests to the API server; of watches, their opening.",
            ["verb"],
            buckets=CALL_BUCKETS,
            registry=r,
        )
        self.leader = Gauge("leader_election_master_status", "1 while leading.", ["name"], registry=r)
        self.certificate_reads = Counter(
            "certwatcher_read_certificate", "Times the certificate was read.", registry=r
        )
        self.certificate_errors = Counter(
            "certwatcher_read_certificate_errors",
            "Pairs that could not be used; the old one stayed.",
            registry=r,
        )
        self.certificate_expiry = Gauge(
            "aioctl_certificate_expiry_timestamp_seconds", "When the served certificate ends.", registry=r
        )

        self.conversion_time = Histogram(
            "aioctl_conversion_duration_seconds",
            "Length of conversion calls, from the end of the header to the last byte of the answer.",
            ["direction", "result"],
            buckets=CALL_BUCKETS,
            registry=r,
        )
        self.conversion_objects = Histogram(
            "aioctl_conversion_review_objects", "Objects in one review.", buckets=OBJECT_BUCKETS, registry=r
        )
        self.conversion_bytes = Histogram(
            "aioctl_conversion_review_bytes", "Bytes of one review.", buckets=SIZE_BUCKETS, registry=r
        )
        self.conversions_in_flight = Gauge(
            "aioctl_conversions_in_flight", "Conversion calls being answered.", registry=r
        )
        self.webhook_calls = Counter(
            "aioctl_webhook_calls", "Webhook calls by path and HTTP status.", ["path", "code"], registry=r
        )
        self.webhook_time = Histogram(
            "aioctl_webhook_duration_seconds",
            "Length of webhook calls.",
            ["path"],
            buckets=CALL_BUCKETS,
            registry=r,
        )
        self.webhook_waiting = Gauge(
            "aioctl_webhook_waiting",
            "Webhook calls that wait in line until their body fits into memory.",
            registry=r,
        )
        self.webhook_bytes = Gauge(
            "aioctl_webhook_bytes_in_flight", "Bytes of the bodies being worked on.", registry=r
        )
        self.connections_failed = Counter(
            "aioctl_webhook_connections_failed",
            "Connections and calls that came to nothing.",
            ["cause"],
            registry=r,
        )

        self.services = Gauge(
            "aioctl_services", "LLMInferenceServices by migration state.", ["state"], registry=r
        )
        self.services_by_reason = Gauge(
            "aioctl_services_by_reason", "The same by the reason for being there.", ["reason"], registry=r
        )
        self.services_by_gateway = Gauge(
            "aioctl_services_by_gateway", "The same by gateway.", ["gateway", "state"], registry=r
        )
        self.oldest_waiting = Gauge(
            "aioctl_migration_oldest_waiting_seconds",
            "How long the service that waits longest for its migration has been seen waiting.",
            registry=r,
        )
        self.pools_created = Counter(
            "aioctl_pool_creations", "InferencePools created.", ["version"], registry=r
        )
        self.pools_deferred = Counter(
            "aioctl_pool_creations_deferred", "Times a pool creation had to wait for its turn.", registry=r
        )
        self.writes = Counter("aioctl_writes", "Writes by verb and kind.", ["verb", "kind"], registry=r)
        self.writes_avoided = Counter(
            "aioctl_writes_avoided", "Updates that a dry run showed to change nothing.", registry=r
        )
        self.events_written = Counter("aioctl_events_written", "Events written.", registry=r)
        self.events_dropped = Counter(
            "aioctl_events_dropped", "Events given up, by cause.", ["cause"], registry=r
        )
        self.loop_lag = Histogram(
            "aioctl_event_loop_lag_seconds",
            "How late a timer of the event loop fires.",
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
            registry=r,
        )
        self.loop_stalls = Counter(
            "aioctl_event_loop_stalls",
            "Stretches that held the event loop for longer than AIOCTL_STALL_WARNING.",
            registry=r,
        )
        self.kinds_served = Gauge(
            "aioctl_kind_served", "1 served, 0 not served, -1 not known.", ["kind"], registry=r
        )
        self.discovery_failures = Counter(
            "aioctl_discovery_failures", "Discovery calls that failed; they change nothing.", registry=r
        )
        self.lists = Counter("aioctl_lists", "Whole lists read.", ["kind"], registry=r)
        self.watch_ends = Counter("aioctl_watch_ends", "Watches that ended, by cause.", ["cause"], registry=r)
        self.storage_remaining = Gauge(
            "aioctl_storage_migration_remaining",
            "Stored objects still to be rewritten.",
            ["kind"],
            registry=r,
        )
        self.storage_migrated = Counter(
            "aioctl_storage_migration_objects", "Stored objects rewritten, by result.", ["result"], registry=r
        )
        self._zero()

    def _zero(self) -> None:
        for family in (
            self.queue_adds,
            self.queue_retries,
            self.queue_depth,
            self.queue_wait,
            self.queue_work,
            self.reconcile_errors,
            self.reconcile_time,
            self.active_workers,
            self.max_workers,
        ):
            family.labels(CONTROLLER)
        for result in ("success", "requeue_after", "error", "terminal"):
            self.reconcile_total.labels(CONTROLLER, result)
        for direction in ("up", "down", "unknown"):
            for result in ("success", "failure", "panic", "bad_request"):
                self.conversion_time.labels(direction, result)
        for state in State:
            self.services.labels(state.value)
        for reason in Reason:
            self.services_by_reason.labels(reason.value)
        for version in ("v1", "v1alpha2"):
            self.pools_created.labels(version)
        for cause in ("handshake", "header", "body", "answer", "malformed", "idle", "refused"):
            self.connections_failed.labels(cause)
        for cause in ("full", "refused", "failed"):
            self.events_dropped.labels(cause)
        for cause in ("end", "silence", "gone", "error"):
            self.watch_ends.labels(cause)
        for rewrite in Rewrite:
            self.storage_migrated.labels(rewrite.value)

        for kind in vars(kinds).values():
            if isinstance(kind, Kind) and kind.optional:
                self.kinds_served.labels(served_label(kind)).set(-1)

    def watch_queue(self, queue: WorkQueue[ObjectKey]) -> None:
        """Adds the two queue figures that only a question can answer."""
        self.registry.register(_QueueAges(queue))

    def render(self) -> bytes:
        """The whole page in the text format."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The page family by family, so that no stretch of rendering holds up the loop (ARCH-8)."""
        for family in self.registry.collect():
            yield generate_latest(_One(family))


class _One:
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


class _QueueAges(Collector):
    def __init__(self, queue: WorkQueue[ObjectKey]) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        for name, text, value in (
            ("unfinished_work_seconds", "Work in progress, summed up.", self._queue.unfinished_seconds()),
            (
                "longest_running_processor_seconds",
                "Age of the oldest run.",
                self._queue.longest_running_seconds(),
            ),
        ):
            family = GaugeMetricFamily(f"workqueue_{name}", text, labels=["name"])
            family.add_metric([CONTROLLER], value)
            yield family

    def describe(self) -> Iterable[Metric]:
        return ()
