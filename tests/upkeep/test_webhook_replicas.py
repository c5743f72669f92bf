"""Replicas that rotate the webhook's certificates for as long as they live: errors, delays, calls in flight."""

import copy
import ssl
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from aioctl.api.kinds import CRD, SECRET
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.errors import Conflict
from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import Answer, Call, WebhookServer
from aioctl.upkeep.webhook_certificates import TARGETS
from aioctl.upkeep.webhook_rotation import (
    RotationState,
    RotationStep,
    advance,
    from_secret_data,
    new_generation,
    to_secret_data,
)
from testbed.virtual_time import VirtualClock, virtual_time
from tests.upkeep.webhook_api import (
    POLICY,
    SECRET_PATH,
    START,
    HandClock,
    bundles,
    crd,
    installed,
    keeper,
    settled,
)


@virtual_time
async def test_the_loop_outlives_errors_and_starts_in_any_case() -> None:
    api, live, clock = installed(), LiveCertificate(), VirtualClock(START)
    api.down = True
    async with anyio.create_task_group() as group:
        await group.start(keeper(api, live, clock).run)
        await anyio.sleep(60)
        assert bundles(api) == {b""}
        api.down, api.garbled = False, True
        await anyio.sleep(60)
        assert live.context is not None
        assert bundles(api) == {b""}
        api.garbled = False
        await anyio.sleep(5)
        assert len(bundles(api) - {b""}) == 1
        group.cancel_scope.cancel()


@virtual_time
async def test_two_replicas_rotate_within_two_thirds_of_the_life() -> None:
    api, lives = installed(), [LiveCertificate(), LiveCertificate()]
    await settled(keeper(api, lives[0], HandClock(START)))
    first = lives[0].pair
    clock = VirtualClock(START + timedelta(days=218, hours=20))
    two_thirds = START + timedelta(days=365) * 2 / 3
    async with anyio.create_task_group() as group:
        for live in lives:
            await group.start(keeper(api, live, clock).run)
        assert lives[0].pair == lives[1].pair == first
        while lives[0].pair == first:
            await anyio.sleep(60)
            assert clock.now() < two_thirds
        await anyio.sleep(60)
        assert lives[1].pair == lives[0].pair
        await anyio.sleep(7200)
        state = from_secret_data(api.objects[SECRET_PATH]["data"])
        assert not isinstance(state, str)
        assert bundles(api) == {state.current.ca.crt}
        group.cancel_scope.cancel()


@virtual_time
async def test_a_replica_that_was_held_up_puts_no_old_bundle_back() -> None:
    api, lives = installed(), [LiveCertificate(), LiveCertificate()]
    clock = VirtualClock(START)
    one, other = keeper(api, lives[0], clock), keeper(api, lives[1], clock)
    await settled(one)
    target = TARGETS[0]
    path = CRD.path("", target.name)
    api.put(CRD, crd(target.name))  # without a bundle: both have something to write

    async def held_up() -> None:
        api.slow = 100
        with pytest.raises(Conflict):
            await other.look()

    before = from_secret_data(api.objects[SECRET_PATH]["data"])
    assert not isinstance(before, str)
    async with anyio.create_task_group() as group:
        group.start_soon(held_up)
        await anyio.sleep(1)
        api.slow = 0
        following = advance(before, RotationStep.BEGIN, clock.now(), POLICY)
        secret = copy.deepcopy(api.objects[SECRET_PATH])
        api.put(SECRET, {**secret, "data": to_secret_data(following)})
        await one.look()
        assert bundles(api) == {following.bundle}
    assert bundles(api) == {following.bundle}
    assert api.writes.count(f"patch {path}") == 2


@virtual_time
async def test_the_next_leaf_is_served_while_a_bundle_is_still_being_written() -> None:
    api, live, clock = installed(), LiveCertificate(), VirtualClock(START)
    await settled(keeper(api, LiveCertificate(), clock))
    async with anyio.create_task_group() as group:
        await group.start(keeper(api, live, clock, overlap=8).run)
        first = live.pair
        api.slow = 100
        api.put(CRD, crd(TARGETS[0].name))
        await anyio.sleep(5)
        renewed = RotationState(new_generation(clock.now(), POLICY))
        api.put(SECRET, {**api.objects[SECRET_PATH], "data": to_secret_data(renewed)})
        await anyio.sleep(2)
        assert live.pair != first
        group.cancel_scope.cancel()


class Hello:
    body_limit = 100
    line = "hello"

    def too_large(self, size: int) -> Answer:
        return Answer.text(413, "")

    async def answer(self, call: Call) -> Answer:
        return Answer.text(200, "hello")


async def test_a_rotation_under_load_loses_no_call() -> None:
    # OpenSSL compares with the time of this machine: the old generation is from the past, the new one from now.
    start = datetime.now(UTC) - timedelta(days=219)
    api, clock, live = installed(), HandClock(start), LiveCertificate()
    one = keeper(api, live, clock)
    await settled(one)
    server = WebhookServer(
        "127.0.0.1", 0, live, {"/convert": Hello()}, limits=Limits(), turnstile=Turnstile()
    )
    request = b"POST /convert HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
    calls = 0
    trusted: set[bytes] = set()

    async def caller() -> None:
        """As an API server: a fresh connection, verified with the bundle that is in the CRD right now."""
        nonlocal calls
        while True:
            (bundle,) = bundles(api)
            context = ssl.create_default_context(cadata=bundle.decode())
            stream = await anyio.connect_tcp(
                "127.0.0.1",
                server.port,
                ssl_context=context,
                tls_hostname="aioctl-webhook.kserve.svc",
                tls_standard_compatible=False,
            )
            async with stream:
                await stream.send(request)
                assert (await stream.receive()).startswith(b"HTTP/1.1 200")
            trusted.add(bundle)
            calls += 1

    async with anyio.create_task_group() as group:
        await group.start(server.run)
        for _ in range(3):
            group.start_soon(caller)
        first = live.pair
        clock.time = start + timedelta(days=219)
        for _ in range(16):
            await one.look()
            clock.time += timedelta(minutes=15)
            goal = calls + 3
            with anyio.fail_after(10):
                while calls < goal:
                    await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert live.pair != first
    assert len(trusted) == 4, "old, old and new, new and old, new"
