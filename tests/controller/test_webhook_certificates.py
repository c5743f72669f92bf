"""The loop around the rotation: one Secret among all replicas, bundles written where they differ, calls never lost."""

import base64
import copy
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api.kinds import CRD, SECRET, VALIDATING_WEBHOOK, Kind
from aioctl.controller.webhook_certificates import (
    TARGETS,
    SecretNotOurs,
    WebhookCertificates,
    bundle_patch,
    service_names,
)
from aioctl.controller.webhook_rotation import (
    RotationPolicy,
    RotationState,
    Step,
    advance,
    from_secret_data,
    new_generation,
    to_secret_data,
)
from aioctl.engine.clock import Clock
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, ServerUnavailable
from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import Answer, Call, WebhookServer
from tests.support.virtual_time import VirtualClock, virtual_time

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
SERVICE = {"name": "aioctl-webhook", "namespace": "kserve"}
POLICY = RotationPolicy(service_names("aioctl-webhook", "kserve", "cluster.local"), timedelta(hours=1))


@dataclass
class HandClock(Clock):
    time: datetime = START

    def monotonic(self) -> float:
        raise NotImplementedError

    def now(self) -> datetime:
        return self.time


@dataclass
class FakeApi:
    """Objects by path; writes counted; optimistic locking; the two JSON patch operations that are used."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    full_reads: int = 0
    down: bool = False
    garbled: bool = False
    """A proxy answers raw reads with a page of its own."""
    slow: float = 0.0
    """Seconds that a patch takes before it has its effect."""
    version: int = 0

    def put(self, kind: Kind, body: Mapping[str, Any]) -> None:
        stored = copy.deepcopy(dict(body))
        self.version += 1
        metadata = stored["metadata"]
        path = kind.path(metadata.get("namespace", ""), metadata["name"])
        before = self.objects.get(path, {}).get("metadata", {})
        metadata.update(
            resourceVersion=str(self.version), generation=before.get("generation", 0) + 1, uid="u"
        )
        self.objects[path] = stored

    def _get(self, path: str) -> dict[str, Any]:
        if self.down:
            raise ServerUnavailable(503, "ServiceUnavailable", "down")
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return copy.deepcopy(self.objects[path])

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        await anyio.lowlevel.checkpoint()
        self.full_reads += kind is not SECRET
        return self._get(kind.path(namespace, name))

    async def get_raw(self, path: str, *, query: tuple[tuple[str, str], ...] = (), accept: str = "") -> bytes:
        assert "PartialObjectMetadata" in accept
        if self.garbled:
            return b"<html>one moment, please</html>"
        return msgspec.json.encode({"metadata": self._get(path)["metadata"]})

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        path = kind.path(namespace, body["metadata"]["name"])
        if path in self.objects:
            raise AlreadyExists(409, "AlreadyExists", path)
        self.put(kind, body)
        self.writes.append(f"create {path}")
        return self._get(path)

    async def update(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        path = kind.path(body["metadata"]["namespace"], body["metadata"]["name"])
        if self._get(path)["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", path)
        self.put(kind, body)
        self.writes.append(f"update {path}")
        return self._get(path)

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: list[Any], *, content_type: str = ""
    ) -> dict[str, Any]:
        assert content_type == "application/json-patch+json"
        await anyio.sleep(self.slow)
        path = kind.path(namespace, name)
        obj = self._get(path)
        for operation in body:
            *parents, last = operation["path"].strip("/").split("/")
            at: Any = obj
            for part in parents:
                at = at[int(part)] if isinstance(at, list) else at[part]
            if operation["op"] == "test" and at[last] != operation["value"]:
                raise Invalid(422, "Invalid", path)
            at[last] = operation["value"]
        if obj["metadata"]["resourceVersion"] != self._get(path)["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", path)
        self.put(kind, obj)
        self.writes.append(f"patch {path}")
        return self._get(path)


def crd(name: str, service: Mapping[str, str] | None = SERVICE) -> dict[str, Any]:
    config: dict[str, Any] = (
        {"service": dict(service)} if service else {"url": "https://127.0.0.1:9443/convert"}
    )
    conversion = {"strategy": "Webhook", "webhook": {"clientConfig": config}}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": name},
        "spec": {"conversion": conversion},
    }


def webhooks(kind: Kind, name: str, *services: Mapping[str, str]) -> dict[str, Any]:
    entries = [
        {"name": f"w{index}.test", "clientConfig": {"service": dict(service)}}
        for index, service in enumerate(services)
    ]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name},
        "webhooks": entries,
    }


def installed() -> FakeApi:
    api = FakeApi()
    for target in TARGETS:
        if target.kind is CRD:
            api.put(CRD, crd(target.name))
        else:
            api.put(target.kind, webhooks(target.kind, target.name, SERVICE, SERVICE))
    return api


def keeper(
    api: FakeApi, live: LiveCertificate, clock: Clock, *, overlap: float = 3600.0
) -> WebhookCertificates:
    return WebhookCertificates(
        api,
        live,
        namespace="kserve",
        secret="aioctl-webhook-cert",
        service="aioctl-webhook",
        domain="cluster.local",
        overlap=overlap,
        clock=clock,
    )


SECRET_PATH = SECRET.path("kserve", "aioctl-webhook-cert")


def bundles(api: FakeApi) -> set[bytes]:
    found = set()
    for target in TARGETS:
        obj = api.objects[target.kind.path("", target.name)]
        configs = (
            [obj["spec"]["conversion"]["webhook"]["clientConfig"]]
            if target.kind is CRD
            else [webhook["clientConfig"] for webhook in obj["webhooks"]]
        )
        found |= {base64.b64decode(config.get("caBundle", "")) for config in configs}
    return found


async def settled(*keepers: WebhookCertificates) -> None:
    while any([await each.look() for each in keepers]):
        pass


async def overtaken_or_not(keeper: WebhookCertificates) -> None:
    with suppress(Conflict):
        await keeper.look()


async def test_the_first_replica_creates_the_secret_and_all_serve_it() -> None:
    api, lives, clock = installed(), [LiveCertificate(), LiveCertificate()], HandClock()
    keepers = [keeper(api, live, clock) for live in lives]
    async with anyio.create_task_group() as group:
        for each in keepers:
            group.start_soon(overtaken_or_not, each)
    await settled(*keepers)
    assert sum(write.startswith("create") for write in api.writes) == 1
    secret = api.objects[SECRET_PATH]
    assert secret["type"] == "kubernetes.io/tls"
    state = from_secret_data(secret["data"])
    assert not isinstance(state, str)
    for live in lives:
        assert live.pair is not None
        assert live.pair.dns_names == set(service_names("aioctl-webhook", "kserve", "cluster.local"))
    assert bundles(api) == {state.bundle}


async def test_nothing_is_written_or_read_in_full_while_nothing_changes() -> None:
    api = installed()
    one = keeper(api, LiveCertificate(), HandClock())
    await settled(one)
    await one.look()
    writes, reads = len(api.writes), api.full_reads
    for _ in range(5):
        assert not await one.look()
    assert (len(api.writes), api.full_reads) == (writes, reads)


async def test_a_bundle_that_somebody_changed_is_put_back() -> None:
    api = installed()
    one = keeper(api, LiveCertificate(), HandClock())
    await settled(one)
    before = bundles(api)
    api.put(CRD, crd(TARGETS[0].name))
    await settled(one)
    assert bundles(api) == before


async def test_what_is_not_installed_yet_is_no_obstacle_and_is_noticed_when_it_comes() -> None:
    api = FakeApi()
    one = keeper(api, LiveCertificate(), HandClock())
    await settled(one)
    api.objects.update(installed().objects)
    await settled(one)
    assert len(bundles(api)) == 1


async def test_a_secret_of_somebody_else_is_not_overwritten() -> None:
    api = installed()
    body = {"metadata": {"name": "aioctl-webhook-cert", "namespace": "kserve"}, "data": {"tls.crt": "eA=="}}
    api.put(SECRET, body)
    with pytest.raises(
        SecretNotOurs, match=r"was not made by aioctl \(signer.crt is missing\): set AIOCTL_CERT_MODE"
    ):
        await keeper(api, LiveCertificate(), HandClock()).look()
    assert api.writes == []


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "aioctl", "mine": "kept"}])
async def test_an_empty_secret_is_filled_and_our_own_broken_one_is_made_anew(labels: dict[str, str]) -> None:
    api, live = installed(), LiveCertificate()
    data = {"tls.crt": "eA=="} if labels else {}
    body = {
        "metadata": {"name": "aioctl-webhook-cert", "namespace": "kserve", "labels": labels},
        "data": data,
    }
    api.put(SECRET, body)
    await settled(keeper(api, live, HandClock()))
    assert live.pair is not None
    found = api.objects[SECRET_PATH]["metadata"]["labels"]
    assert found == {**labels, "app.kubernetes.io/managed-by": "aioctl"}


def test_entries_of_other_services_are_left_alone_and_urls_count_as_ours() -> None:
    other = {"name": "kserve-webhook-server-service", "namespace": "kserve"}
    assert bundle_patch(crd("a", other), b"ca", **_ours) == []
    assert bundle_patch(crd("a", None), b"ca", **_ours) == [
        {"op": "add", "path": "/spec/conversion/webhook/clientConfig/caBundle", "value": "Y2E="}
    ]
    assert bundle_patch(webhooks(VALIDATING_WEBHOOK, "w", other, SERVICE), b"ca", **_ours) == [
        {"op": "test", "path": "/webhooks/1/name", "value": "w1.test"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "Y2E="},
    ]
    assert (
        bundle_patch({"kind": CRD.kind, "spec": {"conversion": {"strategy": "None"}}}, b"ca", **_ours) == []
    )


_ours = {"service": "aioctl-webhook", "namespace": "kserve"}


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
        following = advance(before, Step.BEGIN, clock.now(), POLICY)
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
