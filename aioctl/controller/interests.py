"""Which services read which objects: a change of an object wakes exactly the services whose last plan looked at it.

Every read a plan makes is recorded (`observe.py`), present or not, so gateways, referenced routes, external pools, presets,
secrets and the ConfigMap need no mapping of their own, whether they are named in the service or in a baseRef
(WATCH-1: mapping by the combined spec).
"""

from collections.abc import Callable, Iterable

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.service_state import ServiceState, ServiceStates


def members_of(namespace: str, group: str) -> ObjectRef:
    """What stands for all services of a traffic group, whoever they are; no service has such a name."""
    return ObjectRef(kinds.SERVICE, namespace, f"{names.ROUTING_GROUP}={group}")


class Interests:
    """Forward and reverse index between services and the objects their plans read."""

    def __init__(
        self,
        states: ServiceStates,
        first: Callable[[ObjectRef], None] = lambda _: None,
        last: Callable[[ObjectRef], None] = lambda _: None,
    ) -> None:
        """`first` and `last` are told of an object that somebody begins to read, and that nobody reads any more."""
        self._states = states
        self._first = first
        self._last = last
        self._readers: dict[ObjectRef, ObjectKey | set[ObjectKey]] = {}
        """Most objects have one reader, and a set of one costs 216 bytes, for 34 objects of each service."""

    def record(self, service: ObjectKey, reads: Iterable[ObjectRef]) -> None:
        """Replaces what the service is interested in."""
        new = frozenset(reads)
        state = self._states.of(service)
        old = frozenset(state.reads)
        if new == old:
            return
        for ref in old - new:
            self._drop(ref, service)
        for ref in new - old:
            self._add(ref, service)
        state.reads = tuple(new)

    def widen(self, service: ObjectKey, reads: Iterable[ObjectRef]) -> None:
        """Adds to it: what was read must wake the service from then on, though its reconcile goes on reading."""
        state = self._states.of(service)
        news = frozenset(reads).difference(state.reads)
        for ref in news:
            self._add(ref, service)
        if news:
            state.reads = (*state.reads, *news)

    def forget(self, service: ObjectKey, state: ServiceState) -> None:
        """Removes a service that is gone, and was remembered so."""
        for ref in state.reads:
            self._drop(ref, service)

    def reads(self, service: ObjectKey) -> frozenset[ObjectRef]:
        """What the service's last plan read."""
        state = self._states.known(service)
        return frozenset(state.reads) if state is not None else frozenset()

    def readers(self, ref: ObjectRef) -> frozenset[ObjectKey]:
        """The services whose last plan read the object."""
        found = self._readers.get(ref)
        if found is None:
            return frozenset()
        return frozenset(found) if isinstance(found, set) else frozenset((found,))

    def _add(self, ref: ObjectRef, service: ObjectKey) -> None:
        found = self._readers.get(ref)
        if found is None:
            self._readers[ref] = service
            self._first(ref)
        elif isinstance(found, set):
            found.add(service)
        elif found != service:
            self._readers[ref] = {found, service}

    def _drop(self, ref: ObjectRef, service: ObjectKey) -> None:
        found = self._readers.get(ref)
        if isinstance(found, set):
            found.discard(service)
            if len(found) == 1:
                self._readers[ref] = found.pop()
        elif found == service:
            del self._readers[ref]
            self._last(ref)
