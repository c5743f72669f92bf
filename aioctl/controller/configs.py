"""The reconcile of configs: finalizer and status, and nothing else (CFG-5). It writes them itself, with no part in services.

The count of users of a well-known config changes with every service of the cluster, so a status is written at most once in
`PAUSE` seconds; a deletion is not held up by that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import FieldError, Object, is_deleting, resource_version_of
from aioctl.controller.apply import Recorder
from aioctl.controller.caches import Caches
from aioctl.controller.config_users import ConfigUsers
from aioctl.controller.conflicts import FIRST_RETRY, conflict_wait
from aioctl.engine.clock import Clock
from aioctl.engine.workers import Done, Failed, RequeueAfter, Result
from aioctl.kube.client import Client
from aioctl.kube.errors import Conflict, Forbidden, Invalid, KubeError, NotFound, asked_to_wait
from aioctl.kube.events import regarding
from aioctl.plan import config_use

log = structlog.get_logger(__name__)

PAUSE: Final = 5.0
"""Seconds between two writes of a config's status: eleven well-known configs make some two writes a second at most."""
LOOK_AGAIN: Final = 30.0
"""Seconds until a namespace is looked at again, whose services go while their config waits for them."""


@dataclass
class ConfigReconciler:
    """`run` is what the worker calls. A config that cannot be read is left alone: admission and services name its fields."""

    client: Client
    caches: Caches
    users: ConfigUsers
    recorder: Recorder
    clock: Clock
    decode: Callable[[bytes], Object]
    _written: dict[ObjectKey, float] = field(default_factory=dict)
    _deferred: dict[ObjectKey, str] = field(default_factory=dict)
    """The version of the config whose next status waits: only the count of its users can have changed since."""
    _conflicts: dict[ObjectKey, int] = field(default_factory=dict)
    """In a row."""

    async def run(self, key: ObjectKey) -> Result:
        cached = self.caches.get(kinds.CONFIG, key)
        if cached is None:
            self._written.pop(key, None)
            self._deferred.pop(key, None)
            self._conflicts.pop(key, None)
            return Done()
        if self.waits(key):
            return RequeueAfter(self._due(key), quiet=True)
        self._deferred.pop(key, None)
        try:
            config = self.decode(cached.raw)
            users = self.users.of(key)
            goes = bool(users) and is_deleting(config) and self.users.all_go(users, key.namespace)
            if goes and await self._terminates(key.namespace):
                users = []
            wanted = config_use.plan(config, users, self.clock.now())
        except FieldError as error:
            log.warning("config left alone", config=str(key), problem=str(error))
            return Done()
        try:
            result = await self._write(key, config, wanted)
        except NotFound:
            # It is gone, or the CRD is an older one without a status.
            return Done()
        except Conflict:
            self._conflicts[key] = conflicts = self._conflicts.get(key, 0) + 1
            return RequeueAfter(conflict_wait(conflicts), quiet=True)
        except KubeError as error:
            if wait := asked_to_wait(error):
                return RequeueAfter(wait, quiet=True)
            if isinstance(error, Forbidden | Invalid):
                self.recorder.event(regarding(config), "Warning", "Error", f"Reconciliation failed: {error}")
            return Failed(error)
        self._conflicts.pop(key, None)
        # Nobody watches namespaces.
        return RequeueAfter(LOOK_AGAIN, quiet=True) if goes and users and isinstance(result, Done) else result

    def waits(self, key: ObjectKey) -> bool:
        """Whether it comes back by itself when its status may be written: other users alone are no reason to look at it before."""
        cached = self.caches.get(kinds.CONFIG, key)
        deferred = cached is not None and self._deferred.get(key) == cached.resource_version
        return deferred and self._due(key) >= FIRST_RETRY

    def _due(self, key: ObjectKey) -> float:
        """Seconds until its status may be written again; the last moments are not worth a wait, which floating point may
        make one of nothing."""
        return self._written.get(key, -PAUSE) + PAUSE - self.clock.monotonic()

    async def _terminates(self, namespace: str) -> bool:
        """Whether the namespace is being deleted: services that go with it, and with their config, keep that no longer."""
        try:
            return is_deleting(await self.client.get(kinds.NAMESPACE, "", namespace))
        except KubeError as error:
            log.warning("namespace cannot be read", namespace=namespace, error=str(error))
            return False

    async def _write(self, key: ObjectKey, config: Object, wanted: config_use.ConfigPlan) -> Result:
        if wanted.finalizers is not None:
            metadata = {"finalizers": list(wanted.finalizers), "resourceVersion": resource_version_of(config)}
            await self.client.patch(kinds.CONFIG, key.namespace, key.name, {"metadata": metadata})
            return Done()
        if wanted.status is None:
            return Done()
        due = self._due(key)
        if due >= FIRST_RETRY and not is_deleting(config):
            self._deferred[key] = resource_version_of(config)
            return RequeueAfter(due, quiet=True)
        await self.client.update(kinds.CONFIG, {**config, "status": wanted.status}, subresource="status")
        self._written[key] = self.clock.monotonic()
        if wanted.blocked:
            self.recorder.event(regarding(config), "Warning", config_use.BLOCKED, wanted.blocked)
        return Done()
