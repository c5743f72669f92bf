"""What the writer writes, and of it the creations of InferencePools, which wait for their turn."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from aioctl.api import kinds
from aioctl.controller.apply import ApplyObserver
from aioctl.plan.model import Verb, Write

_POOLS: Final = (kinds.POOL_V1, kinds.POOL_V1ALPHA2)


class PoolMetrics(ApplyObserver):
    """`aioctl_writes*` and `aioctl_pool_creations*`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        created = Counter("aioctl_pool_creations", "InferencePools created.", ["version"], registry=registry)
        self._created = {pool: created.labels(pool.version) for pool in _POOLS}
        self._deferred = Counter(
            "aioctl_pool_creations_deferred",
            "Times a pool creation had to wait for its turn.",
            registry=registry,
        )
        self._writes = Counter(
            "aioctl_writes", "Writes by verb and kind.", ["verb", "kind"], registry=registry
        )
        self._avoided = Counter(
            "aioctl_writes_avoided", "Updates that a dry run showed to change nothing.", registry=registry
        )

    def written(self, write: Write) -> None:
        self._writes.labels(write.verb.value, write.kind.kind).inc()
        if write.verb is Verb.CREATE and write.kind in self._created:
            self._created[write.kind].inc()

    def avoided(self, write: Write) -> None:
        self._avoided.inc()

    def deferred(self, write: Write, seconds: float) -> None:
        self._deferred.inc()
