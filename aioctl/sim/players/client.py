"""What a player needs of an API server, and the in-process implementation for the simulated one.

Objects are raw mappings, kinds are those of `aioctl.api.kinds`. A client maps its errors to two: an object or kind that is
not there is None or an empty list, everything else that may pass is `TryAgain`.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from aioctl.api.kinds import Kind
from aioctl.sim.api import SimCluster
from aioctl.sim.faults import ConnectionLost
from aioctl.sim.requests import SimReply, SimRequest

Object = dict[str, Any]
AGENT: Final = "sim-player/1"


class TryAgain(Exception):
    """The call did not work now; it may later."""


@dataclass(frozen=True, slots=True)
class Event:
    """One watch event: ADDED, MODIFIED or DELETED."""

    type: str
    object: Object


class PlayerClient(Protocol):
    """The whole API of a player."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object; None when it (or its kind) is not there. Raises TryAgain."""
        ...

    async def list(self, kind: Kind) -> tuple[list[Object], str] | None:
        """All objects of all namespaces and the revision to watch from; None while the kind is not served."""
        ...

    def watch(self, kind: Kind, since: str) -> AsyncIterator[Event]:
        """Changes after a revision, until the server ends it for whatever reason (then list again). Raises TryAgain."""
        ...

    async def patch_status(self, kind: Kind, namespace: str, name: str, status: Object) -> Object | None:
        """Merge-patches the status subresource; None when the object is gone. Raises TryAgain."""
        ...


class InProcessClient:
    """Implements `PlayerClient` on a `SimCluster`, without sockets."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        return _decoded(await self._ask("GET", kind.path(namespace, name)))

    async def list(self, kind: Kind) -> tuple[list[Object], str] | None:
        found = _decoded(await self._ask("GET", kind.path()))
        return None if found is None else (found["items"], found["metadata"]["resourceVersion"])

    async def watch(self, kind: Kind, since: str) -> AsyncIterator[Event]:
        reply = await self._ask("GET", kind.path(), (("watch", "true"), ("resourceVersion", since)))
        if isinstance(reply.body, bytes):
            return
        stream: Any = reply.body
        async with aclosing(stream):
            async for lines in stream:
                for line in lines.splitlines():
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        return
                    yield Event(event["type"], event["object"])

    async def patch_status(self, kind: Kind, namespace: str, name: str, status: Object) -> Object | None:
        path = kind.path(namespace, name, "status")
        body = msgspec.json.encode({"status": status})
        return _decoded(await self._ask("PATCH", path, body=body))

    async def _ask(
        self, method: str, path: str, query: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> SimReply:
        headers = {"user-agent": AGENT, "content-type": "application/merge-patch+json"}
        try:
            return await self._cluster.handle(SimRequest(method, path, query, headers, body))
        except ConnectionLost as error:
            raise TryAgain(str(error)) from error


def _decoded(reply: SimReply) -> Object | None:
    if reply.status == 404:
        return None
    body = reply.body if isinstance(reply.body, bytes) else b"{}"
    decoded: Object = msgspec.json.decode(body)
    if reply.status >= 400:
        raise TryAgain(str(decoded.get("message", reply.status)))
    return decoded
