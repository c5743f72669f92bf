"""The operators' page over HTTP: it reads only, is whole in itself, and bounds whoever reaches it. Plain HTTP on loopback.

Rules: UI-1.
"""

import json
import re
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Self

import anyio
import pytest
from aiohttp import ClientConnectionError, ClientPayloadError, ClientResponse, ClientSession, TCPConnector

from aioctl.engine.turnstile import Turnstile
from aioctl.serving import operators_page
from aioctl.serving.board import Board
from aioctl.serving.document import document
from aioctl.serving.metrics_page import MetricsPage, MetricsServer
from aioctl.serving.operators_page import (
    ANSWERS_PER_PEER,
    STREAMS,
    STREAMS_PER_PEER,
    OperatorsPage,
    PageServer,
)
from aioctl.serving.places import Full, Places
from tests.serving.support import client, running, until

HOSTILE = "<script>alert(1)</script>\n\nevent: gone\ndata: []"
METRICS = {"/metrics": MetricsPage("text/plain", lambda: iter([b"x 1\n"]))}


def row(name: str, text: str = "") -> bytes:
    return json.dumps({"namespace": "n", "name": name, "problem": text}).encode()


class Shown:
    """A board behind a server, and how often one service was looked at."""

    def __init__(self, **options: float) -> None:
        self.board = Board()
        self.board.say({"role": "leader"})
        self.board.put(("n", "one"), row("one", HOSTILE))
        self.looks = 0
        self.page = OperatorsPage(self.board, self.detail, **options)  # type: ignore[arg-type]
        self.server = MetricsServer("127.0.0.1", 0, METRICS, turnstile=Turnstile(), ui=self.page)

    async def detail(self, namespace: str, name: str) -> bytes | None:
        self.looks += 1
        return row(name, HOSTILE) if (namespace, name) == ("n", "one") else None


@asynccontextmanager
async def shown(**options: float) -> AsyncIterator[tuple[Shown, ClientSession]]:
    made = Shown(**options)
    async with running(made.server), client(made.server.port) as http:
        yield made, http


async def events(answer: ClientResponse, count: int) -> list[tuple[str, object]]:
    """The next events of a stream: names and data."""
    found: list[tuple[str, object]] = []
    while len(found) < count:
        name = (await answer.content.readline()).decode()
        data = (await answer.content.readline()).decode()
        assert await answer.content.readline() == b"\n"
        found.append((name.removeprefix("event: ").strip(), json.loads(data.removeprefix("data: "))))
    return found


async def test_the_document_is_whole_in_itself_and_runs_only_its_own_script() -> None:
    async with shown() as (_, http), http.get("/ui/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert (answer.headers["X-Content-Type-Options"], answer.headers["Cache-Control"]) == (
            "nosniff",
            "no-store",
        )
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none';")
    outside = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?((?:https?:)?//[^"') ]+)""", text)
    assert outside == []
    assert not re.search(r"\bstyle=|\bon\w+=", text.partition("<script>")[0])
    assert "uPlot" in script
    assert "The MIT License (MIT)" in text
    assert "Leon Sorokin" in text
    for way_in in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way_in not in script


async def test_it_only_reads_and_says_what_there_is() -> None:
    async with shown() as (_, http):
        async with http.get("/ui", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/ui/")
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            async with http.request(method, "/ui/fleet") as answer:
                assert answer.status == 405
        for path in ("/ui/nothing", "/ui/service/n", "/ui/service/n/one/more", "/ui//"):
            async with http.get(path) as answer:
                assert answer.status == 404
        async with http.get("/ui/service/n/none") as answer:
            assert (answer.status, await answer.text()) == (404, "no service none in namespace n\n")
        async with http.head("/ui/") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with http.get("/metrics") as answer:
            assert await answer.read() == b"x 1\n"


async def test_without_the_page_there_is_no_such_path() -> None:
    server = MetricsServer("127.0.0.1", 0, METRICS, turnstile=Turnstile())
    async with running(server), client(server.port) as http, http.get("/ui/") as answer:
        assert (answer.status, await answer.text()) == (404, "no page at /ui/; there is /metrics\n")


async def test_json_carries_hostile_words_as_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators_page, "KEPT", 3600.0)
    async with shown() as (made, http):
        async with http.get("/ui/fleet") as answer:
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
            fleet = json.loads(await answer.read())
        assert fleet["services"] == [{"namespace": "n", "name": "one", "problem": HOSTILE}]
        async with http.get("/ui/service/n/one") as answer:
            assert json.loads(await answer.read())["problem"] == HOSTILE
        for _ in range(20):
            async with http.get("/ui/service/n/one") as answer:
                assert answer.status == 200
        assert made.looks == 1


async def test_a_stream_begins_with_all_and_goes_on_with_changes() -> None:
    async with shown() as (made, http), http.get("/ui/events") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        (begin, rows, whole) = await events(answer, 3)
        assert (begin[0], whole[0]) == ("begin", "whole")
        assert rows == ("rows", [{"namespace": "n", "name": "one", "problem": HOSTILE}])
        assert made.board.watchers == 1
        made.board.drop(("n", "one"))
        assert await events(answer, 1) == [("gone", [["n", "one"]])]
        answer.close()
        await until(lambda: made.board.watchers == 0)


async def test_a_quiet_stream_is_kept_alive() -> None:
    async with shown(heartbeat=0.01) as (_, http), http.get("/ui/events") as answer:
        await events(answer, 3)
        assert await answer.content.readline() == b": still here\n"


async def test_a_client_that_does_not_read_is_cut_and_holds_no_more_than_a_part() -> None:
    async with shown(patience=0.2) as (made, http):
        for number in range(3000):
            made.board.put(("n", f"s{number}"), row(f"s{number}", "x" * 4000))
        for path in ("/ui/events", "/ui/fleet"):
            async with http.get(path) as answer:
                transport = answer.connection and answer.connection.transport
                assert transport is not None
                transport.pause_reading()
                with anyio.fail_after(20):
                    await until(lambda: made.board.watchers == 0 and not len(made.page._answers))
                transport.resume_reading()
                with pytest.raises((ClientPayloadError, ClientConnectionError)):
                    await answer.read()
        async with http.get("/ui/service/n/one") as answer:
            assert answer.status == 200


async def test_one_address_has_a_bound_and_leaves_room_for_others() -> None:
    async with shown() as (made, http), AsyncExitStack() as opened:
        for _ in range(STREAMS_PER_PEER):
            answer = await opened.enter_async_context(http.get("/ui/events"))
            await events(answer, 3)
        async with http.get("/ui/events") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            assert "are open from 127.0.0.1" in await refused.text()
        async with http.get("/ui/fleet") as answer:
            assert answer.status == 200
        other = await opened.enter_async_context(
            ClientSession(
                f"http://127.0.0.1:{made.server.port}", connector=TCPConnector(local_addr=("127.0.0.2", 0))
            )
        )
        async with other.get("/ui/events") as answer:
            assert (await events(answer, 1))[0][0] == "begin"


async def test_a_stop_does_not_wait_for_open_pages() -> None:
    made = Shown()
    with anyio.fail_after(10):
        async with (
            running(made.server) as scope,
            client(made.server.port) as http,
            http.get("/ui/events") as answer,
        ):
            await events(answer, 3)
            scope.cancel()
            with pytest.raises((ClientPayloadError, ClientConnectionError)):
                await answer.read()
    assert made.board.watchers == 0


async def test_a_page_of_ones_own_machine_is_served_under_its_own_name_only() -> None:
    """Else another site could lead a browser here under its own name and read what it says (DNS rebinding)."""
    made = Shown()
    page = OperatorsPage(made.board, made.detail, hosts=frozenset({"localhost", "127.0.0.1", "[::1]"}))
    server = PageServer("127.0.0.1", 0, page)
    async with running(server), client(server.port) as http:
        async with http.get("/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/ui/")
        for host, status in (
            ("localhost:1234", 200),
            ("127.0.0.1", 200),
            ("[::1]:80", 200),
            ("evil.example", 421),
            ("localhost.evil.example:80", 421),
            ("", 421),
        ):
            async with http.get("/ui/fleet", headers={"Host": host}) as answer:
                assert answer.status == status, host


def test_places_are_taken_from_whoever_has_most() -> None:
    places = Places(total=4, per_peer=3)
    gone: list[str] = []

    with Held(places, gone) as take:
        for name in ("a1", "a2", "a3", "b1"):
            take(name)
        with pytest.raises(Full, match="3 are open from a"):
            take("a4")
        take("c1")
        assert gone == ["a1"]
        take("d1")
        assert gone == ["a1", "a2"]
        with pytest.raises(Full, match="4 are open"):
            take("e1")
        assert len(places) == 4
    assert len(places) == 0


class Held:
    """Holds places by name, the first letter of which is the address; who gives way is noted, and leaves later."""

    def __init__(self, places: Places, gone: list[str]) -> None:
        self._places, self._gone = places, gone
        self._held: list[object] = []

    def __enter__(self) -> Self:
        return self

    def __call__(self, name: str) -> None:
        held = self._places.taken(name[0], lambda: self._gone.append(name))
        held.__enter__()
        self._held.append(held)

    def __exit__(self, *_: object) -> None:
        for held in self._held:
            held.__exit__(None, None, None)  # type: ignore[attr-defined]


def test_the_bounds_leave_no_address_all_places() -> None:
    assert STREAMS_PER_PEER < STREAMS
    assert ANSWERS_PER_PEER < operators_page.ANSWERS
    assert len(document().body) < 120_000
