"""Which services read which objects: a change of an object wakes exactly the services whose last plan looked at it.

Every read a plan makes is recorded (`observe.py`), present or not, so gateways, referenced routes, external pools, presets,
secrets and the ConfigMap need no mapping of their own, whether they are named in the service or in a baseRef
(WATCH-1: mapping by the combined spec).
"""

from collections import defaultdict
from collections.abc import Iterable

from aioctl.api.kinds import ObjectKey, ObjectRef


class Interests:
    """Forward and reverse index between services and the objects their plans read."""

    def __init__(self) -> None:
        self._reads: dict[ObjectKey, frozenset[ObjectRef]] = {}
        self._readers: defaultdict[ObjectRef, set[ObjectKey]] = defaultdict(set)

    def record(self, service: ObjectKey, reads: Iterable[ObjectRef]) -> None:
        """Replaces what the service is interested in."""
        new = frozenset(reads)
        old = self._reads.get(service, frozenset())
        for ref in old - new:
            self._drop(ref, service)
        for ref in new - old:
            self._readers[ref].add(service)
        self._reads[service] = new

    def widen(self, service: ObjectKey, reads: Iterable[ObjectRef]) -> None:
        """Adds to it: what was read must wake the service from then on, though its reconcile goes on reading."""
        known = self._reads.get(service, frozenset())
        new = frozenset(reads)
        for ref in new - known:
            self._readers[ref].add(service)
        self._reads[service] = known | new

    def forget(self, service: ObjectKey) -> None:
        """Removes a service that is gone."""
        for ref in self._reads.pop(service, frozenset()):
            self._drop(ref, service)

    def reads(self, service: ObjectKey) -> frozenset[ObjectRef]:
        """What the service's last plan read."""
        return self._reads.get(service, frozenset())

    def readers(self, ref: ObjectRef) -> frozenset[ObjectKey]:
        """The services whose last plan read the object."""
        return frozenset(self._readers.get(ref, ()))

    def _drop(self, ref: ObjectRef, service: ObjectKey) -> None:
        readers = self._readers[ref]
        readers.discard(service)
        if not readers:
            del self._readers[ref]
