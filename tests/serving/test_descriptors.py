"""A server without file descriptors says so, waits for some, and then serves who has waited. Real sockets, virtual time."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import anyio
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from aioctl.serving.http_server import HttpServer
from aioctl.serving.limits import Limits
from testbed.virtual_time import virtual_time

LASTS = 90.0
PAUSE = 0.1


@contextmanager
def no_descriptors() -> Iterator[None]:
    """What is open stays open; nothing more can be opened, as every number beyond the standard ones is too high."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def answer(_request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="served")


@virtual_time
async def test_without_descriptors_it_says_so_now_and_then_and_serves_when_there_are_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts = 0
    accept = socket.socket.accept

    def counted(listener: socket.socket) -> tuple[socket.socket, object]:
        nonlocal attempts
        attempts += 1
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    server = HttpServer("127.0.0.1", 0, answer, limits=Limits())
    with capture_logs() as logs, ExitStack() as opened:
        async with anyio.create_task_group() as group:
            await group.start(server.run)
            clients = [opened.enter_context(socket.socket()) for _ in range(3)]
            with no_descriptors():
                for client in clients:
                    client.connect(("127.0.0.1", server.port))  # the kernel answers
                    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await anyio.sleep(LASTS)
                assert server.connections == 0
            assert LASTS / PAUSE * 0.9 <= attempts <= LASTS / PAUSE + 1
            await anyio.sleep(2 * PAUSE)
            assert server.connections == len(clients)
            for client in clients:
                assert client.recv(1000).endswith(b"served")
            group.cancel_scope.cancel()
    complaints = [entry for entry in logs if entry["event"] == "cannot accept connections"]
    assert [(entry["log_level"], entry["port"]) for entry in complaints] == [("error", server.port)] * 2
    assert all("Too many open files" in entry["error"] for entry in complaints)
