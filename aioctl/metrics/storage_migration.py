"""The rewriting of stored objects into the storage version (`aioctl_storage_migration_*`)."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from aioctl.api.kinds import Kind
from aioctl.upkeep.storage_migration import Rewrite, StorageMigrationObserver


class StorageMigrationMetrics(StorageMigrationObserver):
    """By kind what remains, by result what was done."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._remaining = Gauge(
            "aioctl_storage_migration_remaining",
            "Stored objects still to be rewritten.",
            ["kind"],
            registry=registry,
        )
        self._rewritten = Counter(
            "aioctl_storage_migration_objects",
            "Stored objects rewritten, by result.",
            ["result"],
            registry=registry,
        )
        for result in Rewrite:
            self._rewritten.labels(result.value)

    def rewrite(self, kind: Kind, result: Rewrite) -> None:
        self._rewritten.labels(result.value).inc()

    def remaining(self, kind: Kind, objects: int) -> None:
        self._remaining.labels(kind.resource).set(objects)
