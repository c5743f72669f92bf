"""The composition root: what is started, in which order, with which settings.

Order: metrics and probes, webhook server, caches, leadership, workers. The webhook comes before the caches, because
listing our own kinds needs our own conversion; readiness does not wait for the caches for the same reason. Everything
stops in the reverse order, the webhook last, after a drain.
"""

import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl.api import kinds
from aioctl.api.admission import review_admission
from aioctl.api.kinds import ObjectRef
from aioctl.api.mutation import review_mutation
from aioctl.api.names import well_known_configs
from aioctl.api.review import CONVERT
from aioctl.controller.controller import Controller, Observers
from aioctl.controller.knobs import ChildLimits, Knobs
from aioctl.controller.marks import Marks
from aioctl.controller.progress import ProgressObserver, ProgressObservers
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.engine.lag import LagMonitor
from aioctl.engine.limits import TokenBucket
from aioctl.engine.services import Service, run_services
from aioctl.engine.turnstile import Turnstile
from aioctl.engine.watchdog import Watchdog
from aioctl.fleet_page import FleetPage
from aioctl.heap import Heap
from aioctl.kube.client import Client
from aioctl.kube.config import ClusterConfig, load_config
from aioctl.kube.events import FLUSH
from aioctl.kube.fence import FencedWire
from aioctl.kube.lease import LeaderElection, LeadershipLost, new_identity
from aioctl.kube.server_time import DatedWire, ServerTime
from aioctl.metrics.figures import Figures
from aioctl.metrics.page import Metrics
from aioctl.plan.policy import Policy
from aioctl.plan.waves import parse_budget, parse_window
from aioctl.process import cluster_domain, stop_on_signal
from aioctl.reviews import Reviews
from aioctl.serving.admission import AdmissionHandler
from aioctl.serving.board import Board
from aioctl.serving.certificates import CertificateFiles, ClientAuthorities, LiveCertificate
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.http_server import ListenError
from aioctl.serving.limits import Limits
from aioctl.serving.metrics_page import MetricsPage, MetricsServer
from aioctl.serving.operators_page import OperatorsPage
from aioctl.serving.probes import ProbeServer, fresh_watches, self_conversion, unexpired
from aioctl.serving.webhook import Handler, WebhookServer
from aioctl.settings import CertMode, Settings
from aioctl.stalls import Stalls
from aioctl.tools.page import Standings
from aioctl.upkeep.access import AccessGuard
from aioctl.upkeep.former_autoscalers import delete_former_autoscalers
from aioctl.upkeep.storage_migration import migrate_storage
from aioctl.upkeep.webhook_certificates import WebhookCertificates

log = structlog.get_logger(__name__)

ADMISSION_PATHS: Final = {
    f"/validate-serving-kserve-io-{version}-{kind.lower()}": (version, kind)
    for version in ("v1alpha1", "v1alpha2")
    for kind in (kinds.SERVICE.kind, kinds.CONFIG.kind)
}
"""Path -> version and kind (ADM-1)."""
MUTATION_PATHS: Final = {
    f"/mutate-serving-kserve-io-{version}-{kinds.SERVICE.kind.lower()}": version
    for version in ("v1alpha1", "v1alpha2")
}
"""Path -> version; named as upstream names its mutating webhooks (MUT-1)."""
WATCH_SILENCE: Final = 600.0
"""Seconds without any news after which liveness fails: ten times the bookmarks' period."""
EVENT_RATE: Final = 100.0
"""Events per second: they have a limit of their own, so that they never stand in the way of the work."""

REVIEW_RATE: Final = 20.0
"""Reviews of callers of the metrics port per second: strangers must not make us a burden to the API server."""


def policy_of(settings: Settings) -> Policy:
    """What planning needs of the settings."""
    return Policy(
        system_namespace=settings.namespace,
        cluster_domain=cluster_domain(settings.cluster_domain),
        wildcard_hostname=settings.wildcard_hostname,
        auth_disabled=settings.auth_disabled,
        monitoring_disabled=settings.monitoring_disabled,
        scc_disabled=settings.scc_disabled,
        config_prefix=settings.config_prefix,
        pins_configs=settings.versioned_config,
        strategy=settings.migration_strategy,
        pod_form=settings.pod_form,
        probe=settings.probe,
        pool_status_grace=settings.pool_status_grace,
        signer=ObjectRef(kinds.SECRET, settings.signing_secret_namespace, settings.signing_secret_name),
        istio_ca_path=settings.istio_ca_path,
    )


def knobs_of(settings: Settings) -> Knobs:
    """What the controller needs of the settings."""
    return Knobs(
        workers=settings.workers,
        reconcile_deadline=settings.reconcile_deadline,
        pool_create_rate=settings.pool_create_rate,
        pool_stagger=settings.pool_stagger,
        roll_interval=settings.roll_interval,
        status_settle=settings.status_settle,
        discovery_interval=settings.discovery_interval,
        grace=settings.drain,
        resync=settings.resync,
        budget=parse_budget(settings.migration_budget),
        window=parse_window(settings.migration_window),
        child_limits=ChildLimits(settings.confined_cpu, settings.confined_memory),
    )


def observers_of(metrics: Metrics, *progress: ProgressObserver) -> Observers:
    """The controller's hooks, each filling its family; `progress` are further ones that learn of each service."""
    return Observers(
        queue=metrics.queue,
        workers=metrics.reconcile,
        reflector=metrics.client,
        discovery=metrics.client,
        events=metrics.client,
        apply=metrics.pools,
        progress=ProgressObservers(metrics.migration, *progress),
    )


async def run(settings: Settings, *, kubeconfig: str = "", stop: anyio.Event | None = None) -> None:
    """Runs the program until SIGTERM or `stop`.

    Raises ConfigError, ListenError, LeadershipLost, or the error of the part that crashed.
    """
    config = await load_config(kubeconfig)
    log.info("cluster", server=config.server, source=config.source)
    marks = Marks.in_folder(settings.state_dir)
    application = Application(settings, config, marks=marks)
    stalls = Stalls(marks, application.metrics.process)
    watchdog = Watchdog(
        stalls.told, warn=settings.stall_warning, limit=settings.stall_limit, ended=stalls.ended
    )
    ended = stop or anyio.Event()
    try:
        async with anyio.create_task_group() as group:
            await group.start(watchdog.run)
            group.start_soon(stop_on_signal, ended)
            await application.run(ended)
            group.cancel_scope.cancel()
    except ExceptionGroup as errors:
        # Only one of the two can fail; who calls wants its error, not a group of one.
        raise errors.exceptions[0] from None


class Application:
    """Everything one process runs, built from settings and a cluster."""

    def __init__(
        self,
        settings: Settings,
        config: ClusterConfig,
        *,
        clock: Clock = SYSTEM_CLOCK,
        marks: Marks | None = None,
    ) -> None:
        """`marks`: where this process writes down what it plans; None: nowhere."""
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics(
            webhook_paths=(CONVERT, *ADMISSION_PATHS, *MUTATION_PATHS),
            clock=clock,
            service_series=settings.service_series,
        )
        self._election: LeaderElection | None = None
        """Made when this process begins to stand for the lease."""
        self.turnstile = Turnstile()
        self._has_page = settings.ui and bool(settings.metrics_port)
        self._standings = Standings()
        self._config = config
        self._started = round(clock.now().timestamp(), 1)
        limiter = TokenBucket(settings.api_rate, settings.api_burst, clock)
        server_time = ServerTime(clock)
        wire = DatedWire(config.wire(), server_time)
        client = partial(Client, observer=self.metrics.client, call_timeout=settings.api_timeout)
        fenced = FencedWire(wire, self.leads)  # for what only the leader writes
        self.client = client(fenced, limiter=limiter)
        self._upkeep_client = client(fenced)
        # Leadership, certificates and events must not wait behind a storm of reconciles, nor for leadership.
        aside = partial(client, wire, tells_failures=False)
        self.side_client = aside()
        events_client = aside(limiter=TokenBucket(EVENT_RATE, EVENT_RATE, clock))
        self._review_client = aside(limiter=TokenBucket(REVIEW_RATE, REVIEW_RATE, clock))
        self.controller = Controller(
            client=self.client,
            events_client=events_client,
            policy=policy_of(settings),
            knobs=knobs_of(settings),
            observers=observers_of(self.metrics, *((self._standings,) if self._has_page else ())),
            clock=server_time,
            turnstile=self.turnstile,
            service_key=settings.service_key.value,
            instance=os.environ.get("POD_NAME", socket.gethostname()),
            marks=marks or Marks(),
        )
        self.metrics.queue.watch(self.controller.queue)
        self.metrics.services.watch(self.controller.caches, self.leads)
        self.certificate = LiveCertificate(
            self.metrics.certificate, known_clients=bool(settings.webhook_client_ca)
        )
        handlers: dict[str, Handler] = {
            CONVERT: ConversionHandler(
                self.turnstile, body_limit=settings.conversion_body_limit, observer=self.metrics.webhook
            )
        }
        reviews = Reviews(
            self.controller.caches,
            self.side_client,
            namespace=settings.namespace,
            presence=self.controller.discovery.served,
            well_known=well_known_configs(settings.config_prefix),
            prevents_deletion=settings.prevent_config_deletion,
        )
        for path, (version, kind) in ADMISSION_PATHS.items():
            review = partial(review_admission, version=version, kind=kind, config_rules=reviews.config_rules)
            handlers[path] = AdmissionHandler(review, self.turnstile, before_deletion=reviews.before_deletion)
        for path, version in MUTATION_PATHS.items():
            handlers[path] = AdmissionHandler(
                partial(review_mutation, version=version, marker=reviews.marker), self.turnstile
            )
        known = (*ADMISSION_PATHS, *MUTATION_PATHS) if settings.webhook_client_ca else ()
        self.webhook = WebhookServer(
            settings.webhook_host,
            settings.webhook_port,
            self.certificate,
            handlers,
            limits=Limits(drain=settings.drain),
            turnstile=self.turnstile,
            observer=self.metrics.webhook,
            known_clients=known,
        )

    def leads(self) -> bool:
        """Whether this process reconciles; asked by what only the leader shows."""
        if not self.settings.leader_election:
            return True
        return self._election is not None and self._election.leads

    async def run(self, stop: anyio.Event) -> None:
        """Runs every part until `stop` is set; see the module docstring for the order."""
        try:
            await run_services(tuple(self._services()), stop=stop)
        finally:
            with anyio.CancelScope(shield=True):
                await self.client.aclose()

    def _services(self) -> Iterator[Service]:
        settings = self.settings
        if settings.metrics_port:
            page = MetricsPage("text/plain; version=0.0.4; charset=utf-8", self.metrics.pieces)
            fleet_page, ui = self._page() if self._has_page else (None, None)
            server = MetricsServer(
                settings.metrics_host,
                settings.metrics_port,
                {"/metrics": page},
                turnstile=self.turnstile,
                tls=self.certificate if settings.metrics_auth else None,
                guard=AccessGuard(self._review_client, clock=self.clock) if settings.metrics_auth else None,
                ui=ui,
            )
            yield Service("metrics", server.run, drain=1.0, expected=(ListenError,))
            if fleet_page is not None:
                yield Service("operators' page", fleet_page.run, drain=0.0)
        if settings.health_port:
            yield Service("probes", self._probes().run, drain=1.0, expected=(ListenError,))
        yield Service("loop lag", LagMonitor(self.metrics.process.lagged, clock=self.clock).run, drain=0.0)
        if settings.webhook_client_ca:
            authorities = ClientAuthorities(
                self.certificate, Path(settings.webhook_client_ca), observer=self.metrics.certificate
            )
            yield Service("client authorities", authorities.run, drain=1.0)
        yield Service("certificates", self._certificates(), drain=1.0)
        yield Service("webhooks", self.webhook.run, drain=settings.drain + 1.0, expected=(ListenError,))
        yield Service("events", self.controller.recorder.run, drain=FLUSH)
        yield Service("caches", self.controller.watch, drain=1.0)
        yield Service("heap", Heap().run, drain=0.0)
        yield Service("leadership", self._lead, drain=settings.drain + 3.0, expected=(LeadershipLost,))

    def _page(self) -> tuple[FleetPage, OperatorsPage]:
        board = Board()
        shown = FleetPage(
            self.controller,
            self._standings,
            Figures(self.metrics, self.clock),
            board=board,
            turnstile=self.turnstile,
            clock=self.clock,
            leads=self.leads,
            whoami=self.whoami,
        )
        return shown, OperatorsPage(board, shown.detail)

    def whoami(self) -> dict[str, Any]:
        """See `FleetPage`. Of a lease's holder the part that the pod is named in."""
        election = self._election
        holder = election.holder if election is not None else ""
        return {
            "role": "leader" if self.leads() else "follower",
            "name": self.controller.instance,
            "leader": self.controller.instance if self.leads() else holder.rpartition("_")[0] or holder,
            "namespace": self.settings.namespace,
            "server": self._config.server,
            "port": self.settings.metrics_port,
            "started": self._started,
        }

    def _probes(self) -> ProbeServer:
        ready = self_conversion(self.webhook, self.settings.webhook_host)
        return ProbeServer(
            self.settings.health_host,
            self.settings.health_port,
            healthz={"watches": fresh_watches(self.controller.watch_ages, WATCH_SILENCE)},
            readyz={
                "certificate": unexpired(lambda: self.certificate.pair, self.clock.now),
                "conversion": ready,
            },
        )

    def _certificates(self) -> Callable[..., Awaitable[None]]:
        settings = self.settings
        if settings.cert_mode is CertMode.FILES:
            return CertificateFiles(self.certificate, settings.cert_dir).run
        return WebhookCertificates(
            self.side_client,
            self.certificate,
            namespace=settings.namespace,
            secret=settings.cert_secret,
            service=settings.cert_service,
            domain=self.controller.policy.cluster_domain,
            overlap=settings.cert_overlap,
            clock=self.clock,
        ).run

    async def _lead(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        if not self.settings.leader_election:
            task_status.started()
            await self._work(lambda: True)
            return
        self._election = election = LeaderElection(
            self.side_client,
            self.settings.namespace,
            self.settings.lease_name,
            new_identity(),
            lease_duration=self.settings.lease_duration,
            renew_deadline=self.settings.renew_deadline,
            retry_period=self.settings.retry_period,
            clock=self.clock,
            observer=self.metrics.client,
        )
        await election.run(partial(self._work, lambda: election.leads), task_status=task_status)

    async def _work(self, leads: Callable[[], bool]) -> None:
        """What only the leader does."""
        async with anyio.create_task_group() as group:
            group.start_soon(delete_former_autoscalers, self._upkeep_client)
            if self.settings.storage_migration:
                group.start_soon(self._migrate_storage)
            await self.controller.work(may_finish=leads)

    async def _migrate_storage(self) -> None:
        pace = TokenBucket(self.settings.storage_migration_rate, 1, self.clock)
        await migrate_storage(
            self._upkeep_client,
            (kinds.SERVICE, kinds.CONFIG),
            pace=pace,
            observer=self.metrics.storage_migration,
        )
