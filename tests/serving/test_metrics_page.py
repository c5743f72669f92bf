"""The metrics page: rendered in slices, one fresh rendering per request."""

from collections.abc import Iterator

from aioctl.engine.turnstile import Turnstile
from aioctl.serving.metrics_page import MetricsPage, MetricsServer
from tests.serving.support import FreePass, client, running

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
