"""The admission endpoint: HTTP 200 whatever the verdict, and the size limit of the protocol's answer."""

import json
from io import BytesIO

from aioctl.engine.turnstile import Turnstile
from aioctl.serving.admission import AdmissionHandler
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import WebhookServer
from tests.serving.support import Ca, client, running

PATH = "/validate-serving-kserve-io-v1alpha2-llminferenceservice"


async def test_the_review_function_gets_body_and_content_type_and_its_answer_is_sent(ca: Ca) -> None:
    def review(body: bytes, content_type: str) -> bytes:
        return json.dumps([body.decode(), content_type]).encode()

    turnstile = Turnstile()
    handlers = {PATH: AdmissionHandler(review, turnstile)}
    webhook = WebhookServer("127.0.0.1", 0, ca.live(), handlers, limits=Limits(), turnstile=turnstile)
    async with running(webhook), client(webhook.port, ca) as http:
        answer = await http.post(f"{PATH}?timeout=10s", data=b"{}", headers={"Content-Type": "text/plain"})
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert await answer.json() == ["{}", "text/plain"]


async def test_a_body_of_seven_mebibytes_is_denied_with_code_413(ca: Ca) -> None:
    turnstile = Turnstile()
    handlers = {PATH: AdmissionHandler(lambda body, _: b"%d" % len(body), turnstile)}
    webhook = WebhookServer("127.0.0.1", 0, ca.live(), handlers, limits=Limits(), turnstile=turnstile)
    async with running(webhook), client(webhook.port, ca) as http:
        answer = await http.post(PATH, data=BytesIO(b"x" * (7340032 - 1)))
        assert (answer.status, await answer.read()) == (200, b"7340031")
        answer = await http.post(PATH, data=BytesIO(b"x" * 7340032))
        assert answer.status == 200
        response = (await answer.json())["response"]
    assert (response["allowed"], response["status"]["code"]) == (False, 413)
    assert response["status"]["message"] == "request entity is too large; limit is 7340032 bytes"


async def test_what_a_deletion_takes_is_read_before_it_is_judged(ca: Ca) -> None:
    told: list[str] = []

    async def before(namespace: str) -> None:
        told.append(namespace)

    turnstile = Turnstile()
    handler = AdmissionHandler(lambda *_: json.dumps(told).encode(), turnstile, before_deletion=before)
    webhook = WebhookServer("127.0.0.1", 0, ca.live(), {PATH: handler}, limits=Limits(), turnstile=turnstile)
    async with running(webhook), client(webhook.port, ca) as http:
        for operation, known in (("UPDATE", []), ("DELETE", ["kserve"])):
            request = {"operation": operation, "namespace": "kserve", "name": "a"}
            answer = await http.post(PATH, json={"request": request})
            assert json.loads(await answer.read()) == known
        assert json.loads(await (await http.post(PATH, data=b"{")).read()) == ["kserve"]
