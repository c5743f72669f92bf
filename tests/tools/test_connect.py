"""The first question to a cluster: who does not answer as an API server is told of once, in one sentence."""

import anyio
import pytest

from aioctl.kube.client import Client
from aioctl.kube.wire import Response
from aioctl.tools.access import Exit, ToolError
from aioctl.tools.connect import ATTEMPT_TIMEOUT, greet
from testbed.scripted_wire import ScriptedWire, encode, status_body
from testbed.virtual_time import virtual_time

SERVER = "https://stage:6443"
STRANGER = f"{SERVER} does not answer as an API server"
NOW = f"cluster {SERVER} does not answer now"


def client(wire: ScriptedWire) -> Client:
    return Client(wire, call_timeout=ATTEMPT_TIMEOUT, patience=0.0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Response(200, {}, b"<html><title>Log in</title>"), f"{STRANGER} (JSON is malformed"),
        (Response(200, {}, b"[]"), f"{STRANGER} (Expected `object`"),
        (Response(200, {}, b"{}"), f"{STRANGER} (it does not say its version)"),
        (Response(302, {}, b""), f"{STRANGER} (the server answered 302)"),
        (Response(404, {}, b"default backend - 404"), f"{STRANGER} (default backend - 404)"),
        (Response(503, {"retry-after": "1"}, b"shutting down"), f"{NOW} (503): shutting down; "),
        (Response(502, {}, b"<html>no\nline"), f"{NOW} (502): the server answered 502 with a page for browsers; "),
        (Response(429, {"retry-after": "9"}, b"too many"), f"{NOW} (429): too many; "),
        (Response(401, {}, encode(status_body(401, "Unauthorized", "no"))), f"cluster {SERVER} does not know these credentials"),
    ],
)  # fmt: skip
@virtual_time
async def test_who_is_no_api_server_is_named(answer: Response, said: str) -> None:
    wire = ScriptedWire()
    wire.answer("GET", "/version", *[answer] * 4)
    with pytest.raises(ToolError) as caught:
        await greet(client(wire), SERVER)
    text = str(caught.value)
    assert text.startswith(said)
    assert (caught.value.code, len(text.splitlines())) == (Exit.UNREADABLE, 1)


@virtual_time
async def test_a_server_that_hangs_is_given_up_within_one_deadline() -> None:
    wire = ScriptedWire(delay=1e9)
    wire.answer("GET", "/version", body={"gitVersion": "v1.34.1"})
    with pytest.raises(ToolError, match="cannot be reached"):
        await greet(client(wire), SERVER)
    assert anyio.current_time() == ATTEMPT_TIMEOUT


@pytest.mark.parametrize(
    "answer",
    [
        Response(200, {}, b'{"gitVersion": "v1.34.1"}'),
        Response(403, {}, encode(status_body(403, "Forbidden", "anonymous may not"))),
    ],
)
@virtual_time
async def test_a_server_that_answers_is_asked_further(answer: Response) -> None:
    wire = ScriptedWire()
    wire.answer("GET", "/version", answer)
    await greet(client(wire), SERVER)
