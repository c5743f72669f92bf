"""A wire in memory for unit tests: each request is answered by the test's script, and remembered.

    wire = ScriptedWire()
    wire.answer("GET", "/api/v1/namespaces/n/secrets/s", status=404, body=status_body(404, "NotFound", "no"))
    stream = wire.stream_answer("/api/v1/secrets")          # for the next watch of that path
    stream.send({"type": "ADDED", "object": {...}}); stream.cut() / stream.end()

Answers queue up per method and path; the last one stays. What has no script fails the test by name. Waiting goes through
the loop's time, so virtual time applies to delays, deadlines and silence.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec

from aioctl.kube.errors import Silence, TransportError
from aioctl.kube.wire import Request, Response, Stream

Answer = Response | Exception | Callable[[Request], Response]


def encode(body: object) -> bytes:
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def status_body(
    code: int, reason: str, message: str, details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A Status object as the API server sends it."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": dict(details or {}),
        "code": code,
    }


def list_body(items: list[dict[str, Any]], resource_version: str, more: str = "") -> dict[str, Any]:
    """A list as the API server sends it: the items of a list carry neither kind nor apiVersion."""
    metadata = {"resourceVersion": resource_version, "continue": more}
    return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items}


class ScriptedStream:
    """One open stream; the test feeds it."""

    def __init__(
        self, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = headers or {}
        self.opened = anyio.Event()
        self.closed = False
        self._body = body
        self._feed: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.idle_timeout = math.inf

    def send(self, *events: object) -> None:
        """Lines, given as objects or bytes."""
        for event in events:
            self._feed.put_nowait(encode(event))

    def end(self) -> None:
        """The server ends the stream in good order."""
        self._feed.put_nowait(None)

    def cut(self) -> None:
        """The connection breaks."""
        self._feed.put_nowait(TransportError("connection reset", maybe_sent=True))

    async def lines(self) -> AsyncIterator[bytes]:
        while True:
            try:
                with anyio.fail_after(self.idle_timeout):
                    line = await self._feed.get()
            except TimeoutError as silence:
                raise Silence("nothing came") from silence
            if line is None:
                return
            if isinstance(line, Exception):
                raise line
            yield line

    async def body(self) -> bytes:
        return self._body

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedWire:
    """Implements `kube.wire.Wire`."""

    requests: list[Request] = field(default_factory=list)
    """Everything that was asked, in order, watches included."""
    delay: float = 0.0
    """Seconds every answer takes."""
    closed: bool = False
    _answers: dict[tuple[str, str], list[Answer]] = field(default_factory=lambda: defaultdict(list))
    _streams: dict[str, list[ScriptedStream | Exception]] = field(default_factory=lambda: defaultdict(list))

    def answer(
        self,
        method: str,
        path: str,
        *answers: Answer,
        status: int = 200,
        body: object = b"",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Queues answers for this method and path; without any, one made of status, body and headers."""
        given = answers or (Response(status, headers or {}, encode(body)),)
        self._answers[method, path].extend(given)

    def stream_answer(
        self, path: str, *, status: int = 200, body: object = b"", error: Exception | None = None
    ) -> ScriptedStream:
        """Queues the answer to the next stream of this path."""
        stream = ScriptedStream(status, encode(body))
        self._streams[path].append(error or stream)
        return stream

    def asked(self, method: str, path: str = "") -> list[Request]:
        """The requests with this method (and path, when given) so far; watches count as WATCH."""
        return [
            request for request in self.requests if _method(request) == method and path in ("", request.path)
        ]

    # The deadline is part of the protocol under test.
    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        self.requests.append(request)
        script = self._answers.get((request.method, request.path))
        if not script:
            raise AssertionError(f"no answer scripted for {request.method} {request.path}")
        answer = script.pop(0) if len(script) > 1 else script[0]
        try:
            with anyio.fail_after(timeout):
                await anyio.sleep(self.delay)
        except TimeoutError as late:
            raise TransportError("no answer within the deadline", maybe_sent=True) from late
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Response) else answer(request)

    @asynccontextmanager
    async def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AsyncIterator[Stream]:
        self.requests.append(request)
        await anyio.sleep(self.delay)
        script = self._streams.get(request.path)
        if not script:
            # A watch nobody scripted stays open and silent.
            script = [ScriptedStream()]
        stream = script.pop(0)
        if isinstance(stream, Exception):
            raise stream
        stream.idle_timeout = idle_timeout
        stream.opened.set()
        try:
            yield stream
        finally:
            stream.close()

    async def aclose(self) -> None:
        self.closed = True


def _method(request: Request) -> str:
    return "WATCH" if ("watch", "true") in request.query else request.method
