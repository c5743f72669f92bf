"""The reconciles and their workers, in controller-runtime's terms (`controller_runtime_*`)."""

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from aioctl.engine.workers import Failed, ReconcileObserver, ResultLabel, Run
from aioctl.metrics.shared import CONTROLLER, WORK_BUCKETS

log = structlog.get_logger(__name__)


class ReconcileMetrics(ReconcileObserver):
    """Counts every run and logs it in one line."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        controller = ["controller"]
        total = Counter(
            "controller_runtime_reconcile", "Reconciles by result.", [*controller, "result"], registry=r
        )
        self._results = {outcome: total.labels(CONTROLLER, outcome.value) for outcome in ResultLabel}
        self._errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciles that failed.", controller, registry=r
        ).labels(CONTROLLER)
        self._time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of reconciles.",
            controller,
            buckets=WORK_BUCKETS,
            registry=r,
        ).labels(CONTROLLER)
        self._active = Gauge(
            "controller_runtime_active_workers", "Workers that run a reconcile.", controller, registry=r
        ).labels(CONTROLLER)
        self._max = Gauge(
            "controller_runtime_max_concurrent_reconciles", "Workers there are.", controller, registry=r
        ).labels(CONTROLLER)

    def workers(self, count: int) -> None:
        self._max.set(count)

    def active(self, count: int) -> None:
        self._active.set(count)

    def finished(self, run: Run) -> None:
        self._results[run.outcome].inc()
        self._time.observe(run.seconds)
        fields = {"service": str(run.key), "result": run.outcome.value, "seconds": round(run.seconds, 4)}
        if isinstance(run.result, Failed):
            self._errors.inc()
            log.warning(
                "reconcile failed",
                error=str(run.result.error),
                exc_info=run.result.error if run.unexpected else None,
                **fields,
            )
        else:
            log.debug("reconciled", **fields)
