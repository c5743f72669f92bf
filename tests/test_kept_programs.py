"""Programs of others in the testbed: one that crashes is started again and told of; one that always does is given up."""

import contextlib
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

from aioctl.demo.ports import free_port
from testbed.real import controllers
from testbed.real.cluster import RealCluster

PATIENCE = 60.0
"""Seconds for a program of a few lines to start."""
_SERVES = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            print("concurrent map writes", flush=True)
            os._exit(2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


@pytest.fixture
def cluster(tmp_path: Path) -> RealCluster:
    """Only its folder is looked at."""
    return RealCluster("", tmp_path, "", tmp_path, tmp_path, tmp_path, "")


def test_one_that_crashes_is_started_again_and_told_of(cluster: RealCluster) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", _SERVES, str(port)]

    def asked(path: str = "/") -> bytes:
        with contextlib.suppress(OSError), urllib.request.urlopen(page + path, timeout=60) as answer:  # noqa: S310
            return bytes(answer.read())
        return b""

    ended: list[str] = []
    with (
        patch.object(controllers, "ended", ended),
        controllers.beside(cluster, "gateway", command, page),
    ):
        first = asked()
        asked("/crash")
        until(lambda: asked() not in (b"", first))
    (said,) = ended
    assert said.startswith("gateway ended by itself with code 2:\n")
    assert "concurrent map writes" in said


def test_one_that_always_crashes_is_given_up(cluster: RealCluster) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no')"]
    ended: list[str] = []
    with (
        patch.object(controllers, "ended", ended),
        pytest.raises(AssertionError, match=r"gateway ended again and again at start:\n(no\n)+"),
        controllers.beside(cluster, "gateway", command, f"http://127.0.0.1:{free_port()}"),
    ):
        pass
    assert len(ended) == controllers.MOST_ENDS + 1


def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process starts; there is nothing to await
