"""Traces by OpenTelemetry, where `OTEL_*` variables name an exporter and the extra `aioctl[otel]` is installed.

The SDK reads the rest of its variables itself: endpoint, headers, sampler, resource. Its exporter works in a thread of its
own. Without the variables nothing of it is imported.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog

from aioctl import __version__
from aioctl.engine import tracing
from aioctl.engine.tracing import Kind, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTERS: Final = ("otlp", "console")

log = structlog.get_logger(__name__)


def exporter_asked_for(environ: Mapping[str, str]) -> str:
    """`otlp`, `console` or "" (none): by `OTEL_TRACES_EXPORTER`, else `otlp` where an endpoint is named."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ""
    asked = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if asked == "none":
        return ""
    return asked or ("otlp" if any(environ.get(name) for name in ENDPOINTS) else "")


def start(environ: Mapping[str, str]) -> Callable[[], None]:
    """Has spans recorded if they were asked for; returns what sends the last of them and ends it.

    What cannot be done is said in the log, and the program runs without traces: they are never worth an outage.
    """
    asked = exporter_asked_for(environ)
    if not asked:
        return _nothing
    if asked not in EXPORTERS:
        log.warning(
            "no traces", problem=f"OTEL_TRACES_EXPORTER={asked!r}: must be one of otlp, console, none"
        )
        return _nothing
    try:
        provider = _provider(asked)
    except ImportError as error:
        cure = "pip install 'aioctl[otel]', or the image with EXTRAS=otel"
        log.warning("no traces", problem=f"OTEL_* variables ask for them, but {error}", cure=cure)
        return _nothing
    record(provider)
    log.info("traces", exporter=asked)

    def stop() -> None:
        tracing.use(None)
        provider.shutdown()

    return stop


def record(provider: "TracerProvider") -> None:
    """From now on the program's spans go to this provider."""
    tracing.use(_OpenTelemetry(provider))


def _provider(exporter: str) -> "TracerProvider":
    """Raises ImportError where the extra is not installed."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES are in it.
    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "aioctl"}))
    provider = TracerProvider(resource=resource)
    if exporter == "console":
        provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter()))
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class _OpenTelemetry:
    """The engine's `Tracer` over a provider."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = provider.get_tracer("aioctl", __version__)
        self._kinds = {
            Kind.INTERNAL: SpanKind.INTERNAL,
            Kind.CLIENT: SpanKind.CLIENT,
            Kind.SERVER: SpanKind.SERVER,
        }
        self._propagator = TraceContextTextMapPropagator()

    def span(
        self, name: str, kind: Kind, attributes: Mapping[str, str | int], carrier: Mapping[str, str] | None
    ) -> AbstractContextManager[Span]:
        return self._span(name, kind, attributes, carrier)

    @contextmanager
    def _span(
        self, name: str, kind: Kind, attributes: Mapping[str, str | int], carrier: Mapping[str, str] | None
    ) -> Iterator[Span]:
        context = self._propagator.extract(carrier) if carrier is not None else None
        with self._tracer.start_as_current_span(
            name, context=context, kind=self._kinds[kind], attributes=dict(attributes)
        ) as found:
            yield _Recorded(found)


class _Recorded:
    def __init__(self, recorded: Any) -> None:
        self._recorded = recorded

    def set(self, name: str, value: str | int) -> None:
        self._recorded.set_attribute(name, value)


def _nothing() -> None:
    """There is nothing to send."""
