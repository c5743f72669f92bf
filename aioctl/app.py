"""The composition root: what is started, in which order, with which settings (design section 5, issue "The spine" item 2).

Order: metrics and probes, webhook server, caches, leadership, workers. The webhook comes before the caches, because
listing our own kinds needs our own conversion; readiness does not wait for the caches for the same reason. Everything
stops in the reverse order, the webhook last, after a drain.
"""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.controller.manager import Controller, Knobs, Observers
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.engine.lag import LagMonitor
from aioctl.engine.limits import TokenBucket
from aioctl.engine.services import Service, run_services
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.client import Client
from aioctl.kube.config import ClusterConfig, load_config
from aioctl.kube.discovery import Presence
from aioctl.kube.lease import LeaderElection, new_identity
from aioctl.metrics import (
    ApplyMetrics,
    CertificateMetrics,
    ClientMetrics,
    DiscoveryMetrics,
    EventMetrics,
    LeaseMetrics,
    Metrics,
    Progress,
    QueueMetrics,
    ReflectorMetrics,
    WebhookMetrics,
    WorkerMetrics,
)
from aioctl.plan.model import Policy
from aioctl.settings import CertMode, Settings

log = structlog.get_logger(__name__)

RESOLV_CONF = Path("/etc/resolv.conf")
EVENT_RATE = 50.0
"""Events per second: they have a limit of their own, so that they never stand in the way of the work."""


def cluster_domain(fallback: str, resolv_conf: Path = RESOLV_CONF) -> str:
    """The cluster's DNS domain: first `svc.` entry of the search line, else the fallback (spec 30 section 5.1)."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return fallback
    for line in lines:
        words = line.split()
        if words and words[0] == "search":
            for word in words[1:]:
                if word.startswith("svc."):
                    return word.removeprefix("svc.").rstrip(".")
    return fallback


def policy_of(settings: Settings) -> Policy:
    """What planning needs of the settings."""
    return Policy(
        system_namespace=settings.namespace,
        cluster_domain=cluster_domain(settings.cluster_domain),
        wildcard_hostname=settings.wildcard_hostname,
        auth_disabled=settings.auth_disabled,
        monitoring_disabled=settings.monitoring_disabled,
        scc_disabled=settings.scc_disabled,
        strategy=settings.migration_strategy,
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
        status_settle=settings.status_settle,
        discovery_interval=settings.discovery_interval,
        grace=settings.drain,
    )


def observers_of(metrics: Metrics, progress: Progress) -> Observers:
    """The controller's hooks, each filling its metrics."""
    return Observers(
        queue=QueueMetrics(metrics),
        workers=WorkerMetrics(metrics),
        reflector=ReflectorMetrics(metrics),
        discovery=DiscoveryMetrics(metrics),
        events=EventMetrics(metrics),
        apply=ApplyMetrics(metrics),
        progress=progress,
    )


async def run(settings: Settings, *, kubeconfig: str = "", stop: anyio.Event | None = None) -> None:
    """Runs the program until SIGTERM or `stop`. Raises ConfigError, LeadershipLost or the error of a part that crashed."""
    config = await load_config(kubeconfig)
    log.info("cluster", server=config.server, source=config.source)
    application = Application(settings, config)
    ended = stop or anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(_stop_on_signal, ended)
        try:
            await application.run(ended)
        finally:
            group.cancel_scope.cancel()


async def _stop_on_signal(ended: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for signum in signals:
            log.info("stopping", signal=signal.Signals(signum).name)
            ended.set()


class Application:
    """Everything one process runs, built from settings and a cluster."""

    def __init__(self, settings: Settings, config: ClusterConfig, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = Metrics()
        self.turnstile = Turnstile()
        self._config = config
        observer = ClientMetrics(self.metrics)
        limiter = TokenBucket(settings.api_rate, settings.api_burst, clock)
        wire = config.wire()
        self.client = Client(wire, limiter=limiter, observer=observer)
        # Leadership, certificates and events must not wait behind a storm of reconciles.
        self.side_client = Client(wire, observer=observer)
        events_client = Client(wire, limiter=TokenBucket(EVENT_RATE, EVENT_RATE, clock), observer=observer)
        self.progress = Progress(self.metrics, clock)
        self.controller = Controller(
            client=self.client,
            events_client=events_client,
            policy=policy_of(settings),
            knobs=knobs_of(settings),
            observers=observers_of(self.metrics, self.progress),
            clock=clock,
            turnstile=self.turnstile,
            service_key=settings.service_key.value,
            instance=os.environ.get("POD_NAME", socket.gethostname()),
        )
        self.metrics.watch_queue(self.controller.queue)
