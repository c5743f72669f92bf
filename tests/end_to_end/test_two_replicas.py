"""A planted endless plan under two replicas: each is held and ended at most once, and the others are served throughout.

Both replicas are processes with a state folder of their own, started again when they die, as kubelet does; a proxy stands for
the webhooks' Service and sends new connections to a replica whose `/readyz` answers. The marks are each replica's own
(docs/decisions/0010-confined-plans.md): what is shown is that while one is held, the other answers conversions at once and
goes on with the reconciles, and that afterwards no replica is held again.
"""

import contextlib
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest

from aioctl.api import kinds
from aioctl.api.review import CONVERT
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.errors import AlreadyExists, KubeError
from bench import clusters
from testbed.worst_holds import conversion_review
from tests.end_to_end.test_endless_plan import (
    ENDLESS,
    GOOD,
    NAMESPACE,
    PATIENCE,
    STALL_LIMIT,
    conditions,
    died,
    held,
    lines,
    plant,
    service,
    until,
)

pytestmark = pytest.mark.real  # Processes take real time: they run with the suites that may.

LEASE = 20
"""Seconds. The limit is far below: on a machine that has time for it the first is back when the second is held in its turn."""


@dataclass
class Replica:
    """One of the two: where it listens, and the logs of its processes, one folder a process."""

    folder: Path
    ports: processes.Ports
    logs: list[Path] = field(default_factory=list)
    ready: bool = False

    @property
    def log(self) -> Path:
        return self.logs[-1]

    def died(self) -> bool:
        """By its watchdog, wherever it was."""
        return "Timeout (" in self.log.read_text(errors="replace")

    def is_held(self) -> bool:
        return bool(self.logs) and bool(held(lines(self.log))) and not self.died()

    async def kept_running(self, *run: Any) -> None:
        """Starts it, and again whenever it has died."""
        certificates, kubeconfig, settings = run
        while True:
            place = self.folder / str(len(self.logs))
            place.mkdir(parents=True)
            (place / "controller.log").touch()
            self.logs.append(place / "controller.log")
            async with processes.controller(
                place,
                self.ports,
                certificates,
                kubeconfig,
                {**settings, "AIOCTL_STATE_DIR": str(self.folder / "state")},
            ):
                while not self.died():  # noqa: ASYNC110  another process writes the file
                    await anyio.sleep(0.1)

    async def probed(self) -> None:
        async with httpx.AsyncClient(timeout=5) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    self.ready = False
                    answer = await http.get(f"http://127.0.0.1:{self.ports.health}/readyz")
                    self.ready = answer.status_code == httpx.codes.OK
                await anyio.sleep(0.2)


async def forward(replicas: list[Replica], stream: anyio.abc.SocketStream) -> None:
    """One connection of the webhooks' Service."""
    async with stream:
        for replica in sorted(replicas, key=lambda each: not each.ready):
            with contextlib.suppress(OSError):
                async with (
                    await anyio.connect_tcp("127.0.0.1", replica.ports.webhook) as upstream,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(pump, stream, upstream)
                    await pump(upstream, stream)
                    tasks.cancel_scope.cancel()
                return


async def pump(source: anyio.abc.SocketStream, sink: anyio.abc.SocketStream) -> None:
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for chunk in source:
            await sink.send(chunk)
        await sink.send_eof()


@dataclass
class Story:
    """What was to be seen."""

    answered: list[bool] = field(default_factory=list)
    """Of each conversion that the free replica was asked for while the other one was held."""
    meanwhile: int = 0
    """So many answers came while it was still held."""
    made_meanwhile: int = 0
    """Services created while a replica was held."""
    ready: dict[str, tuple[str, str]] = field(default_factory=dict)
    endless: dict[str, tuple[str, str]] = field(default_factory=dict)
    deaths: list[int] = field(default_factory=list)
    """Of each replica, by a stretch that was too long."""
    held_again: list[Any] = field(default_factory=list)
    """Stretches of the endless one in processes that had known of it."""


async def watch_conversions(story: Story, replicas: list[Replica], ca: Path) -> None:
    """While one replica is held, the other one is asked over and over."""
    body = conversion_review(service("a"), kinds.V1ALPHA1)
    context = ssl.create_default_context(cafile=str(ca))
    async with httpx.AsyncClient(verify=context, timeout=PATIENCE) as http:
        while True:
            for replica, other in (replicas, reversed(replicas)):
                if replica.is_held() and other.ready and not other.is_held():
                    done = False
                    with contextlib.suppress(httpx.HTTPError):
                        answer = await http.post(
                            f"https://localhost:{other.ports.webhook}{CONVERT}",
                            content=body,
                            headers={"content-type": "application/json"},
                        )
                        done = answer.json()["response"]["result"]["status"] == "Success"
                    story.answered.append(done)
                    story.meanwhile += done and replica.is_held()
            await anyio.sleep(0.1)


async def make(client: Client, name: str) -> None:
    """Creates a service. A call that hangs with a replica that is held is made again, as by any user."""
    while True:
        with contextlib.suppress(KubeError):
            with contextlib.suppress(AlreadyExists):  # its answer was lost
                await client.create(kinds.SERVICE, NAMESPACE, service(name))
            return
        await anyio.sleep(0.1)


async def create_meanwhile(story: Story, client: Client, replicas: list[Replica]) -> None:
    """One service for each time that a replica is held."""
    known: set[Path] = set()
    while True:
        for replica in replicas:
            if replica.logs and replica.log not in known and replica.is_held():
                known.add(replica.log)
                name = f"late-{len(known)}"
                await make(client, name)
                story.made_meanwhile += 1
        await anyio.sleep(0.1)


async def play(folder: Path) -> Story:
    story = Story()
    ports, certificates = processes.Ports.free(), processes.write_certificates(folder)
    replicas = [Replica(folder / name, processes.Ports.free()) for name in ("first", "second")]
    settings = {
        **plant(folder),
        "AIOCTL_STALL_LIMIT": str(STALL_LIMIT),
        "AIOCTL_LEADER_ELECTION": "true",
        "AIOCTL_LEASE_DURATION": str(LEASE),
        "AIOCTL_RENEW_DEADLINE": "15",
        "AIOCTL_RETRY_PERIOD": "1",
    }
    players = clusters.Players(gateway_delay=0.1, workload_delay=0.1)
    async with (
        clusters.simulated(folder, ports, certificates, players) as place,
        clusters.client_for(place.kubeconfig) as client,
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=ports.webhook) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, lambda stream: forward(replicas, stream))
        for replica in replicas:
            tasks.start_soon(replica.kept_running, certificates, place.kubeconfig, settings)
            tasks.start_soon(replica.probed)
        with anyio.fail_after(PATIENCE):
            while not all(replica.ready for replica in replicas):  # noqa: ASYNC110
                await anyio.sleep(0.1)
        await processes.install_presets(client)
        tasks.start_soon(watch_conversions, story, replicas, certificates / "ca.crt")
        tasks.start_soon(create_meanwhile, story, client, replicas)
        for name in ("endless", *GOOD):
            await make(client, name)
        story.endless = await until(client, "endless", "PresetsCombined", ("False", "PlanTooExpensive"))
        late = [f"late-{number}" for number in range(1, story.made_meanwhile + 1)]
        for name in (*GOOD, *late):
            await until(client, name, "Ready", ("True", ""))
            story.ready[name] = (await conditions(client, name))["Ready"]
        tasks.cancel_scope.cancel()
    for replica in replicas:
        story.deaths.append(sum(died(log.read_text(errors="replace")) for log in replica.logs))
        story.held_again += [line for log in replica.logs[1:] for line in held(lines(log))]
    return story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return anyio.run(play, tmp_path_factory.mktemp("replicas"))


def test_each_replica_is_ended_once_at_most_and_none_again(story: Story) -> None:
    assert max(story.deaths) == 1
    assert story.held_again == []


def test_conversions_are_answered_while_a_replica_is_held(story: Story) -> None:
    assert all(story.answered)
    assert story.meanwhile


def test_what_is_made_meanwhile_gets_ready_as_all_the_others(story: Story) -> None:
    assert story.made_meanwhile
    assert story.ready.keys() >= {*GOOD, "late-1"}
    assert set(story.ready.values()) == {("True", "")}


def test_the_endless_one_says_so(story: Story) -> None:
    assert story.endless["PresetsCombined"] == ("False", "PlanTooExpensive"), json.dumps(story.endless)
    assert ENDLESS.endswith("/endless")
