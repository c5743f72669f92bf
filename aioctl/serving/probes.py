"""The probes: `/healthz` and `/readyz`, each over named checks, on a port of their own (PROBE-1).

A check returns an empty text, or what is wrong. Readiness means that conversion works: the server's own port is called
over TLS, as the API server would, and the certificate that it shows has not expired. It looks at neither caches nor
leadership nor the API server, because listing our own kind may need this very webhook. Liveness looks at what only a restart can cure; which watches count is injected.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final, Protocol

import aiohttp
import anyio
import msgspec
from aiohttp import web
from anyio.abc import TaskStatus

from aioctl.api.kinds import SERVICE, V1ALPHA1, V1ALPHA2
from aioctl.api.review import CONVERT
from aioctl.pki.pairs import ParsedPair
from aioctl.serving.http_server import HttpServer
from aioctl.serving.limits import Limits

Check = Callable[[], Awaitable[str]]

CHECK_TIMEOUT: Final = 4.0
"""Seconds; less than the probes' own 5 s, so that the answer names the check."""
FRESHNESS: Final = 1.0
"""Seconds for which a result is good enough for the next caller. Kubernetes asks once in ten seconds; a stranger who asks as
often as he can must not have a TLS handshake and a conversion for each question: 31 a second were a replica's whole time."""
_ANY_ADDRESS: Final = ("", "0.0.0.0", "::")  # noqa: S104  compared with, not bound

_SELF_REVIEW: Final = msgspec.json.encode(
    {
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1",
        "request": {
            "uid": "readyz",
            "desiredAPIVersion": V1ALPHA2,
            "objects": [
                {
                    "apiVersion": V1ALPHA1,
                    "kind": SERVICE.kind,
                    "metadata": {"name": "readyz", "namespace": "readyz"},
                }
            ],
        },
    }
)


class _Converted(msgspec.Struct):
    api_version: str = msgspec.field(name="apiVersion")


class _Response(msgspec.Struct):
    converted: list[_Converted] = msgspec.field(name="convertedObjects")


class _Review(msgspec.Struct):
    response: _Response


_review = msgspec.json.Decoder(_Review)


class ServedPort(Protocol):
    """A server whose port is known once it is bound. `WebhookServer` is one."""

    @property
    def port(self) -> int: ...

    @property
    def serving(self) -> bool: ...


def self_conversion(server: ServedPort, host: str, *, timeout: float = CHECK_TIMEOUT) -> Check:
    """A check that has one object converted through the webhook's own port, over a fresh TLS connection.

    The certificate is not verified: whom it convinces depends on the CA bundle that the API server was given.
    """
    address = "localhost" if host in _ANY_ADDRESS else host

    async def check() -> str:
        if not server.serving:
            return "the webhook server has not started: no certificate yet, or stopping"
        url = f"https://{f'[{address}]' if ':' in address else address}:{server.port}{CONVERT}"
        limits = aiohttp.ClientTimeout(total=timeout)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False), timeout=limits) as session,
                session.post(url, data=_SELF_REVIEW, headers={"Content-Type": "application/json"}) as answer,
            ):
                return _judge(answer.status, await answer.read())
        except (aiohttp.ClientError, OSError) as error:
            return f"a conversion through the webhook's own port failed: {str(error) or type(error).__name__}"

    return check


def unexpired(pair: Callable[[], ParsedPair | None], now: Callable[[], datetime]) -> Check:
    """A check that the served certificate has not expired: the API server would refuse every call, and only it would say so.

    Without a certificate there is nothing to say; `self_conversion` then says that the server has not started.
    """

    async def check() -> str:
        served = pair()
        if served is None or now() <= served.not_after:
            return ""
        return f"the served certificate expired at {served.not_after.isoformat()}"

    return check


def fresh_watches(ages: Callable[[], Mapping[str, float]], limit: float) -> Check:
    """A check that every watch was heard of within `limit` seconds; `ages` gives the seconds by the watch's name."""

    async def check() -> str:
        silent = sorted(f"{name} ({age:.0f} s)" for name, age in ages().items() if age > limit)
        return f"watches silent for more than {limit:g} s: {', '.join(silent)}" if silent else ""

    return check


async def alive() -> str:
    """The check that only asks whether the loop still turns."""
    return ""


class Shared:
    """A check that runs at most once at a time and once in `freshness` seconds, whoever asks. A run that hangs is a failure."""

    def __init__(self, check: Check, freshness: float) -> None:
        self._check = check
        self._freshness = freshness
        self._result = ""
        self._good_until = -math.inf
        self._running: anyio.Event | None = None
        self._finished: anyio.Event | None = None
        """The last run that came to a result."""

    async def __call__(self) -> str:
        while (running := self._running) is not None:
            await running.wait()
            if self._finished is running:
                return self._result
        if anyio.current_time() < self._good_until:
            return self._result
        running = self._running = anyio.Event()
        try:
            self._result = await _run(self._check)
            self._finished = running
            self._good_until = anyio.current_time() + self._freshness
            return self._result
        finally:  # cancelled, because its caller is gone: one of the others runs it
            self._running = None
            running.set()


class ProbeServer:
    """Serves both probes over plain HTTP. Without checks of its own a probe says `ok` while the loop turns.

    Each check has one result in `freshness` seconds, which all callers share.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        healthz: Mapping[str, Check],
        readyz: Mapping[str, Check],
        limits: Limits | None = None,
        freshness: float = FRESHNESS,
    ) -> None:
        self._probes = {
            probe: {name: Shared(check, freshness) for name, check in (checks or {"ping": alive}).items()}
            for probe, checks in (("healthz", healthz), ("readyz", readyz))
        }
        self._server = HttpServer(host, port, self._answer, limits=limits or Limits(drain=1.0))

    @property
    def port(self) -> int:
        """The port in use, once it is bound."""
        return self._server.port

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        await self._server.run(task_status=task_status)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        probe, _, name = request.path.strip("/").partition("/")
        checks = self._probes.get(probe)
        if checks is None or (name and name not in checks):
            return _text(HTTPStatus.NOT_FOUND, f"no check at {request.path}")
        if request.method not in ("GET", "HEAD"):
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "probes are read with GET")
        if name:
            problem = await checks[name]()
            if problem:
                return _text(HTTPStatus.INTERNAL_SERVER_ERROR, f"{name} failed: {problem}")
            return _text(HTTPStatus.OK, "ok")
        lines, failed = [], False
        for each, check in checks.items():
            problem = await check()
            failed = failed or bool(problem)
            lines.append(f"[-]{each} failed: {problem}" if problem else f"[+]{each} ok")
        if failed:
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "\n".join([*lines, f"{probe} check failed"]))
        if "verbose" in request.query:
            return _text(HTTPStatus.OK, "\n".join([*lines, f"{probe} check passed"]))
        return _text(HTTPStatus.OK, "ok")


async def _run(check: Check) -> str:
    try:
        with anyio.fail_after(CHECK_TIMEOUT):
            return await check()
    except TimeoutError:
        return f"no result within {CHECK_TIMEOUT:g} s"


def _judge(status: int, body: bytes) -> str:
    if status != HTTPStatus.OK:
        return f"a conversion through the webhook's own port got HTTP {status}"
    try:
        converted = _review.decode(body).response.converted
    except msgspec.MsgspecError:
        converted = []
    if [item.api_version for item in converted] == [V1ALPHA2]:
        return ""
    return f"a conversion through the webhook's own port got a wrong answer: {body[:200].decode(errors='replace')}"


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text, headers={"X-Content-Type-Options": "nosniff"})
