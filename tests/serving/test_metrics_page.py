"""The metrics page: rendered in slices, one fresh rendering per request, for whom the guard lets in.

Rules: ACCESS-1.
"""

from collections.abc import Iterator, Mapping
from http import HTTPStatus

from aioctl.engine.turnstile import Turnstile
from aioctl.serving.metrics_page import MetricsPage, MetricsServer
from tests.serving.support import Ca, FreePass, client, running

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


async def test_pages_are_rendered_anew_for_every_request_with_their_content_type() -> None:
    def render() -> Iterator[bytes]:
        yield from (b"family_%d 1\n" % number for number in range(100))

    server = MetricsServer(
        "127.0.0.1", 0, {"/metrics": MetricsPage(PROMETHEUS, render)}, turnstile=Turnstile()
    )
    async with running(server), client(server.port) as http:
        for _ in range(2):
            async with http.get("/metrics?name=x") as answer:
                assert (answer.status, answer.headers["Content-Type"]) == (200, PROMETHEUS)
                assert (await answer.read()).count(b"\n") == 100
        async with http.get("/nothing") as answer:
            assert (answer.status, await answer.text()) == (404, "no page at /nothing; there is /metrics\n")
        async with http.post("/metrics") as answer:
            assert answer.status == 405


async def test_a_long_rendering_takes_many_turns() -> None:
    def slow() -> Iterator[bytes]:
        for _ in range(20):
            sum(range(50_000))  # about a millisecond
            yield b"x"

    class Counting(FreePass):
        turns = 0

        def turn(self, *, urgent: bool = False):  # type: ignore[no-untyped-def]
            self.turns += 1
            return super().turn(urgent=urgent)

    turnstile = Counting()
    server = MetricsServer("127.0.0.1", 0, {"/metrics": MetricsPage(PROMETHEUS, slow)}, turnstile=turnstile)
    async with running(server), client(server.port) as http, http.get("/metrics") as answer:
        assert await answer.read() == b"x" * 20
    assert turnstile.turns >= 10


class Doorkeeper:
    """Lets in who says the word; remembers who came."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    async def refusal(
        self, authorization: str, method: str, path: str
    ) -> tuple[HTTPStatus, str, Mapping[str, str]] | None:
        self.seen.append((authorization, method, path))
        if authorization == "Bearer word":
            return None
        return HTTPStatus.UNAUTHORIZED, "who are you\n", {"WWW-Authenticate": "Bearer"}


async def test_a_guarded_port_speaks_tls_and_serves_whom_the_guard_lets_in(ca: Ca) -> None:
    """ACCESS-1: every path is guarded, unknown ones too, and nothing is rendered for who is refused."""
    rendered = 0

    def render() -> Iterator[bytes]:
        nonlocal rendered
        rendered += 1
        yield b"family 1\n"

    guard = Doorkeeper()
    server = MetricsServer(
        "127.0.0.1",
        0,
        {"/metrics": MetricsPage(PROMETHEUS, render)},
        turnstile=Turnstile(),
        tls=ca.live(),
        guard=guard,
    )
    async with running(server), client(server.port, ca) as http:
        for path in ("/metrics", "/nothing"):
            async with http.get(path) as answer:
                assert (answer.status, await answer.text()) == (401, "who are you\n")
                assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert rendered == 0
        async with http.get("/metrics?x=1", headers={"Authorization": "Bearer word"}) as answer:
            assert (answer.status, await answer.read()) == (200, b"family 1\n")
        assert guard.seen == [
            ("", "GET", "/metrics"),
            ("", "GET", "/nothing"),
            ("Bearer word", "GET", "/metrics"),
        ]
