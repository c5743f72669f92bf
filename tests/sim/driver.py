"""Short words for the tests of the simulated server: requests, answers, watch events, services with a fake webhook."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import msgspec

from aioctl.sim.api import SimCluster
from aioctl.sim.reads import WatchStream
from aioctl.sim.requests import SimReply, SimRequest
from aioctl.sim.webhooks import LocalWebhooks

Object = dict[str, Any]
SERVICES = "/apis/serving.kserve.io/{version}/namespaces/demo/llminferenceservices"
A1, A2 = SERVICES.format(version="v1alpha1"), SERVICES.format(version="v1alpha2")


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, decoded."""

    status: int
    body: Object
    headers: dict[str, str]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


def _decoded(reply: SimReply) -> Answer:
    assert isinstance(reply.body, bytes)
    is_json = reply.headers.get("content-type") == "application/json"
    body = msgspec.json.decode(reply.body) if is_json else {"message": reply.body.decode()}
    return Answer(reply.status, body, dict(reply.headers))


class Driver:
    """Speaks to one cluster as one client."""

    def __init__(self, cluster: SimCluster, client: str = "aioctl/test") -> None:
        self.cluster = cluster
        self.client = client

    async def __call__(
        self, method: str, path: str, body: object = None, *, kind: str = "application/json", **query: str
    ) -> Answer:
        headers = {"user-agent": self.client, "content-type": kind}
        payload = b"" if body is None else msgspec.json.encode(body)
        request = SimRequest(method, path, tuple(query.items()), headers, payload)
        return _decoded(await self.cluster.handle(request))

    async def get(self, path: str, **query: str) -> Answer:
        return await self("GET", path, **query)

    async def merge(self, path: str, body: object, **query: str) -> Answer:
        return await self("PATCH", path, body, kind="application/merge-patch+json", **query)

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = "", **query: str) -> AsyncIterator["Events"]:
        pairs = (("watch", "true"), *query.items())
        headers = {"user-agent": self.client, "accept": accept}
        reply = await self.cluster.handle(SimRequest("GET", path, pairs, headers))
        assert reply.status == 200
        assert isinstance(reply.body, WatchStream)
        async with aclosing(reply.body) as stream:
            yield Events(stream)


class Events:
    """The events of one watch, one at a time."""

    def __init__(self, stream: WatchStream) -> None:
        self._stream = stream
        self._ready: list[Object] = []

    async def next(self, within: float = 5.0) -> Object:
        """The next event. Raises TimeoutError, or StopAsyncIteration when the stream has ended."""
        if not self._ready:
            with anyio.fail_after(within):
                lines = await anext(self._stream)
            self._ready = [msgspec.json.decode(line) for line in lines.splitlines()]
        return self._ready.pop(0)

    async def types(self, count: int) -> list[str]:
        return [(await self.next())["type"] for _ in range(count)]

    async def silent(self, seconds: float = 1.0) -> bool:
        """True when nothing comes for so long."""
        try:
            event = await self.next(within=seconds)
        except TimeoutError:
            return True
        self._ready.insert(0, event)
        return False


@asynccontextmanager
async def cluster(**settings: Any) -> AsyncIterator[Driver]:
    """A cluster with namespace `demo`."""
    async with SimCluster(start=0.0, **settings) as sim:
        await sim.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}})
        sim.stats.reset()
        yield Driver(sim)


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def service(name: str = "svc", version: str = "v1alpha2", **spec: Any) -> Object:
    full = {"model": {"uri": "hf://facebook/opt-125m"}, **spec}
    at = f"serving.kserve.io/{version}"
    return {"apiVersion": at, "kind": "LLMInferenceService", "metadata": {"name": name}, "spec": full}


async def relabel(body: bytes) -> bytes:
    """A conversion webhook that only changes apiVersion."""
    request = msgspec.json.decode(body)["request"]
    objects = [{**obj, "apiVersion": request["desiredAPIVersion"]} for obj in request["objects"]]
    response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objects}
    return msgspec.json.encode(
        {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}
    )


async def allow(body: bytes) -> bytes:
    """An admission webhook that admits everything."""
    request = msgspec.json.decode(body)["request"]
    response = {"uid": request["uid"], "allowed": True}
    return msgspec.json.encode(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    )


def validators(match_policy: str) -> Object:
    """The validating configuration of services as KServe ships it (ADM-1)."""
    hooks = [
        {
            "name": name,
            "matchPolicy": match_policy,
            "clientConfig": {
                "service": {
                    "namespace": "kserve",
                    "name": "hook",
                    "path": f"/validate-serving-kserve-io-{version}-llminferenceservice",
                }
            },
            "rules": [
                {
                    "apiGroups": ["serving.kserve.io"],
                    "apiVersions": [version],
                    "resources": ["llminferenceservices"],
                    "operations": ["CREATE", "UPDATE"],
                }
            ],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        for name, version in (
            ("llminferenceservice.kserve-webhook-server.v1alpha1.validator", "v1alpha1"),
            ("llminferenceservice.kserve-webhook-server.v1alpha2.validator", "v1alpha2"),
        )
    ]
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "llminferenceservice.serving.kserve.io"},
        "webhooks": hooks,
    }


def hooks() -> LocalWebhooks:
    """Conversion by relabelling, and admission that admits everything."""
    validate = "/validate-serving-kserve-io-{}-llminferenceservice"
    return LocalWebhooks(
        {"/convert": relabel, validate.format("v1alpha1"): allow, validate.format("v1alpha2"): allow}
    )


async def both_versions_used(driver: Driver) -> None:
    for path in (A1, A2):
        await driver.get(path)
