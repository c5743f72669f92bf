"""The processes that demo and bench watch: the embedded cluster, and the controller as `aioctl run` starts it.

Each is a child of its own with its log in the given folder; it is ended on the way out, however that comes. Nothing here
knows what is done with them.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import httpx

from aioctl import shipped
from aioctl.api import kinds
from aioctl.api.names import CONFIG_MAP_NAME
from aioctl.api.objects import Object
from aioctl.demo.ports import free_port
from aioctl.kube.client import Client
from aioctl.kube.errors import AlreadyExists, ApiError
from aioctl.pki import pairs
from aioctl.sim import seed

START_DEADLINE: Final = 180.0
"""Seconds until a process has said that it is ready; on a busy machine the start alone takes long."""
STOP_DEADLINE: Final = 10.0
_BOUND: Final = Path(__file__).with_name("bound.py")


class StageError(Exception):
    """A process did not start; the text says which, and shows the end of its log."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the controller listens, on loopback."""

    webhook: int
    metrics: int
    health: int

    @classmethod
    def free(cls) -> "Ports":
        return cls(free_port(), free_port(), free_port())

    @property
    def webhook_url(self) -> str:
        return f"https://localhost:{self.webhook}"

    @property
    def metrics_page(self) -> str:
        return f"http://127.0.0.1:{self.metrics}/metrics"

    @property
    def operators_page(self) -> str:
        return f"http://127.0.0.1:{self.metrics}/ui/"


@asynccontextmanager
async def cluster(
    folder: Path, ports: Ports, certificates: Path, options: Sequence[str] = ()
) -> AsyncIterator[str]:
    """The embedded cluster, its kubeconfig in `folder/kubeconfig`; yields its address. Raises StageError."""
    command = [
        sys.executable, "-m", "aioctl.sim", "--port", "0", "--kubeconfig", str(folder / "kubeconfig"),
        "--webhook-url", ports.webhook_url, "--webhook-ca", str(certificates / "ca.crt"), *options,
    ]  # fmt: skip
    async with process("cluster", command, folder) as running:
        yield await _first_line(running, folder)


@asynccontextmanager
async def controller(
    folder: Path,
    ports: Ports,
    certificates: Path,
    kubeconfig: Path,
    settings: Mapping[str, str] | None = None,
    *,
    core: int | None = None,
    interpreter: Sequence[str] = (),
    command: Sequence[str] = (),
) -> AsyncIterator[int]:
    """`aioctl run`, ready; yields its process id. `settings` are further environment variables, `core` is the only
    processor it may use, `interpreter` are options of Python (a profiler), `command` another controller instead, which gets
    the same variables. Raises StageError."""
    environment = {
        "KUBECONFIG": str(kubeconfig),
        # The older of the stories, by which figures are compared; the demo's own is `auto`.
        "AIOCTL_MIGRATION_STRATEGY": "weighted",
        "AIOCTL_WEBHOOK_HOST": "127.0.0.1",
        "AIOCTL_WEBHOOK_PORT": str(ports.webhook),
        "AIOCTL_METRICS_HOST": "127.0.0.1",
        "AIOCTL_METRICS_PORT": str(ports.metrics),
        "AIOCTL_HEALTH_HOST": "127.0.0.1",
        "AIOCTL_HEALTH_PORT": str(ports.health),
        "AIOCTL_CERT_DIR": str(certificates),
        "AIOCTL_STATE_DIR": str(folder / "state"),
        "AIOCTL_LEADER_ELECTION": "false",
        **(settings or {}),
    }
    ours = [sys.executable, *interpreter, "-m", "aioctl", "run"]
    async with process("controller", command or ours, folder, environment, core=core) as running:
        await _ready(f"http://127.0.0.1:{ports.health}/readyz", running, folder)
        yield running.pid


@asynccontextmanager
async def process(
    name: str,
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    core: int | None = None,
) -> AsyncIterator[anyio.abc.Process]:
    """A child with `environment` beside our own; its standard error goes to `<name>.log` in the folder.

    A terminal's Ctrl-C does not reach it: whoever started it ends it, in the order that is right. It ends with this process in
    any case.
    """
    bound = [sys.executable, "-I", "-S", str(_BOUND), str(os.getpid()), *command]
    with (folder / f"{name}.log").open("wb") as log:
        child = await anyio.open_process(
            bound,
            start_new_session=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **(environment or {})},
        )
        try:
            if core is not None:
                # Before its interpreter has started a thread, which would keep the old mask.
                os.sched_setaffinity(child.pid, {core})
            yield child
        finally:
            with anyio.CancelScope(shield=True):
                with contextlib.suppress(ProcessLookupError):
                    child.terminate()
                with anyio.move_on_after(STOP_DEADLINE):
                    await child.wait()
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.aclose()


async def install_presets(client: Client, folder: Path | None = None) -> None:
    """The shipped presets, or those of the folder, as an administrator would apply them. Raises KubeError.

    A controller that has just started may not have read the ConfigMap that their admission needs.
    """
    for preset in shipped.objects(folder or shipped.presets_folder()):
        with anyio.fail_after(START_DEADLINE):
            while not await _created(client, preset):  # noqa: ASYNC110  another process reads on; nothing tells us when
                await anyio.sleep(0.2)


async def _created(client: Client, preset: Object) -> bool:
    with contextlib.suppress(AlreadyExists):
        try:
            await client.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
        except ApiError as error:
            if CONFIG_MAP_NAME not in str(error):
                raise
            return False
    return True


def write_certificates(folder: Path, ca: pairs.Pair | None = None) -> Path:
    """A CA and a leaf for the webhook on localhost, as files, as cert-manager would mount them; returns their folder."""
    place = folder / "webhook-certificates"
    place.mkdir()
    ca = ca or create_ca()
    (place / "ca.crt").write_bytes(ca.crt)
    write_leaf(place, ca)
    return place


def create_ca() -> pairs.Pair:
    """Good for a day."""
    return pairs.create_ca("aioctl demo", now=datetime.now(UTC), lifetime=timedelta(days=1))


def write_leaf(place: Path, ca: pairs.Pair) -> None:
    """A new leaf over the one that is there: two files, one after the other, as no mount would do it at once either."""
    leaf = pairs.issue_leaf(ca, ["localhost"], now=datetime.now(UTC), lifetime=timedelta(days=1))
    (place / "tls.crt").write_bytes(leaf.crt)
    (place / "tls.key").write_bytes(leaf.key)


async def _first_line(running: anyio.abc.Process, folder: Path) -> str:
    """The cluster says where it listens in one line of JSON."""
    line = b""
    with anyio.move_on_after(START_DEADLINE):
        while running.stdout is not None and not line.endswith(b"\n"):
            try:
                line += await running.stdout.receive(4096)
            except anyio.EndOfStream:
                break
    try:
        return str(json.loads(line)["server"])
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"the embedded cluster did not start:\n{tail(folder / 'cluster.log')}") from error


async def _ready(url: str, running: anyio.abc.Process, folder: Path) -> None:
    async with httpx.AsyncClient() as http:
        with anyio.move_on_after(START_DEADLINE):
            while running.returncode is None:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(url, timeout=5)).status_code == httpx.codes.OK:
                        return
                await anyio.sleep(0.1)
    raise StageError(f"the controller did not get ready:\n{tail(folder / 'controller.log')}")


def tail(log: Path) -> str:
    """The end of a log, for a message."""
    return log.read_text(errors="replace")[-3000:] if log.exists() else "(no log)"
