"""The metrics page and its neighbours: read-only pages on a port of their own, rendered in slices.

A page is an iterator that renders one part per step, the metrics page one family: 200 histogram series at once take
29 ms, which is too long for a loop that also converts. What a page says is the business of whoever passes it in, and so is
who may read it.
"""

import math
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from time import perf_counter
from typing import Final, Protocol

import anyio
from aiohttp import web
from anyio.abc import TaskStatus

from aioctl.serving.http_server import HttpServer, TlsSource
from aioctl.serving.limits import KIB, Limits
from aioctl.serving.operators_page import OperatorsPage
from aioctl.serving.webhook import Turns

_SLICE: Final = 0.0004
"""Seconds of rendering per turn, the last part not counted."""
_PART: Final = 64 * KIB
"""Bytes that are sent at once: a page of a large fleet has megabytes, and who does not read holds no more than a part."""
_PATIENCE: Final = 10.0
"""Seconds in which a client has to take a part; what Prometheus gives a whole scrape."""


@dataclass(frozen=True, slots=True)
class MetricsPage:
    """`render` starts a fresh rendering; each step yields a part of the body."""

    content_type: str
    render: Callable[[], Iterator[bytes]]


_EMPTY: Final = MetricsPage("", lambda: iter(()))


class Guard(Protocol):
    """Decides who may read; `upkeep.access.AccessGuard` is one."""

    async def refusal(
        self, authorization: str, method: str, path: str
    ) -> tuple[HTTPStatus, str, Mapping[str, str]] | None:
        """Status, text and headers for a caller with that `Authorization` header who gets nothing; else None."""
        ...


class MetricsServer:
    """Serves `pages` by path, such as `{"/metrics": MetricsPage(...)}`, and the operators' page.

    Over plain HTTP to anybody, unless `tls` has a certificate and `guard` decides.
    """

    def __init__(
        self,
        host: str,
        port: int,
        pages: Mapping[str, MetricsPage],
        *,
        turnstile: Turns,
        limits: Limits | None = None,
        tls: TlsSource | None = None,
        guard: Guard | None = None,
        ui: OperatorsPage | None = None,
    ) -> None:
        self._ui = ui
        self._pages = dict(pages)
        self._turnstile = turnstile
        self._guard = guard
        self._server = HttpServer(host, port, self._answer, limits=limits or Limits(drain=1.0), tls=tls)

    @property
    def port(self) -> int:
        """The port in use, once it is bound."""
        return self._server.port

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        await self._server.run(task_status=task_status)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._guard is not None:
            given = request.headers.get("Authorization", "")
            refusal = await self._guard.refusal(given, request.method, request.path)
            if refusal is not None:
                status, text, headers = refusal
                return web.Response(status=status, text=text, headers=headers)
        if self._ui is not None and self._ui.serves(request.path):
            return await self._ui.answer(request)
        page = self._pages.get(request.path)
        if page is None:
            known = ", ".join(sorted(self._pages))
            return web.Response(
                status=HTTPStatus.NOT_FOUND, text=f"no page at {request.path}; there is {known}\n"
            )
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, text="pages are read with GET\n")
        return await self._send(request, page)

    async def _send(self, request: web.BaseRequest, page: MetricsPage) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": page.content_type})
        await response.prepare(request)
        with anyio.CancelScope() as scope:
            async for part in self._rendered(page if request.method == "GET" else _EMPTY):
                scope.deadline = anyio.current_time() + _PATIENCE
                await response.write(part)
                scope.deadline = math.inf
            await response.write_eof()
        if scope.cancelled_caught and request.transport is not None:
            request.transport.abort()
        return response

    async def _rendered(self, page: MetricsPage) -> AsyncIterator[bytes]:
        """Urgent, because a page in ordinary turns behind 200 busy reconciles would take longer than a scraper waits."""
        parts: list[bytes] = []
        rendering = page.render()
        ended = False
        while not ended:
            async with self._turnstile.turn(urgent=True):
                end = perf_counter() + _SLICE
                for part in rendering:
                    parts.append(part)
                    if perf_counter() >= end:
                        break
                else:
                    ended = True
            if ended or sum(map(len, parts)) >= _PART:
                yield b"".join(parts)
                parts = []
