"""Everything a command looks at, read once: an `Observation` of the cluster for plans that are made and never applied.

What the controller watches is listed (`controller/caches.py` says what), of one namespace or of all; what a plan asks for
beyond that is fetched by name, and the plan made again. What may not be read is Unknown and says so; it never ends a command,
but for the services themselves.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import anyio
import msgspec

from aioctl.api import kinds, served_models, weight
from aioctl.api.defaulting import runs
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef, Served
from aioctl.api.names import has_our_labels
from aioctl.api.objects import Object, key_of, labels_of, name_of, namespace_of
from aioctl.controller.caches import Watched, watched
from aioctl.controller.observe import Certificates, certificate_of, signer_problem
from aioctl.kube.client import Client
from aioctl.kube.discovery import ServerVersion, server_version
from aioctl.kube.errors import Invalid, KubeError, NotFound, is_kind_missing
from aioctl.plan import trial
from aioctl.plan.evidence import listen
from aioctl.plan.hearsay import Heard
from aioctl.plan.observation import (
    Absent,
    Certificate,
    GatewayRequest,
    Present,
    Read,
    Unknown,
    Versions,
    never_again,
)
from aioctl.plan.trial import DryRunResult
from aioctl.tools.access import Exit, ToolError
from aioctl.tools.connect import Connection, explain, told

_PARTLY: Final = frozenset({kinds.SECRET, kinds.SERVICE_ACCOUNT, kinds.CONFIG_MAP})
"""Kinds of which only ours are listed: absence from the list says nothing about a user's object."""
_PARALLEL: Final = 6
ROUNDS: Final = 12
"""How often what a plan asked for is fetched before it is left unknown; each plan asks for less than the one before."""
_decoder: Final = msgspec.json.Decoder(dict[str, Any])

Selection = tuple[Kind, str, frozenset[tuple[str, str]]]


class Snapshot:
    """What was read. `demands` and `selections` fill while a plan asks for what is not here yet."""

    def __init__(self, namespace: str, listed: Iterable[Kind]) -> None:
        """`namespace`: the one that was listed, '' for all; `listed`: the kinds that were."""
        self.namespace = namespace
        self.objects: dict[ObjectRef, Object] = {}
        self.reads: dict[ObjectRef, Read] = {}
        self.selected: dict[Selection, Sequence[Object] | Unknown] = {}
        self.unread: dict[Kind, str] = {}
        """Kinds that could not be listed -> why."""
        self.presence: dict[Kind, Served] = {}
        self.version: ServerVersion | None = None
        self.demands: set[ObjectRef] = set()
        self.selections: set[Selection] = set()
        self._listed = frozenset(listed)
        self._certificates: Certificates = {}
        self._heard: Callable[[ObjectKey, frozenset[ObjectKey]], Heard] | None = None

    def services(self) -> list[Object]:
        """Every service of the snapshot, sorted."""
        return self._matching(kinds.SERVICE, "", {})

    def add(self, kind: Kind, obj: Object) -> None:
        """One object as listed."""
        self.objects[ObjectRef(kind, namespace_of(obj), name_of(obj))] = obj
        if kind == kinds.HTTP_ROUTE:
            self._heard = None

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        """See `Observation.get`."""
        ref = ObjectRef(kind, namespace if kind.namespaced else "", name)
        if self.served(kind) is Served.NO:
            return Absent()
        if ref in self.objects:
            return Present(self.objects[ref])
        if ref in self.reads:
            return self.reads[ref]
        users = kind in _PARTLY or (named_by_user and kind == kinds.CORE_SERVICE)
        if self._covers(kind, ref.namespace) and not users:
            return Absent()
        self.demands.add(ref)
        return Unknown(f"{ref} was not read yet")

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        """See `Observation.select`."""
        if self.served(kind) is Served.NO:
            return ()
        if self._covers(kind, namespace):
            return self._matching(kind, namespace, labels)
        if kind in self.unread and (not namespace or self.namespace in ("", namespace)):
            return Unknown(self.unread[kind])
        wanted = (kind, namespace, frozenset(labels.items()))
        if wanted not in self.selected:
            self.selections.add(wanted)
            return Unknown(f"{kind.resource} of namespace {namespace or '*'} were not read yet")
        return self.selected[wanted]

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        """See `Observation.others_run`."""
        found = self.select(kinds.SERVICE, namespace, {})
        return (
            found
            if isinstance(found, Unknown)
            else any(name_of(service) != name and runs(service) for service in found)
        )

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        """See `Observation.namesakes`."""
        found = self.select(kinds.SERVICE, namespace, {})
        return found if isinstance(found, Unknown) else served_models.namesakes(found, name, group, models)

    def served(self, kind: Kind) -> Served:
        """See `Observation.served`."""
        return self.presence.get(kind, Served.UNKNOWN) if kind.optional else Served.YES

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        return trial.in_process(candidate)

    def server_version(self) -> ServerVersion | None:
        """See `Observation.server_version`."""
        return self.version

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        """See `Observation.heard`; of the routes that were listed."""
        if self._heard is None:
            self._heard = listen(obj for ref, obj in self.objects.items() if ref.kind == kinds.HTTP_ROUTE)
        return self._heard(gateway, apart_from)

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        return never_again()  # one look, and nothing is remembered

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Versions | int:
        return never_again()

    def tried(self) -> Hashable:
        return never_again()

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        """See `Observation.reaches`; a command sends no requests."""
        return Unknown(f"nobody asked {request.url}")

    def certificate(self, secret: Object) -> Certificate | str:
        """See `Observation.certificate`."""
        return certificate_of(secret, self._certificates)

    def signer(self, secret: Object) -> str:
        """See `Observation.signer`."""
        return signer_problem(secret)

    def _covers(self, kind: Kind, namespace: str) -> bool:
        within = not kind.namespaced or self.namespace in ("", namespace)
        return within and kind in self._listed and kind not in self.unread

    def _matching(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        found = [
            obj
            for ref, obj in self.objects.items()
            if ref.kind == kind
            and namespace in ("", ref.namespace)
            and has_our_labels(labels_of(obj), labels)
        ]
        return sorted(found, key=lambda obj: (namespace_of(obj), name_of(obj)))


class Reader:
    """Fills a snapshot. Reads only."""

    def __init__(self, connection: Connection, *, system_namespace: str, signer: ObjectRef | None) -> None:
        self._client: Client = connection.client
        self._server = connection.server
        self._namespace = connection.namespace
        self._watches = [
            watch
            for watch in watched(system_namespace, signer)
            if not (watch.namespace or watch.metadata_only)
        ]  # single objects are fetched when a plan asks for them
        self._limit = anyio.CapacityLimiter(_PARALLEL)

    async def read(self) -> Snapshot:
        """Lists everything. Raises ToolError when the services cannot be read."""
        found = Snapshot(self._namespace, (watch.kind for watch in self._watches))
        # First and alone: what is wrong with the cluster shows here, and is told once.
        with told("list", kinds.SERVICE, self._namespace, self._server):
            await self._list(Watched(kinds.SERVICE), found)
        async with anyio.create_task_group() as group:
            group.start_soon(self._ask_version, found)
            optional = {watch.kind for watch in self._watches if watch.kind.optional} | {
                kinds.AUTH_POLICY,
                kinds.SCC,
            }
            for version in {kind.api_version for kind in optional}:
                group.start_soon(
                    self._discover, version, [k for k in optional if k.api_version == version], found
                )
        async with anyio.create_task_group() as group:
            for watch in self._watches:
                if watch.kind != kinds.SERVICE and found.served(watch.kind) is not Served.NO:
                    group.start_soon(self._listed, watch, found)
        return found

    async def matching(self, selector: str) -> frozenset[ObjectKey]:
        """Keys of the services that the label selector picks. Raises ToolError, also for what is no selector."""
        found: set[ObjectKey] = set()
        try:
            async for page in self._client.list_pages(
                kinds.SERVICE, namespace=self._namespace, labels=selector
            ):
                found |= {key_of(_decoder.decode(raw)) for raw in page.items}
        except Invalid as error:
            raise ToolError(f"-l {selector}: {error}", Exit.USAGE) from error
        except KubeError as error:
            raise ToolError(explain(error, "list", kinds.SERVICE, self._namespace, self._server)) from error
        return frozenset(found)

    async def fleet(self) -> list[Object]:
        """Every service of the cluster; nothing where that may not be listed, and the caller goes by what it has."""
        try:
            return [
                _decoded(kinds.SERVICE, raw)
                async for page in self._client.list_pages(kinds.SERVICE)
                for raw in page.items
            ]
        except KubeError:
            return []

    async def answer(self, found: Snapshot) -> bool:
        """Fetches what plans have asked for since; False when nothing was asked."""
        demands, found.demands = found.demands, set()
        selections, found.selections = found.selections, set()
        async with anyio.create_task_group() as group:
            for ref in demands:
                group.start_soon(self._get, ref, found)
            for selection in selections:
                group.start_soon(self._select, selection, found)
        return bool(demands or selections)

    async def _ask_version(self, found: Snapshot) -> None:
        with suppress(KubeError):  # stays unknown
            found.version = await server_version(self._client)

    async def _discover(self, version: str, wanted: Sequence[Kind], found: Snapshot) -> None:
        try:
            body = _decoder.decode(
                await self._client.get_raw(f"/apis/{version}" if "/" in version else f"/api/{version}")
            )
            plurals = {entry.get("name") for entry in body.get("resources") or ()}
        except NotFound as error:
            plurals = set()
            if not is_kind_missing(error):
                return
        except (KubeError, msgspec.MsgspecError):
            return  # stays unknown
        for kind in wanted:
            found.presence[kind] = Served.YES if kind.plural in plurals else Served.NO

    async def _listed(self, watch: Watched, found: Snapshot) -> None:
        try:
            await self._list(watch, found)
        except KubeError as error:
            found.unread[watch.kind] = explain(error, "list", watch.kind, self._namespace, self._server)

    async def _list(self, watch: Watched, found: Snapshot) -> None:
        namespace = self._namespace if watch.kind.namespaced else ""
        async with self._limit:
            async for page in self._client.list_pages(
                watch.kind, namespace=namespace, labels=watch.labels, fields=watch.fields
            ):
                for raw in page.items:
                    found.add(watch.kind, _decoded(watch.kind, raw))

    async def _get(self, ref: ObjectRef, found: Snapshot) -> None:
        async with self._limit:
            try:
                obj = await self._client.get(ref.kind, ref.namespace, ref.name)
                found.reads[ref] = Present(obj)
            except NotFound:
                found.reads[ref] = Absent()
            except (KubeError, ValueError) as error:
                said = (
                    explain(error, "get", ref.kind, ref.namespace, self._server)
                    if isinstance(error, KubeError)
                    else str(error)
                )
                found.reads[ref] = Unknown(said)

    async def _select(self, selection: Selection, found: Snapshot) -> None:
        kind, namespace, labels = selection
        text = ",".join(f"{key}={value}" for key, value in sorted(labels))
        async with self._limit:
            try:
                objects = [
                    _decoded(kind, raw)
                    async for page in self._client.list_pages(kind, namespace=namespace, labels=text)
                    for raw in page.items
                ]
                found.selected[selection] = sorted(objects, key=lambda obj: (namespace_of(obj), name_of(obj)))
            except KubeError as error:
                found.selected[selection] = Unknown(explain(error, "list", kind, namespace, self._server))


def _decoded(kind: Kind, raw: bytes) -> dict[str, Any]:
    return weight.decode(raw) if kind in (kinds.SERVICE, kinds.CONFIG) else _decoder.decode(raw)
