"""Every metric of the program, in a registry of its own, and the observers that fill it.

Names that dashboards know keep their names (`workqueue_*`, `controller_runtime_reconcile_*`, `rest_client_*`,
`leader_election_master_status`, `certwatcher_*`); ours are `aioctl_*`. Labels are few and closed; object names are in logs,
never in labels. Every series exists at zero from the start. Children are looked up once and kept: the page is rendered
on the loop that serves webhooks. `docs/reference.md` lists them; a test compares.
"""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from aioctl import __version__
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.controller.storage_migration import Rewrite
from aioctl.engine.clock import Clock
from aioctl.engine.queue import WorkQueue
from aioctl.engine.workers import Failed, Run, Terminal
from aioctl.kube.discovery import Presence
from aioctl.plan.migration import Decision, Reason, State
from aioctl.plan.model import Verb, Write
from aioctl.serving.pki import ParsedPair

CONTROLLER = "llminferenceservice"
CONVERT = "/convert"
CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 6.0, 10.0, 30.0)
"""Seconds; 50 ms, 1 s and 6 s are KEP-95's bars for conversion webhooks, 30 s the API server's limit."""
WORK_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
OBJECT_BUCKETS = (1.0, 2.0, 10.0, 100.0, 500.0, 1500.0, 10000.0)
SIZE_BUCKETS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)

log = structlog.get_logger(__name__)
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside every counter and histogram, which no dashboard reads


class Metrics:
    """The families. One instance a process; tests make their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        info = Gauge("aioctl_build_info", "Version of the program, value 1.", ["version"], registry=r)
        info.labels(__version__).set(1)

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
            "Length of requests to the API server, watches apart.",
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
            "Length of conversion calls, from the whole body to the last byte of the answer.",
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
            "aioctl_webhook_waiting", "Webhook calls that wait in line for their body to be read.", registry=r
        )
        self.webhook_bytes = Gauge(
            "aioctl_webhook_bytes_in_flight", "Bytes of the bodies being worked on.", registry=r
        )
        self.connections_failed = Counter(
            "aioctl_webhook_connections_failed", "Connections that came to nothing.", ["cause"], registry=r
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
        for cause in ("handshake", "header"):
            self.connections_failed.labels(cause)
        for cause in ("end", "silence", "gone", "error"):
            self.watch_ends.labels(cause)
        for rewrite in Rewrite:
            self.storage_migrated.labels(rewrite.value)

    def watch_queue(self, queue: WorkQueue[ObjectKey]) -> None:
        """Adds the two queue figures that only a question can answer."""
        self.registry.register(_QueueAges(queue))

    def render(self) -> bytes:
        """The whole page in the text format."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The page family by family, so that no stretch of rendering holds up the loop (design rule 8)."""
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


class QueueMetrics:
    """Implements engine.queue.QueueObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._adds = metrics.queue_adds.labels(CONTROLLER)
        self._retries = metrics.queue_retries.labels(CONTROLLER)
        self._depth = metrics.queue_depth.labels(CONTROLLER)
        self._wait = metrics.queue_wait.labels(CONTROLLER)
        self._work = metrics.queue_work.labels(CONTROLLER)

    def added(self) -> None:
        self._adds.inc()

    def got(self, queue_seconds: float) -> None:
        self._wait.observe(queue_seconds)

    def done(self, work_seconds: float) -> None:
        self._work.observe(work_seconds)

    def retried(self) -> None:
        self._retries.inc()

    def depth(self, ready: int) -> None:
        self._depth.set(ready)


class WorkerMetrics:
    """Implements engine.workers.ReconcileObserver: counts every run and logs it in one line."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics
        self._time = metrics.reconcile_time.labels(CONTROLLER)
        self._errors = metrics.reconcile_errors.labels(CONTROLLER)

    def workers(self, count: int) -> None:
        self._m.max_workers.labels(CONTROLLER).set(count)

    def active(self, count: int) -> None:
        self._m.active_workers.labels(CONTROLLER).set(count)

    def finished(self, run: Run) -> None:
        self._m.reconcile_total.labels(CONTROLLER, run.outcome.value).inc()
        self._time.observe(run.seconds)
        fields = {"service": str(run.key), "result": run.outcome.value, "seconds": round(run.seconds, 4)}
        if isinstance(run.result, Failed | Terminal):
            self._errors.inc()
            log.warning(
                "reconcile failed",
                error=str(run.result.error),
                exc_info=run.result.error if run.unexpected else None,
                **fields,
            )
        else:
            log.debug("reconciled", **fields)


class ClientMetrics:
    """Implements kube.client.ClientObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def request_done(self, method: str, code: str, seconds: float) -> None:
        self._m.requests.labels(code, method).inc()
        self._m.request_time.labels(method).observe(seconds)


class ReflectorMetrics:
    """Implements kube.reflector.ReflectorObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def listed(self, kind: Kind, objects: int, seconds: float) -> None:
        self._m.lists.labels(kind.resource).inc()
        log.info("listed", kind=kind.resource, objects=objects, seconds=round(seconds, 3))

    def watch_ended(self, kind: Kind, why: str) -> None:
        self._m.watch_ends.labels(why).inc()
        log.debug("watch ended", kind=kind.resource, cause=why)

    def presence_changed(self, kind: Kind, absent: bool) -> None:  # noqa: FBT001  the protocol's shape
        log.info("kind is not served" if absent else "kind is served", kind=kind.resource)


class ApplyMetrics:
    """Implements controller.apply.ApplyObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def written(self, write: Write) -> None:
        self._m.writes.labels(write.verb.value, write.kind.kind).inc()
        if write.verb is Verb.CREATE and write.kind.kind == "InferencePool":
            self._m.pools_created.labels(write.kind.version).inc()

    def avoided(self, write: Write) -> None:
        self._m.writes_avoided.inc()

    def deferred(self, write: Write, seconds: float) -> None:
        self._m.pools_deferred.inc()


class DiscoveryMetrics:
    """Implements kube.discovery.DiscoveryObserver; an optional kind that is missing is one log line and a zero."""

    _VALUES: ClassVar = {Presence.YES: 1, Presence.NO: 0, Presence.UNKNOWN: -1}

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def presence(self, kind: Kind, presence: Presence) -> None:
        self._m.kinds_served.labels(f"{kind.kind}.{kind.version}.{kind.group}").set(self._VALUES[presence])
        log.info("optional kind", kind=kind.resource, version=kind.version, served=presence.value)

    def discovery_failed(self, group_version: str) -> None:
        self._m.discovery_failures.inc()


class EventMetrics:
    """Implements kube.events.EventsObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def event_written(self) -> None:
        self._m.events_written.inc()

    def event_dropped(self, why: str) -> None:
        self._m.events_dropped.labels(why).inc()


class LeaseMetrics:
    """Implements kube.lease.LeaseObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def leading(self, name: str, leads: bool) -> None:  # noqa: FBT001  the protocol's shape
        self._m.leader.labels(name).set(int(leads))


class StorageMigrationMetrics:
    """Implements controller.storage_migration.StorageMigrationObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def rewrite(self, kind: Kind, result: Rewrite) -> None:
        self._m.storage_migrated.labels(result.value).inc()

    def remaining(self, kind: Kind, objects: int) -> None:
        self._m.storage_remaining.labels(kind.resource).set(objects)


class CertificateMetrics:
    """Implements serving.certificates.CertificateObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def certificate_read(self) -> None:
        self._m.certificate_reads.inc()

    def certificate_loaded(self, pair: ParsedPair) -> None:
        self._m.certificate_expiry.set(pair.not_after.timestamp())
        log.info("certificate loaded", dns_names=list(pair.dns_names), not_after=pair.not_after.isoformat())

    def certificate_failed(self, problem: str) -> None:
        self._m.certificate_errors.inc()
        log.warning("certificate not usable, the old one stays", problem=problem)


class WebhookMetrics:
    """Implements serving.webhook.WebhookObserver and serving.conversion.ConversionObserver."""

    def __init__(self, metrics: Metrics, paths: Iterable[str]) -> None:
        self._m = metrics
        self._times = {path: metrics.webhook_time.labels(path) for path in paths}

    def handshake_failed(self) -> None:
        self._m.connections_failed.labels("handshake").inc()

    def header_timed_out(self) -> None:
        self._m.connections_failed.labels("header").inc()

    def call_started(self, path: str) -> None:
        if path == CONVERT:
            self._m.conversions_in_flight.inc()

    def call_ended(self, path: str, status: int, seconds: float, body_bytes: int) -> None:
        if path == CONVERT:
            self._m.conversions_in_flight.dec()
            self._m.conversion_bytes.observe(body_bytes)
        if path in self._times:
            self._m.webhook_calls.labels(path, str(status)).inc()
            self._times[path].observe(seconds)

    def line_changed(self, waiting: int, bytes_in_flight: int) -> None:
        self._m.webhook_waiting.set(waiting)
        self._m.webhook_bytes.set(bytes_in_flight)

    def reviewed(self, direction: str, result: str, seconds: float, objects: int) -> None:
        self._m.conversion_time.labels(direction, result).observe(seconds)
        self._m.conversion_objects.observe(objects)


@dataclass
class Progress:
    """Implements controller.reconcile.ProgressObserver: how far each service has come, as gauges and for the log."""

    metrics: Metrics
    clock: Clock
    _seen: dict[ObjectKey, tuple[State, Reason, frozenset[str]]] = field(default_factory=dict)
    _since: dict[ObjectKey, float] = field(default_factory=dict)
    _shown: set[tuple[str, str]] = field(default_factory=set)

    def observed(self, service: ObjectKey, decision: Decision, gateways: frozenset[str]) -> None:
        before = self._seen.get(service)
        now = (decision.state, decision.reason, gateways)
        if before == now:
            return
        self._seen[service] = now
        if decision.state is State.MIGRATED:
            self._since.pop(service, None)
        else:
            self._since.setdefault(service, self.clock.monotonic())
        if before is None or before[:2] != now[:2]:
            log.info(
                "migration state",
                service=str(service),
                state=decision.state.value,
                reason=decision.reason.value,
                problem=decision.problem or None,
            )
        self._show()

    def gone(self, service: ObjectKey) -> None:
        if self._seen.pop(service, None) is not None:
            self._since.pop(service, None)
            self._show()

    def refresh(self) -> None:
        """Brings the age of the oldest waiting service up to date; called before each rendering."""
        now = self.clock.monotonic()
        self.metrics.oldest_waiting.set(max((now - since for since in self._since.values()), default=0.0))

    def _show(self) -> None:
        states = Tally(state for state, _, _ in self._seen.values())
        reasons = Tally(reason for _, reason, _ in self._seen.values())
        for state in State:
            self.metrics.services.labels(state.value).set(states[state])
        for reason in Reason:
            self.metrics.services_by_reason.labels(reason.value).set(reasons[reason])
        pairs = Tally(
            (gateway, state.value) for state, _, gateways in self._seen.values() for gateway in gateways
        )
        for pair in self._shown - pairs.keys():
            self.metrics.services_by_gateway.remove(*pair)
        for pair, count in pairs.items():
            self.metrics.services_by_gateway.labels(*pair).set(count)
        self._shown = set(pairs)
