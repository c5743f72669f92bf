"""Events about objects, written in the background.

Recording never waits and never fails: an event goes into a bounded queue, what does not fit is counted and dropped. The
same event again (object, type, reason, message) becomes a higher count on the one already written, at most one write per
`REPEAT` seconds; distinct messages are never merged, unlike in the Go library (EVENT-1). They are
core `v1` Events, as the Go controller's, so that `kubectl describe` shows them the same way.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from sys import intern
from typing import Any, Final

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl.api.kinds import CONFIG, Kind
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.kube.client import Client
from aioctl.kube.errors import (
    AlreadyExists,
    ApiError,
    KubeError,
    NotFound,
    ServerUnavailable,
    TooManyRequests,
)

CORE_EVENT: Final = Kind("", "v1", "Event", "events")
COMPONENT: Final = "LLMInferenceServiceController"
CONFIG_COMPONENT: Final = "LLMInferenceServiceConfigController"
"""The source of events about configs: KServe has a controller of its own for them."""
REPEAT: Final = 10.0
"""Seconds between two writes of the same event."""
QUEUE: Final = 20_000
"""Events that may wait: those of 1,000 services created at once, 10 MB."""
REMEMBERED: Final = 4096
"""Events whose repetition is recognised beyond those that wait; client-go remembers as many."""
ATTEMPTS: Final = 4
FLUSH: Final = 3.0
"""Seconds the last events get at the stop."""
MESSAGE: Final = 8192
"""Characters of a message at most; an object of etcd is no place for a page of HTML."""

log = structlog.get_logger(__name__)


class EventsObserver:
    """Hook for metrics."""

    def event_written(self) -> None: ...

    def event_dropped(self, why: str) -> None:
        """`full`: the queue was full; `refused`: the server does not want it; `failed`: it could not be delivered."""


def regarding(obj: Mapping[str, Any]) -> dict[str, str]:
    """The reference an event needs, from an object with apiVersion and kind."""
    metadata = obj.get("metadata") or {}
    found = {
        "apiVersion": obj.get("apiVersion"),
        "kind": obj.get("kind"),
        "namespace": metadata.get("namespace"),
        "name": metadata.get("name"),
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {field: str(value) for field, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class _Same:
    """What makes two events the same."""

    kind: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    message: str


@dataclass(slots=True)
class _Tally:
    """One event: what was counted, and what of it the server knows."""

    api_version: str
    resource_version: str
    """Of the object as it was at the first."""
    first: datetime
    last: datetime
    count: int = 0
    name: str = ""
    """Of the Event object: chosen once, so that a repeated create cannot make two."""
    written: bool = False
    due: float = 0.0
    """Loop time before which the next write is not made."""


class EventRecorder:
    """Records events; `run` writes them."""

    def __init__(
        self,
        client: Client,
        *,
        instance: str = "",
        queue: int = QUEUE,
        clock: Clock = SYSTEM_CLOCK,
        observer: EventsObserver | None = None,
    ) -> None:
        """`client` should not share its rate limit with the work. `instance` names this process (the pod), `queue` bounds
        the events that wait."""
        self._client = client
        self._instance = instance
        self._queue = queue
        self._clock = clock
        self._observer: EventsObserver = observer or EventsObserver()
        self._known: OrderedDict[_Same, _Tally] = OrderedDict()
        self._waiting: OrderedDict[_Same, None] = OrderedDict()
        self._in_flight: _Same | None = None
        self._something = anyio.Event()
        self._last_stamp = 0

    def event(self, regarding: Mapping[str, str], type: str, reason: str, message: str) -> None:  # noqa: A002  the field of the Event
        """Counts one event. `regarding` is a reference as `regarding()` makes it; `type` is Normal or Warning."""
        if len(message) > MESSAGE:
            message = message[: MESSAGE - 3] + "..."
        # A service has twenty events in a storm, all of which wait: what they have in common is kept once.
        of = {field: intern(value) for field, value in regarding.items()}
        same = _Same(
            of.get("kind", ""),
            of.get("namespace", ""),
            of.get("name", ""),
            of.get("uid", ""),
            type,
            reason,
            message,
        )
        if same not in self._waiting and len(self._waiting) >= self._queue:
            self._observer.event_dropped("full")
            return
        now = self._clock.now()
        tally = self._known.get(same)
        if tally is None:
            tally = self._known[same] = _Tally(
                of.get("apiVersion", ""), of.get("resourceVersion", ""), first=now, last=now
            )
        tally.count += 1
        tally.last = now
        self._known.move_to_end(same)
        self._waiting[same] = None
        self._something.set()
        self._forget_oldest()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then writes what is left, for at most `FLUSH` seconds."""
        task_status.started()
        try:
            while True:
                await self._write_next()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(FLUSH):
                await self.flush()
            for _ in self._waiting:
                self._observer.event_dropped("failed")

    async def flush(self) -> None:
        """Writes all that waits, without regard to `REPEAT`."""
        while self._waiting:
            await self._write(next(iter(self._waiting)))

    async def _write_next(self) -> None:
        """Writes the first event that is due, or waits for one."""
        now = self._clock.monotonic()
        # Nearly always the first one is due: a storm's backlog must not be walked for every event.
        ready = next((same for same in self._waiting if self._known[same].due <= now), None)
        if ready is not None:
            await self._write(ready)
            return
        self._something = anyio.Event()
        soonest = min((self._known[same].due for same in self._waiting), default=None)
        with anyio.move_on_after(None if soonest is None else soonest - now):
            await self._something.wait()

    async def _write(self, same: _Same) -> None:
        tally = self._known[same]
        del self._waiting[same]
        self._in_flight = same
        try:
            await self._deliver(same, tally)
        except anyio.get_cancelled_exc_class():
            self._waiting[same] = None
            raise
        finally:
            self._in_flight = None
        self._forget_oldest()

    async def _deliver(self, same: _Same, tally: _Tally) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._send(same, tally)
            except KubeError as error:
                hopeless = isinstance(error, ApiError) and not isinstance(
                    error, TooManyRequests | ServerUnavailable
                )
                if hopeless or attempt == ATTEMPTS - 1:
                    log.warning("event dropped", reason=same.reason, name=same.name, error=str(error))
                    self._observer.event_dropped("refused" if hopeless else "failed")
                    return
                await anyio.sleep(2.0**attempt)
            else:
                tally.due = self._clock.monotonic() + REPEAT
                self._observer.event_written()
                return

    async def _send(self, same: _Same, tally: _Tally) -> None:
        namespace = same.namespace or "default"
        if tally.written:
            repeat = {"count": tally.count, "lastTimestamp": _time(tally.last)}
            try:
                await self._client.patch(CORE_EVENT, namespace, tally.name, repeat)
            except NotFound:
                # Events live for an hour; this one is counted anew.
                tally.written = False
                tally.name = ""
                tally.first = tally.last
                tally.count = 1
            else:
                return
        tally.name = tally.name or self._new_name(same, tally)
        try:
            await self._client.create(CORE_EVENT, namespace, self._body(same, tally, namespace))
        except AlreadyExists:
            log.debug("event was written by an attempt whose answer got lost", name=tally.name)
        tally.written = True

    def _new_name(self, same: _Same, tally: _Tally) -> str:
        """As client-go: the object's name and a time in nanoseconds; never the same twice."""
        stamp = int(tally.first.timestamp() * 1e6) * 1000
        self._last_stamp = max(stamp, self._last_stamp + 1)
        return f"{same.name[:235].rstrip('-.')}.{self._last_stamp:x}"

    def _body(self, same: _Same, tally: _Tally, namespace: str) -> dict[str, Any]:
        involved = {
            "apiVersion": tally.api_version,
            "kind": same.kind,
            "namespace": same.namespace,
            "name": same.name,
            "uid": same.uid,
            "resourceVersion": tally.resource_version,
        }
        component = CONFIG_COMPONENT if same.kind == CONFIG.kind else COMPONENT
        return {
            "apiVersion": CORE_EVENT.api_version,
            "kind": CORE_EVENT.kind,
            "metadata": {"name": tally.name, "namespace": namespace},
            "involvedObject": {field: value for field, value in involved.items() if value},
            "type": same.type,
            "reason": same.reason,
            "message": same.message,
            "source": {"component": component},
            "reportingComponent": component,
            "reportingInstance": self._instance,
            "firstTimestamp": _time(tally.first),
            "lastTimestamp": _time(tally.last),
            "count": tally.count,
        }

    def _forget_oldest(self) -> None:
        """What is still to be written, or being written, is kept beyond the number that is remembered."""
        spare = self._in_flight if self._in_flight not in self._waiting else None
        while len(self._known) > REMEMBERED + len(self._waiting) + (spare is not None):
            oldest = next(same for same in self._known if same not in self._waiting and same != spare)
            del self._known[oldest]


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
