"""The seam between Kubernetes logic and HTTP.

Everything above this module speaks `Request` and `Response`; `kube/http.py` carries them over sockets, the embedded
cluster and the tests answer them in memory. A wire moves bytes: it neither retries nor reads JSON nor knows kinds. Every
call has a deadline; there is no way to ask without one. Any status is an answer, not an error; a wire raises only
`kube.errors.TransportError`, when there is no answer.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One request: an absolute path without query, the query in order, the whole body."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, read whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Stream(Protocol):
    """An answer that is read piece by piece, such as a watch."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names are lower case."""
        ...

    def lines(self) -> AsyncIterator[bytes]:
        """Lines without their newline, of any length (one object may have 1.5 MiB); ends when the server ends the stream.

        Raises TransportError when the connection breaks, a half line included, and Silence after `idle_timeout` without
        a byte.
        """
        ...

    async def body(self) -> bytes:
        """All of it, for error answers."""
        ...


class Wire(Protocol):
    """Carries requests to one API server."""

    # An argument because a wire must also bound the wait for a free connection and tell which of the two ran out.
    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        """One exchange within `timeout` seconds, waiting for a connection included. Raises TransportError."""
        ...

    def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AbstractAsyncContextManager[Stream]:
        """Opens a stream: its head within `connect_timeout` seconds, then never more than `idle_timeout` without bytes.

        Raises TransportError. Leaving the context closes the connection.
        """
        ...

    async def aclose(self) -> None:
        """Closes all connections."""
        ...
