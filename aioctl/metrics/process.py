"""The process: its version, memory, CPU and open files, and how well its event loop keeps up."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from aioctl import __version__

_LAG_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class ProcessMetrics:
    """`aioctl_build_info`, `process_*` (from /proc; nothing where there is none) and `aioctl_event_loop_*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        info = Gauge("aioctl_build_info", "Version of the program, value 1.", ["version"], registry=registry)
        info.labels(__version__).set(1)
        ProcessCollector(registry=registry)
        self._lag = Histogram(
            "aioctl_event_loop_lag_seconds",
            "How late a timer of the event loop fires.",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        self._stalls = Counter(
            "aioctl_event_loop_stalls",
            "Stretches that held the event loop for longer than AIOCTL_STALL_WARNING.",
            registry=registry,
        )

    def lagged(self, seconds: float) -> None:
        """A timer of the loop fired so late."""
        self._lag.observe(seconds)

    def stalled(self) -> None:
        """A stretch held the loop for too long, and is over."""
        self._stalls.inc()
