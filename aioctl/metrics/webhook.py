"""The webhooks: their calls, conversions among them, what waits and what came to nothing."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aioctl.api.review import CONVERT
from aioctl.metrics.shared import CALL_BUCKETS
from aioctl.serving.conversion import ConversionObserver
from aioctl.serving.webhook import WebhookObserver

_OBJECT_BUCKETS: Final = (1.0, 2.0, 10.0, 100.0, 500.0, 1500.0, 10000.0)
_SIZE_BUCKETS: Final = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8)


class WebhookMetrics(WebhookObserver, ConversionObserver):
    """Counts calls of `paths` only: any other path is a client's word and no label."""

    def __init__(self, registry: CollectorRegistry, paths: Iterable[str]) -> None:
        self._declare_conversions(registry)
        self._declare_calls(registry, paths)
        self._failed = Counter(
            "aioctl_webhook_connections_failed",
            "Connections and calls that came to nothing.",
            ["cause"],
            registry=registry,
        )
        for cause in ("handshake", "header", "body", "answer", "malformed", "idle", "refused"):
            self._failed.labels(cause)

    def _declare_conversions(self, r: CollectorRegistry) -> None:
        self._conversion_time = Histogram(
            "aioctl_conversion_duration_seconds",
            "Length of conversion calls, from the end of the header to the last byte of the answer.",
            ["direction", "result"],
            buckets=CALL_BUCKETS,
            registry=r,
        )
        for direction in ("up", "down", "unknown"):
            for result in ("success", "failure", "panic", "bad_request"):
                self._conversion_time.labels(direction, result)
        self._conversion_objects = Histogram(
            "aioctl_conversion_review_objects", "Objects in one review.", buckets=_OBJECT_BUCKETS, registry=r
        )
        self._conversion_bytes = Histogram(
            "aioctl_conversion_review_bytes", "Bytes of one review.", buckets=_SIZE_BUCKETS, registry=r
        )
        self._conversions = Gauge(
            "aioctl_conversions_in_flight", "Conversion calls being answered.", registry=r
        )

    def _declare_calls(self, r: CollectorRegistry, paths: Iterable[str]) -> None:
        self._calls = Counter(
            "aioctl_webhook_calls", "Webhook calls by path and HTTP status.", ["path", "code"], registry=r
        )
        time = Histogram(
            "aioctl_webhook_duration_seconds",
            "Length of webhook calls.",
            ["path"],
            buckets=CALL_BUCKETS,
            registry=r,
        )
        self._times = {path: time.labels(path) for path in paths}
        self._waiting = Gauge(
            "aioctl_webhook_waiting",
            "Webhook calls that wait in line until their body fits into memory.",
            registry=r,
        )
        self._bytes = Gauge(
            "aioctl_webhook_bytes_in_flight", "Bytes of the bodies being worked on.", registry=r
        )

    def handshake_failed(self) -> None:
        self._failed.labels("handshake").inc()

    def header_timed_out(self) -> None:
        self._failed.labels("header").inc()

    def body_late(self) -> None:
        self._failed.labels("body").inc()

    def answer_timed_out(self) -> None:
        self._failed.labels("answer").inc()

    def request_malformed(self) -> None:
        self._failed.labels("malformed").inc()

    def connection_evicted(self) -> None:
        self._failed.labels("idle").inc()

    def connection_refused(self) -> None:
        self._failed.labels("refused").inc()

    def call_started(self, path: str) -> None:
        if path == CONVERT:
            self._conversions.inc()

    def call_ended(self, path: str, status: int, seconds: float, body_bytes: int) -> None:
        if path == CONVERT:
            self._conversions.dec()
            self._conversion_bytes.observe(body_bytes)
        if path in self._times:
            self._calls.labels(path, str(status)).inc()
            self._times[path].observe(seconds)

    def line_changed(self, waiting: int, bytes_in_flight: int) -> None:
        self._waiting.set(waiting)
        self._bytes.set(bytes_in_flight)

    def reviewed(self, direction: str, result: str, seconds: float, objects: int) -> None:
        self._conversion_time.labels(direction, result).observe(seconds)
        self._conversion_objects.observe(objects)
