"""The talk with the API server: requests, lists and watches, discovery, events and the lease."""

from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aioctl.api import kinds
from aioctl.api.kinds import Kind, Served
from aioctl.kube.client import ClientObserver
from aioctl.kube.discovery import DiscoveryObserver
from aioctl.kube.events import EventsObserver
from aioctl.kube.lease import LeaseObserver
from aioctl.kube.reflector import ReflectorObserver
from aioctl.metrics.shared import CALL_BUCKETS

log = structlog.get_logger(__name__)

_OPTIONAL: Final = (
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.MODEL,
    kinds.HTTP_ROUTE,
    kinds.GATEWAY,
    kinds.GATEWAY_CLASS,
    kinds.LEADER_WORKER_SET,
    kinds.RESOURCE_CLAIM_TEMPLATE,
    kinds.DESTINATION_RULE,
    kinds.POD_MONITOR,
    kinds.SERVICE_MONITOR,
    kinds.AUTH_POLICY,
    kinds.SCC,
)
"""The kinds that `aioctl_kind_served` shows, not known at first."""
_PRESENCE: Final = {Served.YES: 1, Served.NO: 0, Served.UNKNOWN: -1}


class ClientMetrics(ClientObserver, ReflectorObserver, DiscoveryObserver, EventsObserver, LeaseObserver):
    """Hears all of `kube/`; an optional kind that is missing is a zero."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._declare_requests(registry)
        self._declare_caches(registry)
        self._declare_events(registry)

    def _declare_requests(self, r: CollectorRegistry) -> None:
        self._requests = Counter(
            "rest_client_requests", "Requests to the API server.", ["code", "method"], registry=r
        )
        self._request_time = Histogram(
            "rest_client_request_duration_seconds",
            "Length of requests to the API server; of watches, their opening.",
            ["verb"],
            buckets=CALL_BUCKETS,
            registry=r,
        )
        self._leader = Gauge("leader_election_master_status", "1 while leading.", ["name"], registry=r)

    def _declare_caches(self, r: CollectorRegistry) -> None:
        self._lists = Counter("aioctl_lists", "Whole lists read.", ["kind"], registry=r)
        self._watch_ends = Counter(
            "aioctl_watch_ends", "Watches that ended, by cause.", ["cause"], registry=r
        )
        for cause in ("end", "silence", "gone", "error"):
            self._watch_ends.labels(cause)
        self._kinds_served = Gauge(
            "aioctl_kind_served", "1 served, 0 not served, -1 not known.", ["kind"], registry=r
        )
        for kind in _OPTIONAL:
            self._kinds_served.labels(_served_label(kind)).set(_PRESENCE[Served.UNKNOWN])
        self._discovery_failures = Counter(
            "aioctl_discovery_failures", "Discovery calls that failed; they change nothing.", registry=r
        )

    def _declare_events(self, r: CollectorRegistry) -> None:
        self._events_written = Counter("aioctl_events_written", "Events written.", registry=r)
        self._events_dropped = Counter(
            "aioctl_events_dropped", "Events given up, by cause.", ["cause"], registry=r
        )
        for cause in ("full", "refused", "failed"):
            self._events_dropped.labels(cause)

    def request_done(self, method: str, code: str, seconds: float) -> None:
        self._requests.labels(code, method).inc()
        self._request_time.labels(method).observe(seconds)

    def leading(self, name: str, leads: bool) -> None:  # noqa: FBT001  the observer's shape
        self._leader.labels(name).set(int(leads))

    def listed(self, kind: Kind, objects: int, seconds: float) -> None:
        self._lists.labels(kind.resource).inc()
        log.debug("listed", kind=kind.resource, objects=objects, seconds=round(seconds, 3))

    def watch_ended(self, kind: Kind, why: str) -> None:
        self._watch_ends.labels(why).inc()
        log.debug("watch ended", kind=kind.resource, cause=why)

    def presence_changed(self, kind: Kind, absent: bool) -> None:  # noqa: FBT001  the observer's shape
        """Of optional kinds discovery tells."""
        if kind.optional:
            return
        if absent:
            log.warning("a kind that the work needs is not served: its CRD is missing", kind=kind.resource)
        else:
            log.info("kind is served", kind=kind.resource)

    def presence(self, kind: Kind, presence: Served) -> None:
        self._kinds_served.labels(_served_label(kind)).set(_PRESENCE[presence])

    def discovery_failed(self, group_version: str) -> None:
        self._discovery_failures.inc()

    def event_written(self) -> None:
        self._events_written.inc()

    def event_dropped(self, why: str) -> None:
        self._events_dropped.labels(why).inc()


def _served_label(kind: Kind) -> str:
    return f"{kind.kind}.{kind.version}.{kind.group}"
