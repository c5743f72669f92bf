"""One replica: `aioctl run` as a process of its own, with the shipped Deployment's environment, and what it says."""

import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from aioctl.demo.processes import Ports
from tests.deploy.manifests import NAMESPACE, container

PATIENCE = 600.0
"""Seconds that a claim may take on a machine that does a lot beside; usually it takes one or two."""
POLL = 0.05
_SERIES = re.compile(r"^([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
T = TypeVar("T")


def until(claim: Callable[[], T], what: str, *, seconds: float = PATIENCE, pause: float = POLL) -> T:
    """The first answer that is true. Raises AssertionError with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = claim()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(pause)  # other processes work; there is nothing to await


def shipped_environment(pod: str) -> dict[str, str]:
    """What the kubelet would give the container of deploy/base."""
    fields = {"metadata.namespace": NAMESPACE, "metadata.name": pod}
    return {
        entry["name"]: entry.get("value") or fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in container()["env"]
    }


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a metrics page."""

    name: str
    labels: Mapping[str, str]
    value: float


class Replica:
    """A started process. `host` is the address its webhooks listen on."""

    def __init__(
        self, name: str, folder: Path, kubeconfig: Path, host: str, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.host = host
        self.stopped = False
        """Somebody held the whole process for longer than its lease: it says so as it should."""
        self.ports = Ports.free()
        self.log_file = folder / f"{name}.log"
        given = {
            **shipped_environment(name),
            "KUBECONFIG": str(kubeconfig),
            "AIOCTL_WEBHOOK_HOST": host,
            "AIOCTL_WEBHOOK_PORT": str(self.ports.webhook),
            "AIOCTL_METRICS_HOST": "127.0.0.1",
            "AIOCTL_METRICS_PORT": str(self.ports.metrics),
            "AIOCTL_HEALTH_HOST": "127.0.0.1",
            "AIOCTL_HEALTH_PORT": str(self.ports.health),
            "AIOCTL_STATE_DIR": str(self.log_file.parent / "state"),
            **environment,
        }
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("AIOCTL_", "LLMISVC_"))
        }
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "aioctl", "run"], stdout=log, stderr=log, env={**kept, **given}
            )

    @property
    def health_page(self) -> str:
        return f"http://127.0.0.1:{self.ports.health}/healthz"

    def wait_ready(self) -> None:
        """Until the probe says so. Raises AssertionError with the log."""
        url = f"http://127.0.0.1:{self.ports.health}/readyz"
        deadline = time.monotonic() + PATIENCE
        while True:
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(url, timeout=5) as answer,
            ):
                if answer.status == 200:
                    return
            assert self.process.poll() is None, f"{self.name} ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.name} did not get ready:\n{self.tail()}"
            time.sleep(POLL)  # another process starts; there is nothing to await

    def kill(self) -> None:
        """As the kernel does when memory is short."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """As the kubelet does; answers the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=PATIENCE)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Everything it has logged, but for a line that it is writing. Raises AssertionError for what is no line of JSON."""
        for line in self.log_file.read_text().rpartition("\n")[0].splitlines():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise AssertionError(f"{self.name} said: {self.tail()}") from error

    def said(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        """The lines of that event with these fields."""
        return [
            line
            for line in self.lines()
            if line["event"] == event and all(line.get(key) == value for key, value in fields.items())
        ]

    def moment(self, event: str) -> datetime:
        """When it last said that."""
        return datetime.fromisoformat(self.said(event)[-1]["timestamp"])

    def metrics(self, name: str, **labels: str) -> list[Series]:
        """The series of that name with these labels."""
        page = f"http://127.0.0.1:{self.ports.metrics}/metrics"
        with urllib.request.urlopen(page, timeout=60) as answer:
            text = answer.read().decode()
        found = []
        for match in filter(None, map(_SERIES.match, text.splitlines())):
            if match[1] == name:
                series = Series(name, dict(_LABEL.findall(match[2] or "")), float(match[3]))
                if labels.items() <= series.labels.items():
                    found.append(series)
        return found

    @property
    def leads(self) -> bool:
        return any(series.value == 1 for series in self.metrics("leader_election_master_status"))

    def tail(self) -> str:
        return self.log_file.read_text(errors="replace")[-3000:]

    def served_certificate(self, bundle: bytes, server_name: str) -> bytes:
        """The leaf that a client which trusts `bundle` (PEM) is shown, DER. Raises ssl.SSLCertVerificationError."""
        import socket

        context = ssl.create_default_context(cadata=bundle.decode())
        with (
            socket.create_connection((self.host, self.ports.webhook), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname=server_name) as connection,
        ):
            found = connection.getpeercert(binary_form=True)
            assert found is not None
            return found
