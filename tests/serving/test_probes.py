"""Probes: what they check, what they say, and that ready means that a conversion over TLS works.

Rules: PROBE-1.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from aioctl.engine.turnstile import Turnstile
from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.limits import Limits
from aioctl.serving.probes import Check, ProbeServer, Shared, alive, fresh_watches, self_conversion, unexpired
from aioctl.serving.webhook import Handler, WebhookServer
from testbed.virtual_time import virtual_time
from tests.serving.support import PATIENCE, Ca, Echo, client, running, until


def failing(problem: str) -> Check:
    async def check() -> str:
        return problem

    return check


async def get(server: ProbeServer, path: str) -> tuple[int, str]:
    async with client(server.port) as http, http.get(path) as answer:
        return answer.status, await answer.text()


def probes(healthz: Mapping[str, Check], readyz: Mapping[str, Check]) -> ProbeServer:
    return ProbeServer("127.0.0.1", 0, healthz=healthz, readyz=readyz)


async def test_probes_say_ok_or_name_the_failed_check() -> None:
    server = probes({"healthz": alive}, {"readyz": alive, "broken": failing("no luck")})
    async with running(server):
        assert await get(server, "/healthz") == (200, "ok")
        assert await get(server, "/healthz/") == (200, "ok")
        assert await get(server, "/healthz?verbose") == (200, "[+]healthz ok\nhealthz check passed")
        assert await get(server, "/healthz/healthz") == (200, "ok")
        status, text = await get(server, "/readyz")
        assert status == 500
        assert text == "[+]readyz ok\n[-]broken failed: no luck\nreadyz check failed"
        assert await get(server, "/readyz/broken") == (500, "broken failed: no luck")
        assert await get(server, "/readyz/readyz") == (200, "ok")
        assert await get(server, "/readyz/unknown") == (404, "no check at /readyz/unknown")
        assert await get(server, "/") == (404, "no check at /")
        async with client(server.port) as http, http.post("/healthz") as answer:
            assert answer.status == 405


async def test_without_checks_a_probe_says_that_the_loop_turns() -> None:
    server = probes({}, {})
    async with running(server):
        assert await get(server, "/healthz/ping") == (200, "ok")


def webhook(live: LiveCertificate, handler: Handler | None = None) -> WebhookServer:
    turnstile = Turnstile()
    handlers: dict[str, Handler] = {"/convert": handler or ConversionHandler(turnstile)}
    return WebhookServer("127.0.0.1", 0, live, handlers, limits=Limits(), turnstile=turnstile)


async def test_ready_means_that_a_conversion_over_tls_works(ca: Ca) -> None:
    live = LiveCertificate()
    server = webhook(live)
    ready = self_conversion(server, "127.0.0.1")
    probe = ProbeServer("127.0.0.1", 0, healthz={}, readyz={"readyz": ready}, freshness=0.0)
    async with running(server, probe):
        status, text = await get(probe, "/readyz")
        assert status == 500
        assert "no certificate yet" in text
        live.offer(*ca.pair("any.other.name"))
        await until(lambda: server.serving)
        assert await get(probe, "/readyz") == (200, "ok")
    assert "has not started" in await self_conversion(server, "127.0.0.1")()


@pytest.mark.parametrize("host", ["", "0.0.0.0"])  # noqa: S104
async def test_a_server_on_all_addresses_is_checked_on_this_machine(ca: Ca, host: str) -> None:
    turnstile = Turnstile()
    handlers: dict[str, Handler] = {"/convert": ConversionHandler(turnstile)}
    server = WebhookServer(host, 0, ca.live(), handlers, limits=Limits(), turnstile=turnstile)
    async with running(server):
        assert await self_conversion(server, host, timeout=PATIENCE)() == ""


async def test_a_wrong_answer_or_none_is_not_ready(ca: Ca) -> None:
    async with running(server := webhook(ca.live(), Echo())):
        assert "wrong answer" in await self_conversion(server, "127.0.0.1")()
    async with running(server := webhook(ca.live(), Echo(body_limit=10))):
        assert "HTTP 413" in await self_conversion(server, "127.0.0.1")()
    echo = Echo(is_open=False)
    async with running(server := webhook(ca.live(), echo)):
        assert "failed: " in await self_conversion(server, "127.0.0.1", timeout=0.05)()
        echo.gate.set()


async def test_an_expired_certificate_is_not_ready(ca: Ca) -> None:
    live = LiveCertificate()
    moment = datetime.now(UTC)
    check = unexpired(lambda: live.pair, lambda: moment)
    assert await check() == ""
    live.offer(*ca.pair())
    assert live.pair is not None
    moment = live.pair.not_after
    assert await check() == ""
    moment += timedelta(seconds=1)
    assert await check() == f"the served certificate expired at {live.pair.not_after.isoformat()}"


async def test_silent_watches_are_named() -> None:
    ages = {"services": 10.0, "pods": 400.4, "routes": 301.0}
    check = fresh_watches(lambda: ages, limit=300)
    assert await check() == "watches silent for more than 300 s: pods (400 s), routes (301 s)"
    ages.update(pods=0, routes=0)
    assert await check() == ""


async def test_a_check_that_hangs_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang() -> str:
        await anyio.sleep_forever()
        return ""

    monkeypatch.setattr("aioctl.serving.probes.CHECK_TIMEOUT", 0.02)
    server = probes({"stuck": hang}, {})
    async with running(server):
        assert await get(server, "/healthz/stuck") == (500, "stuck failed: no result within 0.02 s")


class Counted:
    """A check that counts its runs and ends when it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = anyio.Event()

    async def __call__(self) -> str:
        self.runs += 1
        await self.go.wait()
        return f"run {self.runs}"


@virtual_time
async def test_all_callers_of_one_second_share_a_result() -> None:
    check = Counted()
    check.go.set()
    shared = Shared(check, 1.0)
    assert [await shared() for _ in range(3)] == ["run 1"] * 3
    await anyio.sleep(0.99)
    assert await shared() == "run 1"
    await anyio.sleep(0.01)
    assert await shared() == "run 2"


@virtual_time
async def test_callers_of_one_moment_share_a_run_and_outlive_the_one_who_began_it() -> None:
    check, results = Counted(), []
    shared = Shared(check, 0.0)

    async def ask() -> None:
        results.append(await shared())

    async with anyio.create_task_group() as group:
        first = anyio.CancelScope()

        async def leaves() -> None:
            with first:
                await shared()

        group.start_soon(leaves)
        await until(lambda: check.runs == 1)
        for _ in range(5):
            group.start_soon(ask)
        await anyio.sleep(0.01)
        first.cancel()
        await until(lambda: check.runs == 2)
        check.go.set()
    assert results == ["run 2"] * 5


async def test_many_questions_are_one_conversion() -> None:
    check = Counted()
    check.go.set()
    server = ProbeServer("127.0.0.1", 0, healthz={}, readyz={"conversion": check}, freshness=3600.0)
    async with running(server), client(server.port) as http:

        async def ask(path: str) -> None:
            async with http.get(path) as answer:
                assert answer.status == 500

        async with anyio.create_task_group() as group:
            for path in ("/readyz", "/readyz?verbose", "/readyz/conversion") * 20:
                group.start_soon(ask, path)
    assert check.runs == 1
