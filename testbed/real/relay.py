"""A relay between one client and a real API server, which sees each write and can make something happen at one of them.

It speaks plain HTTP to the client and hands everything else through as it comes, watches included. What kills or stops the
client's process is its caller's deed; the relay decides only what of the write in question gets through.
"""

import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from testbed.crashes import Crash, Mode, is_write

_OF_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "host", "content-length"}
)
_PIECE: Final = 1 << 16


class Relay:
    """Counts writes, and does what it was armed with at one of them."""

    def __init__(self, server: str, ca_file: Path) -> None:
        self.writes: list[str] = []
        """`<method> <path>` of each write, in the order in which they came: no dry runs, events, leases."""
        self.happened = threading.Event()
        """The deed is done."""
        self._due = 0
        self._mode: Mode | None = None
        self._deed: Callable[[], object] = lambda: None
        self._lock = threading.Lock()
        self._upstream = urllib.parse.urlsplit(server)
        self._context = ssl.create_default_context(cafile=str(ca_file))
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"relay": self}))

    def arm(self, crash: Crash, deed: Callable[[], object]) -> None:
        """At the write of `crash`, counted from now on, `deed` is done: before the API server has it, when the answer has gone
        back, or when it took effect and the answer is kept."""
        self.happened.clear()
        with self._lock:
            self._due, self._mode, self._deed = len(self.writes) + crash.write, crash.mode, deed

    def disarm(self) -> None:
        """Nothing is done at any write from now on."""
        with self._lock:
            self._due = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def kubeconfig(self, path: Path, token: str) -> Path:
        """Writes one for the holder of the token there."""
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "relay",
            "clusters": [{"name": "relay", "cluster": {"server": self.address}}],
            "users": [{"name": "account", "user": {"token": token}}],
            "contexts": [{"name": "relay", "context": {"cluster": "relay", "user": "account"}}],
        }
        path.write_text(json.dumps(whole))
        return path

    @contextmanager
    def running(self) -> Iterator["Relay"]:
        """Until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def note(self, method: str, target: str) -> Mode | None:
        """Counts a request that is a write; returns what happens at it."""
        path, _, query = target.partition("?")
        if "/leases" in path or not is_write(method, path, urllib.parse.parse_qsl(query)):
            return None
        with self._lock:
            self.writes.append(f"{method} {path}")
            return self._mode if len(self.writes) == self._due else None

    def do(self) -> None:
        self._deed()
        self.happened.set()

    def connect(self) -> http.client.HTTPSConnection:
        assert self._upstream.hostname is not None
        return http.client.HTTPSConnection(
            self._upstream.hostname, self._upstream.port, context=self._context
        )


class _Server(ThreadingHTTPServer):
    """Watches hang in their threads until the API server ends them."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A connection that broke is the client's business, who sees it, too."""


class _Handler(BaseHTTPRequestHandler):
    """One connection of the client, with one of its own to the API server."""

    protocol_version = "HTTP/1.1"
    relay: Relay
    _connection: http.client.HTTPSConnection | None = None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's word
        """Says nothing."""

    def finish(self) -> None:
        if self._connection is not None:
            self._connection.close()
        with suppress(OSError):
            super().finish()

    def _relayed(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        mode = self.relay.note(self.command, self.path)
        if mode is Mode.BEFORE:
            self._cut()
            return
        answer = self._ask(body)
        if mode is Mode.LOST:
            answer.read()
            self._cut()
            return
        with suppress(OSError):  # the client may be gone
            self._hand_back(answer)
        if mode is Mode.AFTER:
            self._cut()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _relayed  # noqa: N815  the base class's names

    def _cut(self) -> None:
        self.relay.do()
        self.close_connection = True

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = self.relay.connect()
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in _OF_A_CONNECTION
        }
        self._connection.request(self.command, self.path, body or None, headers)
        return self._connection.getresponse()

    def _hand_back(self, answer: http.client.HTTPResponse) -> None:
        length = answer.headers.get("Content-Length")
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(answer.read())
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := answer.read1(_PIECE):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
