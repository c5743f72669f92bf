"""Fills the metrics: each class implements the observer protocol of one package, so that none of them knows Prometheus."""

from collections import Counter as Tally
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import structlog

from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.review import CONVERT
from aioctl.engine.clock import Clock
from aioctl.engine.workers import Failed, Run, Terminal
from aioctl.kube.discovery import Presence
from aioctl.metrics.page import CONTROLLER, Metrics, served_label
from aioctl.pki.pairs import ParsedPair
from aioctl.plan.migration import Decision, Reason, State
from aioctl.plan.model import Verb, Write
from aioctl.upkeep.storage_migration import Rewrite

log = structlog.get_logger(__name__)


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
        self._m.kinds_served.labels(served_label(kind)).set(self._VALUES[presence])
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
    """Implements upkeep.storage_migration.StorageMigrationObserver."""

    def __init__(self, metrics: Metrics) -> None:
        self._m = metrics

    def rewrite(self, kind: Kind, result: Rewrite) -> None:
        self._m.storage_migrated.labels(result.value).inc()

    def remaining(self, kind: Kind, objects: int) -> None:
        self._m.storage_remaining.labels(kind.resource).set(objects)


class CertificateMetrics:
    """Implements serving.certificates.CertificateObserver."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._m = metrics
        self._clock = clock
        self._loaded = False

    def certificate_read(self) -> None:
        self._m.certificate_reads.inc()

    def certificate_loaded(self, pair: ParsedPair) -> None:
        self._m.certificate_expiry.set(pair.not_after.timestamp())
        self._loaded = True
        fields = {"dns_names": sorted(pair.dns_names), "not_after": pair.not_after.isoformat()}
        if self._clock.now() > pair.not_after:
            log.error("certificate loaded, but it has expired", **fields)
        else:
            log.info("certificate loaded", **fields)

    def certificate_failed(self, problem: str) -> None:
        self._m.certificate_errors.inc()
        if self._loaded:
            log.warning("certificate not usable, the old one stays", problem=problem)
        else:
            log.warning("certificate not usable, webhooks wait for one", problem=problem)


class WebhookMetrics:
    """Implements serving.webhook.WebhookObserver and serving.conversion.ConversionObserver."""

    def __init__(self, metrics: Metrics, paths: Iterable[str]) -> None:
        self._m = metrics
        self._times = {path: metrics.webhook_time.labels(path) for path in paths}

    def handshake_failed(self) -> None:
        self._m.connections_failed.labels("handshake").inc()

    def header_timed_out(self) -> None:
        self._m.connections_failed.labels("header").inc()

    def body_late(self) -> None:
        self._m.connections_failed.labels("body").inc()

    def answer_timed_out(self) -> None:
        self._m.connections_failed.labels("answer").inc()

    def request_malformed(self) -> None:
        self._m.connections_failed.labels("malformed").inc()

    def connection_evicted(self) -> None:
        self._m.connections_failed.labels("idle").inc()

    def connection_refused(self) -> None:
        self._m.connections_failed.labels("refused").inc()

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
    _by_gateway: Tally[tuple[str, str]] = field(default_factory=Tally)

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
        if before is not None:
            self._count(before, -1)
        self._count(now, 1)

    def gone(self, service: ObjectKey) -> None:
        before = self._seen.pop(service, None)
        if before is not None:
            self._since.pop(service, None)
            self._count(before, -1)

    def refresh(self) -> None:
        """Brings the age of the oldest waiting service up to date; called before each rendering."""
        now = self.clock.monotonic()
        self.metrics.oldest_waiting.set(max((now - since for since in self._since.values()), default=0.0))

    def _count(self, seen: tuple[State, Reason, frozenset[str]], change: int) -> None:
        """Only what changes: counting a fleet of thousands anew for each service would hold up the loop."""
        state, reason, gateways = seen
        self.metrics.services.labels(state.value).inc(change)
        self.metrics.services_by_reason.labels(reason.value).inc(change)
        for gateway in gateways:
            pair = gateway, state.value
            self._by_gateway[pair] += change
            if self._by_gateway[pair]:
                self.metrics.services_by_gateway.labels(*pair).set(self._by_gateway[pair])
            else:
                # A series that nothing feeds any more would stay on the page for ever.
                del self._by_gateway[pair]
                self.metrics.services_by_gateway.remove(*pair)
