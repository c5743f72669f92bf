"""`aioctl ui` serves on loopback, reads only while somebody looks, and says on the page what cannot be read.

Rules: UI-1.
"""

import json
from typing import Any, cast

import anyio
import pytest

from aioctl.kube.client import Client
from aioctl.local_page import LocalPage
from aioctl.serving.http_server import ListenError
from aioctl.tools.access import ToolError
from aioctl.tools.connect import Connection
from aioctl.tools.session import Session
from tests.serving.support import client


class Unreadable:
    """A session with a cluster that cannot be reached; counts how often it was tried."""

    connection = Connection(cast("Client", None), "https://nowhere", "team")

    def __init__(self) -> None:
        self.tries = 0

    async def looks(self) -> Any:
        self.tries += 1
        raise ToolError("cluster https://nowhere cannot be reached: refused")


async def test_it_looks_while_somebody_does_and_says_what_cannot_be_read() -> None:
    session = Unreadable()
    page = LocalPage(cast("Session", session))
    addresses: list[str] = []
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(page.run, addresses.append)
            while not addresses:  # noqa: ASYNC110  it is told once, by a call
                await anyio.sleep(0.01)
            assert addresses == [f"http://127.0.0.1:{page.server.port}/ui/"]
            async with client(page.server.port) as http:
                async with http.get("/ui/fleet") as answer:
                    assert json.loads(await answer.read())["about"]["notes"] == []
                assert session.tries == 0
                async with http.get("/ui/events") as stream:
                    begin = json.loads((await stream.content.readuntil(b"\n\n")).split(b"data: ")[1])
                    assert (begin["about"]["role"], begin["about"]["namespace"]) == ("local", "team")
                    said = b""
                    while b"event: about" not in said:
                        said = await stream.content.readuntil(b"\n\n")
                    assert json.loads(said.split(b"data: ")[1])["notes"] == [
                        "cluster https://nowhere cannot be reached: refused"
                    ]
                    assert session.tries == 1
            with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1:{page.server.port}"):
                await LocalPage(cast("Session", session), port=page.server.port).run(addresses.append)
            group.cancel_scope.cancel()
