"""Every line of a webhook call says of which path and which review it is, and none of the call before on its connection."""

import msgspec
import structlog
from structlog.contextvars import get_contextvars

from aioctl.engine.turnstile import Turnstile
from aioctl.serving.admission import AdmissionHandler
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import WebhookServer
from testbed.logs import full_logs
from tests.serving.support import Ca, client, running

log = structlog.get_logger(__name__)


def judge(body: bytes, content_type: str) -> bytes:
    log.info("judged")
    return b"{}"


def unconvertible(raw: bytes | msgspec.Raw, desired: str) -> bytes:
    raise ValueError("no")


async def test_lines_of_a_call_name_path_and_review(ca: Ca) -> None:
    turnstile = Turnstile()
    webhook = WebhookServer(
        "127.0.0.1",
        0,
        ca.live(),
        {
            "/convert": ConversionHandler(turnstile, convert=unconvertible),
            "/validate": AdmissionHandler(judge, turnstile),
        },
        limits=Limits(idle=5.0, drain=5.0),
        turnstile=turnstile,
    )
    conversion = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}
    conversion["request"] = {"uid": "of-a-conversion", "desiredAPIVersion": "v", "objects": [{}]}  # type: ignore[assignment]
    admission = {"request": {"uid": "of-an-admission", "namespace": "ns", "name": "one"}}
    with full_logs() as lines:
        async with running(webhook), client(webhook.port, ca) as http:
            await http.post("/validate", data=msgspec.json.encode(admission))
            await http.post("/convert", data=msgspec.json.encode(conversion))
            await http.post("/convert", data=b"[]")
    (judged,) = (line for line in lines if line["event"] == "judged")
    assert (judged["path"], judged["uid"], judged["object"]) == ("/validate", "of-an-admission", "ns/one")
    (failed,) = (line for line in lines if line["event"] == "conversion failed")
    assert (failed["path"], failed["uid"]) == ("/convert", "of-a-conversion")
    assert not failed.get("object"), "the call before was of another object"
    (refused,) = (line for line in lines if line["event"] == "conversion request refused")
    assert (refused["path"], refused["uid"]) == ("/convert", "")
    assert not get_contextvars()
