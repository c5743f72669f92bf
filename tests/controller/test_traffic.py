"""Requests through gateways are sent apart from all workers, and who asked is woken (MIG-13)."""

from collections import Counter
from collections.abc import Awaitable, Callable

import anyio
import pytest
from aiohttp import web

from aioctl.api.kinds import ObjectKey
from aioctl.controller.traffic import AGAIN, HOLDS, TRIES, Traffic
from aioctl.kube.errors import TransportError
from aioctl.kube.through_gateway import status_of
from aioctl.plan.observation import GatewayRequest
from testbed.virtual_time import VirtualClock, virtual_time

REQUEST = GatewayRequest("http://203.0.113.1:80/v1/models", "x.aioctl-probe.invalid")
ONE, TWO = ObjectKey("ns", "one"), ObjectKey("ns", "two")


class Gateway:
    """Answers what it is told to, and counts."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.asked: Counter[tuple[str, str]] = Counter()

    async def send(self, url: str, host: str) -> int:
        self.asked[url, host] += 1
        await anyio.sleep(1)
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not status:
            raise TransportError("nobody there", maybe_sent=True)
        return status


async def played(gateway: Gateway, then: Callable[[Traffic, list[ObjectKey]], Awaitable[None]]) -> None:
    woken: list[ObjectKey] = []
    traffic = Traffic(gateway.send, VirtualClock(), lambda key, _: woken.append(key))
    async with anyio.create_task_group() as group:
        group.start_soon(traffic.run)
        await then(traffic, woken)
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("statuses", "passes", "sent"),
    [
        ([200], True, 1),
        ([404], True, 1),
        ([401], True, 1),
        ([503], False, TRIES),
        ([0], False, TRIES),
        ([0, 500, 200], True, 3),
    ],
)
def test_less_than_500_within_three_tries_is_an_answer(
    statuses: list[int], sent: int, *, passes: bool
) -> None:
    @virtual_time
    async def run() -> None:
        gateway = Gateway(*statuses)

        async def then(traffic: Traffic, woken: list[ObjectKey]) -> None:
            assert traffic.known(ONE, REQUEST) is None
            assert traffic.known(TWO, REQUEST) is None
            await anyio.sleep(10)
            assert traffic.known(ONE, REQUEST) is passes
            assert sorted(woken) == [ONE, TWO]
            assert gateway.asked == {(REQUEST.url, REQUEST.host): sent}

        await played(gateway, then)

    run()


@pytest.mark.parametrize(("status", "holds"), [(200, HOLDS), (503, AGAIN)])
def test_what_came_of_it_counts_for_a_while(status: int, holds: float) -> None:
    @virtual_time
    async def run() -> None:
        async def then(traffic: Traffic, _: list[ObjectKey]) -> None:
            traffic.known(ONE, REQUEST)
            await anyio.sleep(holds - 1)
            assert traffic.known(ONE, REQUEST) is (status == 200)
            await anyio.sleep(20)
            assert traffic.known(ONE, REQUEST) is None

        await played(Gateway(status), then)

    run()


def test_who_was_not_answered_is_woken_to_ask_again_and_nobody_else() -> None:
    @virtual_time
    async def run() -> None:
        async def then(traffic: Traffic, woken: list[ObjectKey]) -> None:
            traffic.known(ONE, REQUEST)
            await anyio.sleep(AGAIN)
            assert woken == [ONE]
            await anyio.sleep(TRIES + 1)
            assert woken == [ONE, ONE]
            assert traffic.known(ONE, REQUEST) is None
            # Answered now, and by nobody asked for again.
            await anyio.sleep(HOLDS)
            assert woken == [ONE, ONE, ONE]

        await played(Gateway(503, 503, 503, 200), then)

    run()


async def test_a_request_names_the_host_and_follows_nothing() -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.host, request.path, request.headers.get("Authorization")))
        return web.Response(status=302, headers={"Location": "http://203.0.113.9/"})

    app = web.Application()
    app.router.add_get("/v1/models", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        assert await status_of(f"http://127.0.0.1:{port}/v1/models", "x.aioctl-probe.invalid") == 302
    finally:
        await runner.cleanup()
    assert asked == [("x.aioctl-probe.invalid", "/v1/models", None)]
    with pytest.raises(TransportError):
        await status_of(f"http://127.0.0.1:{port}/v1/models", "x")
