"""A client that reads all services in both versions without pause: lists, single objects and watches; each is a conversion.

It reads as client-go does: a 429 with Retry-After is waited for, nothing else is forgiven.
"""

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from testbed.real.cluster import RealCluster

VERSIONS = (kinds.SERVICE_V1ALPHA1, kinds.SERVICE)
PAUSE = 0.2
"""Seconds between two reads: something of the machine has to be left."""


class Watcher:
    """Counts what it was given and keeps what went wrong."""

    def __init__(self, cluster: RealCluster) -> None:
        self.reads = 0
        self.read_in = dict.fromkeys((kind.version for kind in VERSIONS), 0)
        """Lists with at least one service, by version."""
        self.changes = 0
        """Events of the watches."""
        self.failures: list[str] = []
        self._cluster = cluster
        self._context = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(work, kind), daemon=True)
            for kind in VERSIONS
            for work in (self._read, self._watch)
        ]

    @contextmanager
    def running(self) -> Iterator["Watcher"]:
        """Reads until the block ends."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """Reads nothing any more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _guarded(self, work: Any, kind: Kind) -> None:
        while not self._stopping.is_set():
            connection = self._connect()
            try:
                work(connection, kind)
            except Exception as error:  # noqa: BLE001  whatever it is, a client has seen it
                self._fail(f"{kind.version} {work.__name__}: {error!r}")
                self._stopping.wait(1)
            finally:
                connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        address = urllib.parse.urlsplit(self._cluster.server)
        assert address.hostname is not None
        return http.client.HTTPSConnection(address.hostname, address.port, context=self._context, timeout=60)

    def _read(self, connection: http.client.HTTPSConnection, kind: Kind) -> None:
        while not self._stopping.wait(PAUSE):
            found = json.loads(self._get(connection, kind.path()))
            self._check(kind, found["items"])
            for item in found["items"][:1]:
                meta = item["metadata"]
                status, body = self._ask(connection, kind.path(meta["namespace"], meta["name"]))
                if status != http.client.NOT_FOUND:  # it was deleted in between
                    assert status == http.client.OK, body[:500]
                    self._check(kind, [json.loads(body)])
            self.reads += 1
            self.read_in[kind.version] += bool(found["items"])

    def _watch(self, connection: http.client.HTTPSConnection, kind: Kind) -> None:
        """One watch, from now on, for as long as the API server keeps it."""
        since = json.loads(self._get(connection, kind.path() + "?limit=1"))["metadata"]["resourceVersion"]
        path = f"{kind.path()}?watch=1&resourceVersion={since}&timeoutSeconds=5"
        answer = self._open(connection, path)
        assert answer.status == http.client.OK, answer.read()[:500]
        for line in answer:
            event = json.loads(line)
            if event["type"] == "ERROR" and event["object"]["code"] == http.client.GONE:
                return  # the API server has begun anew, as it does after each change of a CRD: the client lists again
            assert event["type"] != "ERROR", event
            self._check(kind, [event["object"]])
            self.changes += 1

    def _check(self, kind: Kind, items: list[dict[str, Any]]) -> None:
        for item in items:
            assert item.get("apiVersion") == kind.api_version, item

    def _get(self, connection: http.client.HTTPSConnection, path: str) -> bytes:
        status, body = self._ask(connection, path)
        assert status == http.client.OK, body[:500]
        return body

    def _ask(self, connection: http.client.HTTPSConnection, path: str) -> tuple[int, bytes]:
        answer = self._open(connection, path)
        return answer.status, answer.read()

    def _open(self, connection: http.client.HTTPSConnection, path: str) -> http.client.HTTPResponse:
        """The answer, its body not read yet."""
        while True:
            connection.request("GET", path, headers=self._headers())
            answer = connection.getresponse()
            after = answer.headers.get("Retry-After")
            if answer.status != http.client.TOO_MANY_REQUESTS or after is None:
                return answer
            answer.read()
            time.sleep(float(after))  # what it asked for

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._cluster.token}", "Accept": "application/json"}

    def _fail(self, text: str) -> None:
        self.failures.append(f"{datetime.now(UTC):%H:%M:%S} {text}")
