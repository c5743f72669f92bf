"""What strangers do to the ports of a controller, for `bench.strangers`: each attack goes on until it is cancelled.

An attack comes from the same address as the client that behaves, so that no rule about addresses protects it.
"""

import itertools
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import anyio
import anyio.to_thread
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream

from aioctl.api.review import CONVERT

_HOST: Final = "127.0.0.1"
_IDLE: Final = 3000
"""More connections than the server has room for."""
_OPENERS: Final = 50
_MIB: Final = 1 << 20
_BROKEN: Final = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass(frozen=True, slots=True)
class Target:
    """Ports on loopback."""

    webhook: int
    metrics: int
    health: int


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _hello() -> bytes:
    """What OpenSSL says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        _context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


async def _over_tcp(port: int, said: bytes) -> SocketStream:
    stream = await anyio.connect_tcp(_HOST, port)
    if said:
        await stream.send(said)
    return stream


async def _over_tls(port: int, said: bytes) -> TLSStream:
    stream = await anyio.connect_tcp(_HOST, port, ssl_context=_CONTEXT, tls_standard_compatible=False)
    if said:
        await stream.send(said)
    return stream


_CONTEXT: Final = _context()


async def _held(count: int, opened: Callable[[], Awaitable[SocketStream | TLSStream]]) -> None:
    """So many connections at any time: one that the server closes is opened anew, as fast as one process can."""

    async def hold() -> None:
        while True:
            try:
                stream = await opened()
            except _BROKEN:
                await anyio.sleep(0.05)
                continue
            with suppress(*_BROKEN):
                while True:
                    await stream.receive()
            with suppress(*_BROKEN):
                await anyio.aclose_forcefully(stream)

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(hold)
            if number % _OPENERS == 0:
                await anyio.sleep(0.02)


async def silent(target: Target) -> None:
    """3,000 connections that say nothing."""
    await _held(_IDLE, lambda: _over_tcp(target.webhook, b""))


async def half_open(target: Target) -> None:
    """500 handshakes of one byte."""
    await _held(500, lambda: _over_tcp(target.webhook, b"\x16"))


async def hellos(target: Target) -> None:
    """500 whole ClientHellos, and no more."""
    said = _hello()
    await _held(500, lambda: _over_tcp(target.webhook, said))


async def idle(target: Target) -> None:
    """3,000 connections over TLS that say nothing."""
    await _held(_IDLE, lambda: _over_tls(target.webhook, b""))


def _head(path: str, size: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    ).encode()


async def announced(target: Target) -> None:
    """300 announced bodies of 1 MiB of which one byte comes, to /convert and to a mutation."""
    paths = itertools.cycle((CONVERT, "/mutate-serving-kserve-io-v1alpha2-llminferenceservice"))
    await _held(300, lambda: _over_tls(target.webhook, _head(next(paths), _MIB) + b"x"))


async def stalled(target: Target) -> None:
    """100 bodies of 1 MiB that stop before their last byte."""
    said = _head(CONVERT, _MIB) + b"x" * (_MIB - 1)
    await _held(100, lambda: _over_tls(target.webhook, said))


async def numbers(target: Target) -> None:
    """Reviews of 100 MiB that hold numbers instead of objects, one after the other."""
    body = (
        b'{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1","request":{"uid":"u",'
        b'"desiredAPIVersion":"serving.kserve.io/v1alpha2","objects":[' + b"1," * (50 * _MIB) + b"1]}}"
    )
    said = _head(CONVERT, len(body)) + body
    while True:
        with suppress(*_BROKEN):
            async with await _over_tls(target.webhook, said) as stream:
                await stream.receive()


async def probes(target: Target) -> None:
    """20 callers of /readyz without pause."""

    async def ask() -> None:
        while True:
            with suppress(*_BROKEN):
                async with await anyio.connect_tcp(_HOST, target.health) as stream:
                    while True:
                        await stream.send(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
                        await stream.receive()

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)


async def unread(target: Target) -> None:
    """20 readers of the metrics page who ask and do not read."""

    async def ask() -> None:
        while True:
            with suppress(*_BROKEN):
                async with await anyio.connect_tcp(_HOST, target.metrics) as stream:
                    while True:
                        await stream.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask)


async def malformed(target: Target) -> None:
    """20 clients that speak no HTTP, again and again."""

    async def talk() -> None:
        while True:
            with suppress(*_BROKEN):
                async with await _over_tls(target.webhook, b"\x00 nonsense\r\n\r\n") as stream:
                    await stream.receive()

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(talk)


Attack = Callable[[Target], Coroutine[Any, Any, None]]
ATTACKS: Final[Mapping[str, Attack]] = {
    attack.__name__: attack
    for attack in (
        silent,
        half_open,
        hellos,
        idle,
        announced,
        stalled,
        numbers,
        probes,
        unread,
        malformed,
    )
}


def until_told(name: str, target: Target, told: Connection) -> None:
    """The body of a process: attacks until something comes through the pipe."""
    anyio.run(_until_told, ATTACKS[name], target, told)


async def _until_told(attack: Attack, target: Target, told: Connection) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(attack, target)
        await anyio.to_thread.run_sync(told.recv)
        group.cancel_scope.cancel()
