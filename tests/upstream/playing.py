"""A case on an API server, simulated or real: the same steps through the same client, and what stands there afterwards."""

import re
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import namespace_of
from aioctl.kube.client import Client
from aioctl.kube.errors import ApiError, NotFound
from aioctl.kube.events import COMPONENT, CONFIG_COMPONENT, CORE_EVENT
from aioctl.kube.wire import Request, Response, Stream, Wire
from tests.golden.cases import Object
from tests.golden.compare import State
from tests.upstream import worlds
from tests.upstream.cases import LABELLED, RECORDED, UpstreamCase, address_of, kind_of

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')
_PART_OF = "app.kubernetes.io/part-of"


class WarningsWire:
    """A wire that remembers the warnings of the answers it brought."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._heard: list[str] = []

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        response = await self._wire.send(request, timeout=timeout)
        self._heard += _WARNING.findall(response.headers.get("warning", ""))
        return response

    def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AbstractAsyncContextManager[Stream]:
        return self._wire.stream(request, connect_timeout=connect_timeout, idle_timeout=idle_timeout)

    async def aclose(self) -> None:
        await self._wire.aclose()

    def take(self) -> tuple[str, ...]:
        """What was heard since the last time, sorted."""
        heard, self._heard = self._heard, []
        return tuple(sorted(heard))


@dataclass
class Stage:
    """One case as its user plays it; refusals and warnings are kept as the recordings name them."""

    case: UpstreamCase
    client: Client
    wire: WarningsWire
    refused: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def on(cls, wire: Wire, case: UpstreamCase) -> "Stage":
        heard = WarningsWire(wire)
        return cls(case, Client(heard), heard)

    async def open(self) -> None:
        """The namespace of the case, and what stood there before."""
        metadata = {"name": self.case.namespace}
        await self._create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        before = self.case.before()
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        brings_its_own = any(
            obj["kind"] == "ServiceAccount" and obj["metadata"]["name"] == "default" for obj in before
        )
        if self.case.world != "bare" and not brings_its_own:
            await self._create({**account, "metadata": {"name": "default", "namespace": self.case.namespace}})
        for obj in before:
            await self._try(_title(obj), self._create(obj))

    async def give(self) -> None:
        """Creates the services."""
        for obj in self.case.services():
            await self._try(_title(obj), self._create(obj))

    async def follow(self) -> None:
        """What is done when everything has settled."""
        given, namespace = self.case.given, self.case.namespace
        if self.case.world == "switch":
            await self.switch()
        for entry in given.get("then_merge_patch") or ():
            kind = kinds.SERVICE
            patched = self.client.patch(kind, namespace, entry["service"], entry["patch"])
            await self._try(f"{kind.plural}/{entry['service']}", patched)
        await self._do(given.get("then") or ())
        for name in given.get("then_delete") or ():
            await self._try(f"DELETE {name}", self.client.delete(kinds.SERVICE, namespace, name))

    async def switch(self) -> None:
        """The administrator changes the settings."""
        changed = worlds.switched_config_map()
        where = changed["metadata"]
        await self.client.patch(
            kinds.CONFIG_MAP, where["namespace"], where["name"], {"data": changed["data"]}
        )

    async def end(self) -> None:
        """What is done when that has settled too."""
        await self._do(self.case.given.get("afterwards") or ())

    async def _do(self, entries: Iterable[Mapping[str, object]]) -> None:
        for entry in entries:
            kind, name, subresource = address_of(str(entry["object"]))
            where = self.case.namespace if kind.namespaced else ""
            call: Awaitable[object]
            if entry["verb"] == "DELETE":
                call = self.client.delete(kind, where, name)
            else:
                body = entry["body"]
                assert isinstance(body, dict)
                call = self.client.patch(kind, where, name, body, subresource=subresource)
            await self._try(f"{entry['verb']} {kind.plural}/{name}", call)

    async def _create(self, obj: Object) -> Object:
        kind = kind_of(obj)
        return await self.client.create(kind, namespace_of(obj) if kind.namespaced else "", obj)

    async def _try(self, title: str, call: Awaitable[object]) -> None:
        try:
            await call
        except ApiError as error:
            self.refused[title] = f"{error.status}: {error.message}"
        heard = self.wire.take()
        if heard:
            self.warnings[title] = heard

    async def state(self) -> State:
        """What a recording holds of the case."""
        state = State(refused=dict(self.refused), warnings=dict(self.warnings))
        given = {(obj["kind"], obj["metadata"]["name"]) for obj in self.case.before()}
        for kind in RECORDED:
            async for obj in self._listed(kind, self.case.namespace if kind.namespaced else ""):
                name = obj["metadata"]["name"]
                if self._belongs(kind, obj, is_given=(kind.kind, name) in given):
                    state.objects[f"{kind.api_version}/{kind.plural}/{name}"] = obj
        async for event in self._listed(CORE_EVENT, self.case.namespace):
            # The API server itself tells about cluster IPs.
            if event.get("reportingComponent") in (COMPONENT, CONFIG_COMPONENT):
                state.events.add(f"{event['type']} {event['reason']}: {event['message']}")
        return state

    def _belongs(self, kind: Kind, obj: Object, *, is_given: bool) -> bool:
        if kind in LABELLED:
            return _PART_OF in (obj["metadata"].get("labels") or {})
        if kind is kinds.CONFIG_MAP:
            return not is_given
        if kind is kinds.SERVICE_ACCOUNT:
            return is_given or obj["metadata"]["name"] != "default"
        if kind is kinds.CLUSTER_ROLE_BINDING:
            subjects = obj.get("subjects") or ()
            return any(subject.get("namespace") == self.case.namespace for subject in subjects)
        return True

    async def _listed(self, kind: Kind, namespace: str) -> AsyncIterator[Object]:
        try:
            async for page in self.client.list_pages(kind, namespace=namespace):
                for raw in page.items:
                    yield msgspec.json.decode(raw)
        except NotFound:
            return


def _title(obj: Object) -> str:
    return f"{obj['kind']}/{obj['metadata']['name']}"
