"""Which of other people's kinds the API server serves, looked at again while we run.

One call per group and version. Only an answer says NO: the group version is unknown to the server (404 in its own words),
or its list lacks the kind. A failed call says nothing: what was served is taken to be served still, anything else is
UNKNOWN, and calls to such a kind report their own errors (CRD-1). A kind that is served only goes
to NO after a second look, because an API server that restarts forgets its CRDs for a moment. Looks come every `recheck`
seconds, so a CRD that comes or goes is noticed within 60 s. The server's version is asked with every look; the last that
was told counts. The log names in one line what the first look found absent, and then each kind that came or went.
"""

from collections.abc import Callable, Iterable
from typing import Final

import anyio
import msgspec
import structlog
from anyio.abc import TaskStatus

from aioctl.api.kinds import Kind, Served
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError, NotFound, is_kind_missing

RECHECK: Final = 30.0
"""Seconds between looks."""
CONFIRM: Final = 2.0
"""Seconds until the second look that lets a served kind go."""

log = structlog.get_logger(__name__)


class DiscoveryObserver:
    """Hook for metrics."""

    def presence(self, kind: Kind, presence: Served) -> None:
        """The presence of a kind changed (or became known)."""

    def discovery_failed(self, group_version: str) -> None:
        """A call failed; nothing was learnt about the group version."""


Handler = Callable[[Kind, Served], None]
ServerVersion = tuple[str, str]
"""Major and minor as the API server tells them, such as ("1", "34+")."""


class _Resource(msgspec.Struct):
    name: str = ""


class _ResourceList(msgspec.Struct):
    resources: list[_Resource] | None = None


class _Version(msgspec.Struct):
    major: str
    minor: str


_decoder = msgspec.json.Decoder(_ResourceList)
_version_decoder = msgspec.json.Decoder(_Version)


async def server_version(client: Client) -> ServerVersion:
    """What `/version` says, which every account may read. Raises KubeError."""
    try:
        found = _version_decoder.decode(await client.get_raw("/version"))
    except msgspec.MsgspecError as error:
        raise KubeError(f"the answer is no version: {error}") from error
    return found.major, found.minor


class Discovery:
    """Watches over the presence of `kinds`; any other kind counts as served."""

    def __init__(
        self,
        client: Client,
        kinds: Iterable[Kind],
        *,
        recheck: float = RECHECK,
        observer: DiscoveryObserver | None = None,
    ) -> None:
        self._client = client
        self._recheck = recheck
        self._observer: DiscoveryObserver = observer or DiscoveryObserver()
        self._presence = dict.fromkeys(kinds, Served.UNKNOWN)
        self._doubted: set[Kind] = set()
        self._told: dict[Kind, Served] = {}
        """What the log says of a kind; empty until the first look is over."""
        self._failures: dict[str, str] = {}
        """What could not be asked in this look -> the error."""
        self._failures_told: dict[str, str] = {}
        self._handlers: list[Handler] = []
        self._version: ServerVersion | None = None
        self._version_handlers: list[Callable[[], None]] = []
        self._looked = anyio.Event()

    def served(self, kind: Kind) -> Served:
        """What is known now, without asking."""
        return self._presence.get(kind, Served.YES)

    def subscribe(self, handler: Handler) -> None:
        """Calls the handler for every change from now on, and at once for what is already known."""
        self._handlers.append(handler)
        for kind, presence in self._presence.items():
            if presence is not Served.UNKNOWN:
                handler(kind, presence)

    def version(self) -> ServerVersion | None:
        """What the API server said last; None until it did."""
        return self._version

    def subscribe_to_version(self, handler: Callable[[], None]) -> None:
        """Calls the handler whenever the server tells another version."""
        self._version_handlers.append(handler)

    async def first_look(self) -> None:
        """Returns when every group version was asked once, successfully or not."""
        await self._looked.wait()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled. Reports started at once."""
        task_status.started()
        while True:
            self._failures = {}
            async with anyio.create_task_group() as looks:
                for api_version in sorted({kind.api_version for kind in self._presence}):
                    looks.start_soon(self._look, api_version)
                looks.start_soon(self._ask_version)
            self._tell()
            self._tell_failures()
            self._looked.set()
            await anyio.sleep(CONFIRM if self._doubted else self._recheck)

    async def _look(self, api_version: str) -> None:
        kinds = [kind for kind in self._presence if kind.api_version == api_version]
        try:
            plurals = await self._plurals(api_version)
        except KubeError as error:
            self._failures[api_version] = str(error)
            self._observer.discovery_failed(api_version)
            for kind in kinds:
                if self._presence[kind] is Served.NO:
                    self._set(kind, Served.UNKNOWN)
            return
        for kind in kinds:
            self._learn(kind, served=kind.plural in plurals)

    async def _ask_version(self) -> None:
        try:
            found = await server_version(self._client)
        except KubeError as error:
            self._failures["version"] = str(error)
            return
        if self._version == found:
            return
        self._version = found
        log.info("version of the API server", version=".".join(found))
        for handler in self._version_handlers:
            handler()

    async def _plurals(self, api_version: str) -> frozenset[str]:
        root = "/apis" if "/" in api_version else "/api"
        try:
            body = await self._client.get_raw(f"{root}/{api_version}")
        except NotFound as error:
            if not is_kind_missing(error):
                raise
            return frozenset()
        try:
            return frozenset(resource.name for resource in _decoder.decode(body).resources or ())
        except msgspec.MsgspecError as error:
            raise KubeError(f"the answer is no list of resources: {error}") from error

    def _learn(self, kind: Kind, *, served: bool) -> None:
        if served:
            self._doubted.discard(kind)
            self._set(kind, Served.YES)
        elif self._presence[kind] is Served.YES and kind not in self._doubted:
            self._doubted.add(kind)
        else:
            self._doubted.discard(kind)
            self._set(kind, Served.NO)

    def _set(self, kind: Kind, presence: Served) -> None:
        if self._presence[kind] is presence:
            return
        self._presence[kind] = presence
        self._observer.presence(kind, presence)
        for handler in self._handlers:
            handler(kind, presence)

    def _tell(self) -> None:
        """Into the log: once what is absent, then what differs from that. That an answer failed to come is no news of a kind."""
        news = {
            kind: presence
            for kind, presence in self._presence.items()
            if presence is not Served.UNKNOWN and presence is not self._told.get(kind)
        }
        if not self._told:
            if news:
                absent = sorted(kind.resource for kind, presence in news.items() if presence is Served.NO)
                log.info("optional kinds", served=len(news) - len(absent), absent=absent)
        else:
            for kind, presence in news.items():
                event = "kind is served" if presence is Served.YES else "kind is not served"
                log.info(event, kind=kind.resource)
        self._told |= news

    def _tell_failures(self) -> None:
        """An outage is one line, however many calls it fails and however long it lasts."""
        news = sorted(self._failures.keys() - self._failures_told)
        if news:
            log.warning("discovery failed", asked=news, error=self._failures[news[0]])
        if self._failures_told and not self._failures:
            log.info("discovery works again")
        self._failures_told = self._failures
