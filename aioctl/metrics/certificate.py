"""The certificate that webhooks show (`certwatcher_*`)."""

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from aioctl.engine.clock import Clock
from aioctl.pki.pairs import ParsedPair
from aioctl.serving.certificates import CertificateObserver

log = structlog.get_logger(__name__)


class CertificateMetrics(CertificateObserver):
    """Counts what was read, and logs which pair is served until when."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._loaded = False
        self._reads = Counter(
            "certwatcher_read_certificate", "Times the certificate was read.", registry=registry
        )
        self._errors = Counter(
            "certwatcher_read_certificate_errors",
            "Pairs that could not be used; the old one stayed.",
            registry=registry,
        )
        self._expiry = Gauge(
            "aioctl_certificate_expiry_timestamp_seconds",
            "When the served certificate ends.",
            registry=registry,
        )

    def certificate_read(self) -> None:
        self._reads.inc()

    def certificate_loaded(self, pair: ParsedPair) -> None:
        self._expiry.set(pair.not_after.timestamp())
        self._loaded = True
        fields = {"dns_names": sorted(pair.dns_names), "not_after": pair.not_after.isoformat()}
        if self._clock.now() > pair.not_after:
            log.error("certificate loaded, but it has expired", **fields)
        else:
            log.info("certificate loaded", **fields)

    def certificate_failed(self, problem: str) -> None:
        self._errors.inc()
        if self._loaded:
            log.warning("certificate not usable, the old one stays", problem=problem)
        else:
            log.warning("certificate not usable, webhooks wait for one", problem=problem)
