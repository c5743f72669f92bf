"""asyncio's TLS over a socket whose ClientHello was read already, without a read buffer for each connection.

`asyncio.sslproto.SSLProtocol` keeps 256 KiB for every connection to receive into, idle or not: 0.28 MB of the 0.3 MB that one
costs. The selector loop asks for the buffer, receives into it and hands it over within one callback, and the protocol copies what
came before it returns; so one buffer serves all connections of a process. The first bytes were read by whoever looked for the
whole hello, and are put in front.

This leans on parts of asyncio that are not promised: the constructor, `_incoming`, `_ssl_buffer` and `_ssl_buffer_view`.
`tests/serving/test_private_parts.py` says so when they change.
"""

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from typing import Any, Final

from aioctl.serving.limits import KIB

RECEIVE: Final = 256 * KIB
"""Bytes received at once by all connections in turn: as many as asyncio itself takes."""
UNREAD: Final = 64 * KIB
"""Encrypted bytes that are kept of a connection whose reading is paused; asyncio's own bound is 256 KiB."""
GOODBYE: Final = 2.0
"""Seconds for the client's part of closing TLS."""

_buffer: Final = bytearray(RECEIVE)
_view: Final = memoryview(_buffer)


class TlsProtocol(SSLProtocol):
    """The server's side of one connection. `opened` ends when the handshake does, with its error if it failed."""

    max_size = 1  # what the constructor allocates; replaced at once by what is shared

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, hello: bytes, *, handshake: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        options: dict[str, Any] = {
            "server_side": True,
            "ssl_handshake_timeout": handshake,
            "ssl_shutdown_timeout": GOODBYE,
        }
        super().__init__(loop, protocol, context, self.opened, **options)
        whole: Any = self
        whole.max_size = RECEIVE
        whole._ssl_buffer = _buffer
        whole._ssl_buffer_view = _view
        whole._incoming.write(hello)
        whole._set_read_buffer_limits(high=UNREAD)
        self._whole: Any = whole
        """This object with its private parts, which the types do not tell."""

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._whole = None  # no circle that only a collection would end

    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet: those to be encrypted, and those that are."""
        if self._whole is None or self._whole._transport is None:
            return 0
        below: int = self._whole._transport.get_write_buffer_size()
        above: int = self._whole._get_write_buffer_size()
        return above + below

    def cut(self) -> None:
        """Ends the connection at once; during the handshake `opened` fails."""
        if self._whole is not None and self._whole._transport is not None:
            self._whole._transport.abort()
        if not self.opened.done():
            self.opened.set_exception(ConnectionAbortedError("gave way to another connection"))
