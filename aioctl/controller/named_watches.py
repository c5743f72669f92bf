"""Watches of single ConfigMaps that services refer to, such as those with a picker's configuration (WATCH-3).

Nobody else's ConfigMaps are watched as a whole, so each that a plan has read is watched by its name as long as a service reads it:
its metadata only, for all that is wanted to know is that it is another one. A change drops what is kept of it and wakes who
reads it.
"""

from collections.abc import Callable
from typing import Final

import anyio
import structlog
from anyio.abc import TaskGroup

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.caches import CacheStore
from aioctl.engine.store import Delta, Store
from aioctl.kube.cached import Cached
from aioctl.kube.reflector import Reflector
from aioctl.plan import ca_bundle

MOST: Final = 100
"""Watches at a time, each a connection. ConfigMaps beyond that are read again after `live_reads.FRESH_PRESENT` seconds, when
something else wakes the service."""

log = structlog.get_logger(__name__)


class NamedWatches:
    """Which ConfigMaps are watched follows from what plans read; see `Interests`."""

    def __init__(
        self,
        reflector: Callable[[ObjectRef, CacheStore], Reflector],
        changed: Callable[[ObjectRef, str, bool], None],
        is_watched: Callable[[ObjectRef], bool],
    ) -> None:
        """`changed` gets the object, its version, empty when it is not there, and whether this is the first look at it.

        `is_watched`: it is seen otherwise.
        """
        self._reflector = reflector
        self._changed = changed
        self._is_watched = is_watched
        self._wanted: dict[ObjectRef, None] = {}
        self._running: dict[ObjectRef, anyio.CancelScope] = {}
        self._news = anyio.Event()
        self._is_full = False

    def want(self, ref: ObjectRef) -> None:
        """A service has begun to read the object."""
        # Our own copies of the CA bundle, one in each namespace, are set right in any reconcile.
        if ref.kind == kinds.CONFIG_MAP and ref.name != ca_bundle.NAME and not self._is_watched(ref):
            self._wanted[ref] = None
            self._news.set()

    def drop(self, ref: ObjectRef) -> None:
        """Nobody reads it any more."""
        if ref in self._wanted:
            del self._wanted[ref]
            self._news.set()

    async def run(self) -> None:
        """Watches what is wanted, until cancelled; what is wanted longest goes first."""
        async with anyio.create_task_group() as group:
            while True:
                self._news = anyio.Event()
                self._adjust(group)
                await self._news.wait()

    def _adjust(self, group: TaskGroup) -> None:
        for ref in [ref for ref in self._running if ref not in self._wanted]:
            self._running.pop(ref).cancel()
        for ref in self._wanted:
            if len(self._running) >= MOST:
                break
            if ref not in self._running:
                self._running[ref] = anyio.CancelScope()
                group.start_soon(self._watch, ref, self._running[ref])
        full = len(self._wanted) > MOST
        if full and not self._is_full:
            log.warning("too many ConfigMaps to watch", wanted=len(self._wanted), watched=MOST)
        self._is_full = full

    async def _watch(self, ref: ObjectRef, scope: anyio.CancelScope) -> None:
        store: CacheStore = Store({})

        def told(delta: Delta[ObjectKey, Cached]) -> None:
            version = delta.new.resource_version if delta.new is not None else ""
            self._changed(ref, version, delta.initial)

        store.subscribe(told)
        with scope:
            async with anyio.create_task_group() as group:
                group.start_soon(self._reflector(ref, store).run)
                await store.wait_synced()
                if ref.key not in store:
                    self._changed(ref, "", True)
