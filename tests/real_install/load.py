"""Conversions without pause: readers in v1alpha1 of an object that is stored in v1alpha2.

The API server keeps its connections to a webhook and shakes hands anew when their number does not do, when one is closed,
and after every change of the CA bundle.
"""

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from testbed.real.cluster import RealCluster

READERS = 8
PAUSE = 0.1
"""Seconds between two reads of one reader: there has to be something left of the machine for whoever answers."""


class Load:
    """Counts what was answered and keeps what was not."""

    def __init__(self, cluster: RealCluster, path: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self._cluster = cluster
        self._path = path
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator["Load"]:
        """Readers read until the block ends."""
        stopping = threading.Event()
        threads = [threading.Thread(target=self._read_on, args=(stopping,)) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            stopping.set()
            for thread in threads:
                thread.join(timeout=60)

    def _read_on(self, stopping: threading.Event) -> None:
        address = urllib.parse.urlsplit(self._cluster.server)
        context = ssl.create_default_context(cafile=str(self._cluster.ca_file))
        assert address.hostname is not None
        connection = http.client.HTTPSConnection(address.hostname, address.port, context=context, timeout=60)
        headers = {"Authorization": f"Bearer {self._cluster.token}", "Accept": "application/json"}
        try:
            while not stopping.wait(PAUSE):
                self._count(*_read(connection, self._path, headers))
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                self.failed.append(repr(error))
        finally:
            connection.close()

    def _count(self, status: int, body: bytes) -> None:
        converted = status == 200 and json.loads(body)["apiVersion"] == "serving.kserve.io/v1alpha1"
        with self._lock:
            if converted:
                self.answered += 1
            else:
                self.failed.append(body.decode(errors="replace")[:500])


def _read(connection: http.client.HTTPSConnection, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """As client-go reads: 429 with Retry-After is waited for.

    The API server answers so while it sets up a CRD's storage anew, which it does after every change of the CRD.
    """
    while True:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        after = answer.headers.get("Retry-After")
        if answer.status != http.client.TOO_MANY_REQUESTS or after is None:
            return answer.status, body
        time.sleep(float(after))  # what it asked for
