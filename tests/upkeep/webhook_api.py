"""An API server of a few objects for the tests of the webhook's certificates, and replicas that keep them on it."""

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import msgspec

from aioctl.api.kinds import CRD, SECRET, Kind
from aioctl.engine.clock import Clock
from aioctl.kube.errors import AlreadyExists, Conflict, Invalid, NotFound, ServerUnavailable
from aioctl.serving.certificates import LiveCertificate
from aioctl.upkeep.webhook_certificates import (
    TARGETS,
    WebhookCertificates,
    service_names,
)
from aioctl.upkeep.webhook_rotation import RotationPolicy

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
