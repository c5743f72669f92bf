"""All families in one registry, and the page that shows them.

Names that dashboards know keep their names (`workqueue_*`, `controller_runtime_reconcile_*`, `rest_client_*`,
`leader_election_master_status`, `certwatcher_*`, `process_*`); ours are `aioctl_*`. Labels are few and closed; object names are in logs,
not in labels, but for the gateways that services use now and for the bounded series of `services.py`. Series whose labels are known exist at zero from the start.
Children are looked up once and kept: the page is rendered on the loop that serves webhooks. `docs/reference.md` lists
them; a test compares.
"""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, disable_created_metrics

from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.metrics.certificate import CertificateMetrics
from aioctl.metrics.client import ClientMetrics
from aioctl.metrics.migration import MigrationMetrics
from aioctl.metrics.pools import PoolMetrics
from aioctl.metrics.process import ProcessMetrics
from aioctl.metrics.queue import QueueMetrics
from aioctl.metrics.reconcile import ReconcileMetrics
from aioctl.metrics.services import ServiceSeries
from aioctl.metrics.shared import exposed
from aioctl.metrics.storage_migration import StorageMigrationMetrics
from aioctl.metrics.webhook import WebhookMetrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series beside every counter and histogram, which no dashboard reads


class Metrics:
    """The families, each the observer of what it measures. One set per process; tests make their own."""

    def __init__(
        self, *, webhook_paths: Iterable[str] = (), clock: Clock = SYSTEM_CLOCK, service_series: int = 0
    ) -> None:
        """`webhook_paths`: those whose calls are counted; `service_series`: services with series of their own, at most."""
        self.registry = CollectorRegistry()
        self.process = ProcessMetrics(self.registry)
        self.queue = QueueMetrics(self.registry)
        self.reconcile = ReconcileMetrics(self.registry)
        self.client = ClientMetrics(self.registry)
        self.certificate = CertificateMetrics(self.registry, clock)
        self.webhook = WebhookMetrics(self.registry, webhook_paths)
        self.migration = MigrationMetrics(self.registry, clock)
        self.pools = PoolMetrics(self.registry)
        self.storage_migration = StorageMigrationMetrics(self.registry)
        self.services = ServiceSeries(self.registry, service_series)

    def render(self) -> bytes:
        """The whole page in the text format."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The page family by family, so that no stretch of rendering holds up the loop (ARCH-8)."""
        for family in self.registry.collect():
            yield exposed(family)
        yield from self.services.pieces()
