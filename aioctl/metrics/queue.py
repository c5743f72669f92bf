"""The work queue, in client-go's terms (`workqueue_*`)."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from aioctl.api.kinds import ObjectKey
from aioctl.engine.queue import QueueObserver, WorkQueue
from aioctl.metrics.shared import CONTROLLER, WORK_BUCKETS


class QueueMetrics(QueueObserver):
    """All series exist at zero from the start, but for the two ages: they need a queue to ask, see `watch`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        r = registry
        name = ["name"]
        self._adds = Counter("workqueue_adds", "Keys that became ready.", name, registry=r).labels(CONTROLLER)
        self._retries = Counter("workqueue_retries", "Keys added with back-off.", name, registry=r).labels(
            CONTROLLER
        )
        self._depth = Gauge("workqueue_depth", "Keys that are ready now.", name, registry=r).labels(
            CONTROLLER
        )
        self._wait = Histogram(
            "workqueue_queue_duration_seconds",
            "From ready to taken.",
            name,
            buckets=WORK_BUCKETS,
            registry=r,
        ).labels(CONTROLLER)
        self._work = Histogram(
            "workqueue_work_duration_seconds",
            "From taken to finished.",
            name,
            buckets=WORK_BUCKETS,
            registry=r,
        ).labels(CONTROLLER)

    def watch(self, queue: WorkQueue[ObjectKey]) -> None:
        """Adds the two figures that only a question can answer."""
        self._registry.register(_Ages(queue))

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


class _Ages(Collector):
    def __init__(self, queue: WorkQueue[ObjectKey]) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        unfinished, longest = self._queue.unfinished_seconds(), self._queue.longest_running_seconds()
        yield _age("unfinished_work_seconds", "Work in progress, summed up.", unfinished)
        yield _age("longest_running_processor_seconds", "Age of the oldest run.", longest)

    def describe(self) -> Iterable[Metric]:
        return ()


def _age(name: str, text: str, seconds: float) -> Metric:
    family = GaugeMetricFamily(f"workqueue_{name}", text, labels=["name"])
    family.add_metric([CONTROLLER], seconds)
    return family
