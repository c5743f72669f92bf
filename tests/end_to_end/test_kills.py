"""`kill -9` on a real API server: whatever write the process dies at, the next one brings the service to the same end.

A sample of the matrix of `python -m bench crash`, with a process that the kernel kills and a server that knows nothing of it. A
relay between the two counts the writes and kills at those that are chosen, by number.
"""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml

from aioctl.api import kinds
from aioctl.api.objects import name_of
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.errors import NotFound
from bench import clusters
from testbed.at_rest import work_of
from testbed.crashes import Crash, Mode, differences, plain
from testbed.real.relay import Relay
from testbed.world import plain_service
from tests.end_to_end import fleet

pytestmark = pytest.mark.real
SHARES = ((0.05, Mode.LOST), (0.25, Mode.BEFORE), (0.45, Mode.LOST), (0.65, Mode.AFTER), (0.9, Mode.LOST))
"""Where in the life of the service the process dies, as a share of its writes, and how."""
PATIENCE = 600.0
ATTEMPTS = 5
"""Lives to die in: one may be at its end before the write that is chosen, as it had fewer statuses to write."""
QUIET = 3.0
"""Seconds in which nothing may be written at the end."""
MADE_UP = {kinds.SECRET}
"""Their content is another in each run."""
SETTINGS = {"AIOCTL_POOL_STAGGER": "0", "AIOCTL_STATUS_SETTLE": "0.05"}


@dataclass
class Life:
    """One life of the service. `wrong`: how its end differs from that of the life in which nobody was killed."""

    crash: Crash
    died: bool
    wrong: list[str]
    later: list[str]
    """What was written in the quiet time."""


@dataclass
class Stage:
    """The cluster, the relay, and how to start the program behind it."""

    client: Client
    relay: Relay
    start: Callable[[], Any]
    page: str
    """The program's metrics."""
    pid: int = 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self.start() as self.pid:
            yield


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Stage]:
    ports, certificates = processes.Ports.free(), processes.write_certificates(folder)
    async with (
        clusters.real(folder, ports, certificates, clusters.Players(0.2, 0.2)) as place,
        clusters.client_for(place.kubeconfig) as client,
    ):
        config = yaml.safe_load(place.kubeconfig.read_text())
        (known,), (user,) = config["clusters"], config["users"]
        with Relay(
            known["cluster"]["server"], Path(known["cluster"]["certificate-authority"])
        ).running() as relay:
            through = relay.kubeconfig(folder / "relayed.kubeconfig", user["user"]["token"])
            start = partial(processes.controller, folder, ports, certificates, through, SETTINGS)
            yield Stage(client, relay, start, ports.metrics_page)


def service() -> dict[str, Any]:
    """With prefill, scheduler and route: many children of many kinds."""
    main = {"containers": [{"name": "main", "image": "vllm:1"}]}
    router: dict[str, Any] = {"gateway": {}, "route": {}, "scheduler": {}}
    return plain_service("one", router=router, template=main, prefill={"template": main})


async def picture(client: Client) -> dict[str, Any]:
    """Everything that belongs to services, by kind and name, without what no two runs share."""
    return {
        f"{kind.resource}/{name_of(obj)}": None if kind in MADE_UP else plain(obj)
        for kind in fleet.OF_A_SERVICE
        for obj in await fleet.listed(client, kind)
    }


async def is_ready(client: Client) -> bool:
    (found,) = await fleet.listed(client, kinds.SERVICE)
    return fleet.condition(found, "Ready")[0] == "True"


async def until(claim: Callable[[], Any], what: str) -> None:
    with anyio.move_on_after(PATIENCE):
        while not await claim():  # noqa: ASYNC110  another process works; there is nothing to await
            await anyio.sleep(0.2)
        return
    raise AssertionError(f"not within {PATIENCE:g} s: {what}")


async def still(relay: Relay) -> list[str]:
    """What is written in the quiet time."""
    before = len(relay.writes)
    await anyio.sleep(QUIET)
    return relay.writes[before:]


async def rests(stage: Stage) -> bool:
    """Whether the service is ready, the program has looked and has nothing to do, and nothing is written in the quiet time."""
    if not await is_ready(stage.client) or await still(stage.relay):
        return False
    with suppress(httpx.HTTPError):  # it was killed
        work = await work_of(stage.page)
        return work.done > 0 and work.now == 0
    return False


async def at_rest(stage: Stage) -> None:
    await until(partial(rests, stage), "the service is ready and nothing more is written")


async def dies(stage: Stage) -> bool:
    """Waits for the death; whether it came before the service was at rest."""

    async def over() -> bool:
        return stage.relay.happened.is_set() or await rests(stage)

    await until(over, "the process died, or the service is at rest")
    return stage.relay.happened.is_set()


async def cleared(stage: Stage) -> None:
    """The service is deleted, and what a garbage collector would take along."""
    with suppress(NotFound):
        await stage.client.delete(kinds.SERVICE, fleet.NAMESPACE, "one")

    async def gone() -> bool:
        return not await fleet.listed(stage.client, kinds.SERVICE)

    await until(gone, "the service is gone")
    await fleet.collect_garbage(stage.client)


async def play(folder: Path) -> list[Life]:
    """The whole story: once in peace, then once for each way to die."""
    lives = []
    async with opened(folder) as stage:
        async with stage.running():
            await processes.install_presets(stage.client)
            for _ in range(2):  # the first also marks the presets as used
                await cleared(stage)
                before = len(stage.relay.writes)
                await stage.client.create(kinds.SERVICE, fleet.NAMESPACE, service())
                await at_rest(stage)
                made = len(stage.relay.writes) - before
            whole = await picture(stage.client)
            await cleared(stage)
        for share, mode in SHARES:
            lives.append(await live(stage, made, share, mode, whole))
    return lives


async def live(stage: Stage, made: int, share: float, mode: Mode, whole: dict[str, Any]) -> Life:
    """`made`: how many writes a life has."""
    died = False
    async with stage.running():
        for _ in range(ATTEMPTS):
            crash = Crash(max(1, round(share * made)), mode)
            before = len(stage.relay.writes)
            stage.relay.arm(crash, stage.kill)
            await stage.client.create(kinds.SERVICE, fleet.NAMESPACE, service())
            if died := await dies(stage):
                break
            stage.relay.disarm()
            made = len(stage.relay.writes) - before
            await cleared(stage)
    async with stage.running():
        await at_rest(stage)
        found = await picture(stage.client)
        later = await still(stage.relay)
        await cleared(stage)
    return Life(crash, died, differences(whole, found), later)


@pytest.fixture(scope="module")
def lives(real_assets: object, tmp_path_factory: pytest.TempPathFactory) -> list[Life]:
    """Played once."""
    return anyio.run(play, tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize("number", range(len(SHARES)))
def test_the_end_is_the_same_whatever_write_the_process_was_killed_at(number: int, lives: list[Life]) -> None:
    life = lives[number]
    assert life.died, f"the process came to write {life.crash.write}"
    assert life.wrong == [], life.crash
    assert life.later == [], life.crash
