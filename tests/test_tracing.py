"""Traces: what is asked for by which variables, what a reconcile and a webhook call leave, and that off means nothing."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import pytest
import structlog

from aioctl import tracing
from aioctl.api import kinds
from aioctl.engine import tracing as spans
from aioctl.engine.turnstile import Turnstile
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import WebhookServer
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service
from tests.serving.support import Ca, Echo, client, running

pytest.importorskip("opentelemetry.sdk", reason="the extra aioctl[otel] is not installed")

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.record(provider)
    yield exporter
    spans.use(None)
    provider.shutdown()


@pytest.mark.parametrize(
    ("environ", "exporter"),
    [
        ({}, ""),
        ({"OTEL_SERVICE_NAME": "x"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318"}, ""),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, ""),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "zipkin"),
    ],
)
def test_traces_are_on_where_an_exporter_is_named(environ: Mapping[str, str], exporter: str) -> None:
    assert tracing.exporter_asked_for(environ) == exporter


def test_without_being_asked_nothing_is_imported_and_a_span_is_one_shared_object() -> None:
    tracing.start({})()
    assert spans.span("a") is spans.span("b", spans.Kind.CLIENT, {"c": 1})
    with spans.span("a") as told:
        told.set("x", 1)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "must be one of otlp, console, none"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "aioctl[otel]"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_program_goes_on(
    environ: Mapping[str, str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with structlog.testing.capture_logs() as lines:
        tracing.start(environ)()
    (line,) = lines
    assert line["log_level"] == "warning"
    assert problem in str(line)


def test_an_exporter_that_is_asked_for_is_set_up_with_the_names_of_the_program() -> None:
    provider = tracing._provider("otlp")
    try:
        assert provider.resource.attributes["service.name"] == "aioctl"
        assert provider.resource.attributes["service.version"]
    finally:
        provider.shutdown()


def _children(found: list[ReadableSpan], parent: ReadableSpan) -> list[ReadableSpan]:
    assert parent.context is not None
    return [
        item for item in found if item.parent is not None and item.parent.span_id == parent.context.span_id
    ]


@virtual_time
async def test_a_reconcile_has_observe_plan_and_apply_below_it_and_each_api_call(
    recorded: InMemorySpanExporter,
) -> None:
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("one"))
        await anyio.sleep(1)
    found = list(recorded.get_finished_spans())
    reconciles = [item for item in found if item.name == "reconcile llminferenceservice"]
    (first, *_) = [item for item in reconciles if (item.attributes or {})["k8s.object.name"] == "one"]
    assert first.parent is None
    below = _children(found, first)
    assert {"observe", "plan", "apply"} <= {item.name for item in below}
    applied = [item for part in below if part.name == "apply" for item in _children(found, part)]
    creations = [item for item in applied if item.name == "POST"]
    assert creations
    for call in creations:
        attributes: Mapping[str, Any] = call.attributes or {}
        assert call.kind is SpanKind.CLIENT
        assert attributes["http.request.method"] == "POST"
        assert attributes["http.response.status_code"] == 201
    assert any(str((call.attributes or {})["url.path"]).endswith("/deployments") for call in creations)


async def test_a_webhook_call_joins_the_trace_of_the_api_server(recorded: InMemorySpanExporter) -> None:
    ca = Ca()
    handlers = {"/convert": Echo()}
    server = WebhookServer(
        "127.0.0.1", 0, ca.live(), handlers, limits=Limits(drain=0.1), turnstile=Turnstile()
    )
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    async with running(server), client(server.port, ca) as http:
        headers = {"traceparent": f"00-{trace}-{parent}-01", "Content-Type": "application/json"}
        async with http.post("/convert", data=b"{}", headers=headers) as answer:
            assert answer.status == 200
        async with http.post("/convert", data=b"{}") as answer:
            assert answer.status == 200
    joined, own = recorded.get_finished_spans()
    for item in (joined, own):
        assert item.name == "POST /convert"
        assert item.kind is SpanKind.SERVER
        assert (item.attributes or {})["http.response.status_code"] == 200
    assert joined.context is not None
    assert joined.parent is not None
    assert (f"{joined.context.trace_id:032x}", f"{joined.parent.span_id:016x}") == (trace, parent)
    assert own.parent is None
