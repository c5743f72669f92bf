"""The simulated API server on a port: plain HTTP on loopback, so kubectl and curl can look into it.

Moves requests and replies between aiohttp and `SimCluster` and writes kubeconfigs. A watch is a chunked stream; a client
that goes away cancels its handler, which closes the watch.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import yaml
from aiohttp import web

from aioctl.api import body_limits
from aioctl.sim.api import SimCluster
from aioctl.sim.faults import ConnectionLost
from aioctl.sim.requests import SimRequest

BACKLOG: Final = 4096
"""Connections that may wait to be accepted; aiohttp's 128 drops a burst (WEB-2)."""
IDLE_SECONDS: Final = 3600.0
"""A kept connection is never closed under a client that is about to use it."""


class _Closes(Protocol):
    async def aclose(self) -> None: ...


class _Front:
    """Handles requests of one cluster."""

    def __init__(self, cluster: SimCluster) -> None:
        self._cluster = cluster

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        query = tuple(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
        body = await request.read() if request.body_exists else b""
        asked = SimRequest(request.method, request.path, query, request.headers, body)
        try:
            reply = await self._cluster.handle(asked)
        except ConnectionLost:
            return self._hang_up(request)
        if isinstance(reply.body, bytes):
            return web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)
        return await self._stream(request, reply.status, reply.headers, reply.body)

    @staticmethod
    def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.close()
        return web.Response(status=503)

    @staticmethod
    async def _stream(
        request: web.BaseRequest, status: int, headers: Mapping[str, str], body: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        kept = {name: value for name, value in headers.items() if name != "transfer-encoding"}
        response = web.StreamResponse(status=status, headers=kept)
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            async for piece in body:
                await response.write(piece)
            await response.write_eof()
        except ConnectionError:
            # The client left between two lines; there is nobody to tell.
            return response
        finally:
            closer: Any = body
            await _close(closer)
        return response


async def _close(stream: _Closes) -> None:
    await stream.aclose()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(
        message, payload, protocol, writer, task, loop, client_max_size=body_limits.EMBEDDED
    )


@asynccontextmanager
async def serve(cluster: SimCluster, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Serves the cluster (port 0: any free one); yields the port."""
    server = web.Server(
        _Front(cluster),
        request_factory=_request,
        handler_cancellation=True,
        access_log=None,
        keepalive_timeout=IDLE_SECONDS,
    )
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def kubeconfig(server: str, *, namespace: str = "demo") -> str:
    """A kubeconfig (YAML) for a server without authentication."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "sim",
            "clusters": [{"name": "sim", "cluster": {"server": server}}],
            "users": [{"name": "sim", "user": {}}],
            "contexts": [
                {"name": "sim", "context": {"cluster": "sim", "user": "sim", "namespace": namespace}}
            ],
        },
        sort_keys=False,
    )


def write_kubeconfig(path: Path, server: str, *, namespace: str = "demo") -> None:
    """Writes it for the owner's eyes only, as kubectl likes it."""
    path.touch(mode=0o600)
    path.write_text(kubeconfig(server, namespace=namespace))
