"""The controller put together: watches, triggers, queue, workers. Knows no settings, no sockets and no metrics library.

`watch` keeps the caches warm on every replica; `work` reconciles and is run only where the lease is held. What changes in
a cache becomes keys in the queue, but not the key of the service whose own reconcile wrote it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import anyio
from anyio.abc import TaskStatus
from structlog.contextvars import bound_contextvars

from aioctl.api import kinds, weight
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef, Served
from aioctl.controller.apply import Applier, ApplyObserver
from aioctl.controller.caches import Caches, CacheStore, Watched, watched
from aioctl.controller.config_users import ConfigUsers
from aioctl.controller.configs import ConfigReconciler
from aioctl.controller.confinement import Confinement, confined_planner
from aioctl.controller.converging import Converger
from aioctl.controller.hearsay import NEWS_PAUSE, Hearsay, heard_of
from aioctl.controller.idle_looks import IdleLookLimit, by_status_alone
from aioctl.controller.interests import Interests
from aioctl.controller.knobs import Knobs
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.marks import Marks
from aioctl.controller.named_watches import NamedWatches
from aioctl.controller.observe import SERVER_VERSION, CacheObservation
from aioctl.controller.own_writes import OwnWrites
from aioctl.controller.pacing import PoolPacer, RollPacer
from aioctl.controller.planner import LocalPlanner, Planner
from aioctl.controller.progress import ProgressObserver
from aioctl.controller.reconcile import Reconciler
from aioctl.controller.service_state import ServiceStates
from aioctl.controller.settling import StatusSettling
from aioctl.controller.signing import ServiceSigner
from aioctl.controller.telling import Teller
from aioctl.controller.traffic import Send, Traffic
from aioctl.controller.trials import Trials
from aioctl.controller.triggers import keys_for
from aioctl.controller.waves import Waves
from aioctl.engine.clock import Clock
from aioctl.engine.queue import LOW_PRIORITY, QueueObserver, WorkQueue
from aioctl.engine.store import Delta
from aioctl.engine.tracing import span
from aioctl.engine.turnstile import Turnstile
from aioctl.engine.workers import ReconcileObserver, Run, run_workers
from aioctl.kube.cached import Cached
from aioctl.kube.client import Client
from aioctl.kube.discovery import Discovery, DiscoveryObserver
from aioctl.kube.events import EventRecorder, EventsObserver
from aioctl.kube.expectations import Expectations
from aioctl.kube.reflector import Reflector, ReflectorObserver
from aioctl.kube.through_gateway import status_of
from aioctl.pki import pairs
from aioctl.plan.policy import Policy


@dataclass(frozen=True)
class Observers:
    """Who is told what happens; see the protocols."""

    queue: QueueObserver
    workers: ReconcileObserver
    reflector: ReflectorObserver
    discovery: DiscoveryObserver
    events: EventsObserver
    apply: ApplyObserver
    progress: ProgressObserver


@dataclass
class Controller:
    """One process's controller for LLMInferenceServices. Three things run: `recorder.run`, `watch` and `work`."""

    client: Client
    events_client: Client
    policy: Policy
    knobs: Knobs
    observers: Observers
    clock: Clock
    turnstile: Turnstile
    service_key: pairs.KeyType = "ec"
    instance: str = ""
    marks: Marks = field(default_factory=Marks)
    send: Send = status_of
    """Sends a request through a gateway."""
    child: Callable[[], AbstractAsyncContextManager[Planner]] | None = None
    """Plans for a confined service; None: a child process for each run."""
    caches: Caches = field(init=False)
    discovery: Discovery = field(init=False)
    queue: WorkQueue[ObjectKey] = field(init=False)
    confined_queue: WorkQueue[ObjectKey] = field(init=False)
    config_queue: WorkQueue[ObjectKey] = field(init=False)
    recorder: EventRecorder = field(init=False)
    reconciler: Reconciler = field(init=False)
    configs: ConfigReconciler = field(init=False)
    states: ServiceStates = field(init=False)
    reflectors: Mapping[Watched, Reflector] = field(init=False)

    def __post_init__(self) -> None:
        watches = watched(self.policy.system_namespace, self.policy.signer)
        self.caches = Caches(watches)
        optional = {watch.kind for watch in watches if watch.kind.optional} | {kinds.AUTH_POLICY, kinds.SCC}
        self.discovery = Discovery(
            self.client,
            sorted(optional, key=str),
            recheck=self.knobs.discovery_interval,
            observer=self.observers.discovery,
        )
        self.confined_queue = WorkQueue(clock=self.clock)
        self.queue = WorkQueue(clock=self.clock, observer=self.observers.queue)
        self.recorder = EventRecorder(
            self.events_client, instance=self.instance, clock=self.clock, observer=self.observers.events
        )
        self.reflectors = {
            watch: Reflector(
                self.client,
                watch.kind,
                store,
                labels=watch.labels,
                fields=watch.fields,
                namespace=watch.namespace,
                metadata_only=watch.metadata_only,
                turnstile=self.turnstile,
                clock=self.clock,
                observer=self.observers.reflector,
            )
            for watch, store in self.caches.stores.items()
        }
        self._working = False
        self.states = ServiceStates()
        self._named = NamedWatches(self._named_reflector, self._named_changed, self._is_watched)
        self._interests = Interests(self.states, first=self._named.want, last=self._named.drop)
        self._idle_looks = IdleLookLimit(self.states, self.clock)
        self._confinement = Confinement(self.marks, self.caches, self._interests, self.clock)
        self._hearsay = Hearsay()
        self._traffic = Traffic(self.send, self.clock, self._wake)
        self._live = live = LiveReads(self.client, self.clock)
        expectations = Expectations(self.caches.get, clock=self.clock)
        self._own_writes = OwnWrites(self._wake)
        applier = Applier(
            # No worker waits in a call: what the server asks to wait, the service waits in the queue.
            self.client.with_patience(0),
            recorder=self.recorder,
            expectations=expectations,
            own_writes=self._own_writes,
            pacer=PoolPacer(self.knobs.pool_create_rate, self.knobs.pool_stagger, self.clock, self.states),
            rolls=RollPacer(self.knobs.roll_interval, self.clock),
            live=live,
            signer=ServiceSigner(self.caches, self.clock, key_type=self.service_key),
            observer=self.observers.apply,
        )
        waves = Waves(
            self.knobs.budget,
            self.knobs.window,
            self.clock,
            lambda: len(self.caches.services()),
            partial(self._wake, priority=LOW_PRIORITY),
        )
        self.reconciler = Reconciler(
            caches=self.caches,
            expectations=expectations,
            states=self.states,
            interests=self._interests,
            clock=self.clock,
            converger=Converger(
                caches=self.caches,
                presence=self.discovery.served,
                version=self.discovery.version,
                live=live,
                trials=Trials(self.client.with_patience(0), self.caches, self.clock, self.states),
                hearsay=self._hearsay,
                traffic=self._traffic,
                applier=applier,
                states=self.states,
                interests=self._interests,
                clock=self.clock,
                waves=waves,
            ),
            teller=Teller(
                applier=applier,
                recorder=self.recorder,
                states=self.states,
                settling=StatusSettling(self.knobs.status_settle, self.clock, self.states),
                clock=self.clock,
            ),
            progress=self.observers.progress,
            planner=LocalPlanner(self.policy, self.turnstile, self.marks),
            child=self.child
            or partial(confined_planner, self.policy, self.turnstile, self.knobs.child_limits),
            confinement=self._confinement,
            confine=partial(self.confined_queue.add, priority=LOW_PRIORITY),
            free=self.queue.add,
            idle_looks=self._idle_looks,
            waves=waves,
            others_work=self._others_work,
        )
        self._config_users = ConfigUsers(self.caches, self.policy)
        self.config_queue = WorkQueue(clock=self.clock)
        self.configs = ConfigReconciler(
            client=self.client.with_patience(0),
            caches=self.caches,
            users=self._config_users,
            recorder=self.recorder,
            clock=self.clock,
            decode=weight.decode,
        )
        self.caches.subscribe(self._changed)
        self.discovery.subscribe(self._presence_changed)
        self.discovery.subscribe_to_version(self._version_changed)

    async def watch(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Keeps discovery and caches up to date for ever; started once every cache has listed."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.discovery.run)
            for reflector in self.reflectors.values():
                group.start_soon(reflector.run)
            await self.discovery.first_look()
            for store in self.caches.stores.values():
                await store.wait_synced()
            task_status.started()

    async def work(
        self,
        *,
        may_finish: Callable[[], bool] = lambda: True,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Reconciles for ever; started when the workers take keys. Changes seen before count as seen: all are added.

        `may_finish` is asked from the cancellation on: whether the reconciles that run still have the right to write.
        """
        self._working = True
        self._add_all()
        async with anyio.create_task_group() as group:
            group.start_soon(self._resync)
            group.start_soon(self._named.run)
            group.start_soon(self._traffic.run)
            group.start_soon(self._work_confined, may_finish)
            group.start_soon(self._work_configs, may_finish)
            await run_workers(
                self.queue,
                self.reconciler.run,
                workers=self.knobs.workers,
                deadline=self.knobs.reconcile_deadline,
                grace=self.knobs.grace,
                may_finish=may_finish,
                context=_log_context,
                clock=self.clock,
                observer=self.observers.workers,
                task_status=task_status,
            )
            group.cancel_scope.cancel()

    async def _work_confined(self, may_finish: Callable[[], bool]) -> None:
        """The worker of the confined services: one, so that each of them is planned alone."""
        await run_workers(
            self.confined_queue,
            self.reconciler.run_confined,
            workers=1,
            deadline=self.knobs.reconcile_deadline,
            grace=self.knobs.grace,
            may_finish=may_finish,
            context=_log_context,
            clock=self.clock,
            observer=_Runs(self.observers.workers),
        )

    async def _work_configs(self, may_finish: Callable[[], bool]) -> None:
        """The worker of the configs: one is enough for finalizers and statuses."""
        await run_workers(
            self.config_queue,
            self.configs.run,
            workers=1,
            deadline=self.knobs.reconcile_deadline,
            grace=self.knobs.grace,
            may_finish=may_finish,
            context=_config_log_context,
            clock=self.clock,
            observer=ReconcileObserver(),
        )

    def _others_work(self) -> bool:
        queued = self.queue.statistics()
        return bool(queued.ready or queued.running)

    async def _resync(self) -> None:
        """Looks at every service again now and then: certificates age, and what nobody watches may have changed."""
        while True:
            await anyio.sleep(self.knobs.resync)
            self._add_all()

    def _add_all(self) -> None:
        for key in dict.fromkeys((*self.caches.services(), *self._confinement.keys())):
            self._wake(key, LOW_PRIORITY)
        for key in self.caches.keys(kinds.CONFIG):
            self.config_queue.add(key, priority=LOW_PRIORITY)

    def view(self, key: ObjectKey) -> CacheObservation:
        """What a plan of the service would see now, for those who only look: what nobody has read is not fetched."""
        return CacheObservation(
            key,
            self.caches,
            self.discovery.served,
            self._live,
            self.reconciler.converger.decoded,
            version=self.discovery.version,
        )

    def watch_ages(self) -> Mapping[str, float]:
        """Seconds since each running watch was last heard of, by resource and selector."""
        ages = {
            f"{watch.kind.resource}{f' ({watch.labels})' if watch.labels else ''}": reflector.last_event_age
            for watch, reflector in self.reflectors.items()
        }
        return {name: age for name, age in ages.items() if age is not None}

    def _changed(self, watch: Watched, delta: Delta[ObjectKey, Cached]) -> None:
        kind = watch.kind
        ref = ObjectRef(kind, delta.key.namespace, delta.key.name)
        if delta.new is None:
            self.reconciler.gone(ref)
        configs = self._config_users.changed(delta.key, delta.new) if kind == kinds.SERVICE else set()
        gateways = self._hearsay.changed(delta.key, delta.new) if kind == kinds.HTTP_ROUTE else ()
        if not self._working:
            return
        priority = LOW_PRIORITY if delta.initial else 0
        if kind == kinds.CONFIG:
            configs = self._config_users.siblings(delta.key)
        for config in configs:
            if kind == kinds.CONFIG or not self.configs.waits(config):
                self.config_queue.add(config, priority=priority)
        keys = keys_for(kind, delta.old, delta.new, self._interests, self.policy.system_namespace)
        if delta.new is not None:
            keys = self._own_writes.to_wake(ref, delta.new.resource_version, keys, priority)
        by_status = kind != kinds.SERVICE and by_status_alone(delta.old, delta.new)
        for key in keys:
            self._wake(key, priority, after=self._idle_looks.wait(key) if by_status else 0.0)
        for key in {key for gateway in gateways for key in self._interests.readers(heard_of(gateway))} - keys:
            self._wake(key, priority, after=max(NEWS_PAUSE, self._idle_looks.wait(key) if by_status else 0.0))

    def _named_reflector(self, ref: ObjectRef, store: CacheStore) -> Reflector:
        return Reflector(
            self.client,
            ref.kind,
            store,
            fields=f"metadata.name={ref.name}",
            namespace=ref.namespace,
            metadata_only=True,
            turnstile=self.turnstile,
            clock=self.clock,
            observer=self.observers.reflector,
        )

    def _is_watched(self, ref: ObjectRef) -> bool:
        return any(
            watch.kind == ref.kind
            and watch.fields == f"metadata.name={ref.name}"
            and watch.namespace == ref.namespace
            for watch in self.caches.stores
        )

    def _named_changed(self, ref: ObjectRef, version: str, first: bool) -> None:  # noqa: FBT001  one fact, no switch
        """Whoever has read it plans again; at the first look only where something else was read before."""
        if first and self._live.is_current(ref, version):
            return
        self._live.forget(ref)
        for key in self._interests.readers(ref):
            self._wake(key, 0)

    def _wake(self, key: ObjectKey, priority: int, *, after: float = 0.0) -> None:
        queue = self.confined_queue if self._confinement.holds(key) else self.queue
        if after:
            queue.add_after(key, after, priority=priority)
        else:
            queue.add(key, priority=priority)

    def _version_changed(self) -> None:
        """The API server was updated: news for those whose plan asked."""
        for key in self._interests.readers(SERVER_VERSION):
            self._wake(key, LOW_PRIORITY)

    def _presence_changed(self, kind: Kind, presence: Served) -> None:
        """A kind came or went: its watch looks at once, and every service may want something else."""
        for watch, reflector in self.reflectors.items():
            if watch.kind == kind and presence is Served.YES:
                reflector.poke()
        if self._working:
            self._add_all()


class _Runs(ReconcileObserver):
    """Tells of the runs of the confined services, not of their worker: the figures of workers are the others'."""

    def __init__(self, observer: ReconcileObserver) -> None:
        self._observer = observer

    def finished(self, run: Run) -> None:
        self._observer.finished(run)


def _config_log_context(key: ObjectKey) -> AbstractContextManager[object]:
    return _run_context("llminferenceserviceconfig", kinds.CONFIG, key, config=str(key))


def _log_context(key: ObjectKey) -> AbstractContextManager[object]:
    return _run_context("llminferenceservice", kinds.SERVICE, key, service=str(key))


@contextmanager
def _run_context(controller: str, kind: Kind, key: ObjectKey, **named: str) -> Iterator[None]:
    """Around one run: a span, and what every line that is logged in it says, in the key names of controller-runtime."""
    run = str(uuid4())
    fields = {
        "controller": controller,
        "controllerGroup": kind.group,
        "controllerKind": kind.kind,
        "namespace": key.namespace,
        "name": key.name,
        "reconcileID": run,
        **named,
    }
    attributes = {"k8s.namespace.name": key.namespace, "k8s.object.name": key.name, "reconcileID": run}
    with bound_contextvars(**fields), span(f"reconcile {controller}", attributes=attributes):
        yield
