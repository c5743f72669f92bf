"""The line about a stretch that holds the loop names the service or review that the stretch works on, whatever it is.

The stretch is the real handler's: it calls the watchdog's callback from inside, as the signal would. The line goes past the
logger, straight to standard error.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
import pytest
import structlog

from aioctl.api import kinds
from aioctl.controller.marks import Marks
from aioctl.engine.turnstile import Turnstile
from aioctl.metrics.page import Metrics
from aioctl.serving.admission import AdmissionHandler
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import WebhookServer
from aioctl.stalls import Stalls
from tests.serving.support import Ca, client, running


@pytest.fixture
def ca() -> Ca:
    return Ca()


@pytest.fixture
def json_logs() -> Iterator[None]:
    """The processors of a process that logs in JSON; the context's fields join each line."""
    before = structlog.get_config()["processors"]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.JSONRenderer()]
    )
    yield
    structlog.configure(processors=before)


async def line_of(
    ca: Ca, capfd: pytest.CaptureFixture[str], marks: Marks, path: str, review: dict[str, Any]
) -> dict[str, Any]:
    """The only line that is written when the work on the review takes too long."""
    metrics, turnstile = Metrics(), Turnstile()
    stalls = Stalls(marks, metrics.process)

    def convert(raw: bytes | msgspec.Raw, desired: str) -> bytes | msgspec.Raw:
        if b"slow" in bytes(raw):
            stalls.told("the stack")
        return raw

    def judge(body: bytes, content_type: str) -> bytes:
        stalls.told("the stack")
        return b"{}"

    webhook = WebhookServer(
        "127.0.0.1",
        0,
        ca.live(),
        {
            "/convert": ConversionHandler(turnstile, convert=convert),
            "/validate": AdmissionHandler(judge, turnstile),
        },
        limits=Limits(idle=5.0, drain=5.0),
        turnstile=turnstile,
    )
    async with running(webhook), client(webhook.port, ca) as http:
        answer = await http.post(path, data=msgspec.json.encode(review))
    assert answer.status == HTTPStatus.OK
    line: dict[str, Any]
    (line,) = (
        msgspec.json.decode(text)
        for text in capfd.readouterr().err.splitlines()
        if "the event loop is held" in text
    )
    stalls.ended()
    assert metrics.registry.get_sample_value("aioctl_event_loop_stalls_total") == 1
    assert (line["event"], line["stack"]) == ("the event loop is held", "the stack")
    return line


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": kinds.V1ALPHA1,
        "kind": kinds.SERVICE.kind,
        "metadata": {"namespace": "ns", "name": name},
    }


async def test_a_conversion_is_told_with_path_review_and_the_object_it_is_at(
    ca: Ca, capfd: pytest.CaptureFixture[str], json_logs: None
) -> None:
    request = {"uid": "review-1", "desiredAPIVersion": kinds.V1ALPHA2}
    review = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {**request, "objects": [service("first"), service("slow"), service("last")]},
    }
    line = await line_of(ca, capfd, Marks(), "/convert", review)
    assert (line["path"], line["uid"], line["object"]) == ("/convert", "review-1", "ns/slow")
    assert "service" not in line


async def test_an_admission_review_is_told_with_path_review_and_object(
    ca: Ca, capfd: pytest.CaptureFixture[str], json_logs: None
) -> None:
    review = {"request": {"uid": "review-2", "namespace": "ns", "name": "one", "object": service("one")}}
    line = await line_of(ca, capfd, Marks(), "/validate", review)
    assert (line["path"], line["uid"], line["object"]) == ("/validate", "review-2", "ns/one")
    assert "service" not in line
