"""All cases on one real API server at once, each in its namespace, the whole program and the players in this process.

The server has the CRDs of the recordings (../shared/data/crds), KServe's own included; conversion and admission go to the
program's webhook server over TLS.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.app import Application
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError
from aioctl.sim.hooks import conversion_patch
from aioctl.sim.players.gateway import GatewayScript
from tests.golden.cases import OTHERS, RECORDED, Case, Object
from tests.golden.compare import State
from tests.golden.signer import rsa_authority
from tests.golden.simulated import PLAYER_DELAY
from tests.golden.stage import MATCH_POLICY, Stage
from tests.support import real_players, real_world
from tests.support.real_world import Webhooks
from tests.support.shared_data import documents

CRD_FILES = (
    "crds/gateway-api-v1.2.1/*.yaml",
    "crds/gie/gie-v1*.yaml",
    "crds/other/leaderworkerset*.yaml",
    "crds/other/monitoring*.yaml",
    "crds/other/networking*.yaml",
    "crds/kserve/serving*.yaml",
)
SETTINGS: Mapping[str, Any] = {
    "status_settle": 0.1,
    "workers": 8,
    "api_rate": 0.0,
    "pool_create_rate": 0.0,
    "storage_migration": False,
}
PAUSE = 0.7
PATIENCE = 120.0


@dataclass
class RealScene:
    """One API server, ready for cases."""

    stage: Stage
    kubeconfig: Path
    webhooks: Webhooks

    @asynccontextmanager
    async def controlled(self, **settings: Any) -> AsyncIterator[Application]:
        """The whole program runs while the block runs."""
        wanted = self.webhooks.settings(**{**SETTINGS, **settings})
        async with real_world.running(wanted, self.kubeconfig) as application:
            yield application

    @asynccontextmanager
    async def played(self) -> AsyncIterator[None]:
        """Gateways and workloads answer while the block runs."""
        script = GatewayScript(delay=PLAYER_DELAY)
        async with (
            real_world.client_for(self.kubeconfig, agent="player/1") as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(lambda: real_players.play(client, script, workload_delay=PLAYER_DELAY))
            yield
            group.cancel_scope.cancel()

    async def play(self, cases: Sequence[Case]) -> dict[str, State]:
        """Every case from the empty namespace to the state it ends in, all at the same time."""
        refused: dict[str, dict[str, str]] = {}
        states: dict[str, State] = {}

        async def give(case: Case) -> None:
            refused[case.name] = await self.stage.give(case)

        async def follow(case: Case) -> None:
            refused[case.name] |= await self.stage.follow(case)

        async def look(case: Case) -> None:
            states[case.name] = await self.stage.state(case, refused[case.name])

        async with self.controlled(), self.played():
            await self.prepare()
            await _for_each(cases, self.stage.open)
            await _for_each(cases, give)
            await self.stage.rest()
            await _for_each([case for case in cases if case.later()], follow)
            await self.stage.rest()
            # The program converts what is read here, so it still has to run.
            await _for_each(cases, look)
        return states

    async def prepare(self) -> None:
        """Once the program serves its webhooks: presets, configuration, gateway, signer, validation."""
        await real_world.until(self._converts)
        await self.stage.prepare(rsa_authority())
        await real_world.install_validation(self.stage.client, self.webhooks, match_policy=MATCH_POLICY)
        # A webhook configuration takes effect a moment after it was written.
        await real_world.until(self._validates)

    async def _converts(self) -> bool:
        async def probe() -> None:
            body = _service("probe", kinds.SERVICE_V1ALPHA1.api_version, uri="hf://a/b")
            await self.stage.client.create(kinds.SERVICE_V1ALPHA1, "default", body, dry_run=True)

        return await _works(probe)

    async def _validates(self) -> bool:
        async def probe() -> None:
            body = _service("probe", kinds.SERVICE.api_version, uri="hf://a/b", parallelism={"data": 2})
            await self.stage.client.create(kinds.SERVICE, "default", body, dry_run=True)

        return not await _works(probe)


async def _works(call: Callable[[], Awaitable[None]]) -> bool:
    try:
        await call()
    except KubeError:
        return False
    return True


def _service(name: str, version: str, *, uri: str, **spec: Any) -> Object:
    return {
        "apiVersion": version,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"model": {"uri": uri}, **spec},
    }


async def _for_each(cases: Sequence[Case], do: Callable[[Case], Coroutine[Any, Any, None]]) -> None:
    async with anyio.create_task_group() as group:
        for case in cases:
            group.start_soon(do, case)


@asynccontextmanager
async def scene(kubeconfig: Path, folder: Path) -> AsyncIterator[RealScene]:
    """A server with the CRDs; `folder` takes the webhook's certificate."""
    webhooks = Webhooks.in_folder(folder)
    async with real_world.client_for(kubeconfig, agent="kubectl/test") as client:
        await install_crds(client, webhooks)
        yield RealScene(Stage(client, pause=PAUSE, patience=PATIENCE), kubeconfig, webhooks)


async def install_crds(client: Client, webhooks: Webhooks) -> None:
    """The CRDs of the recordings, those of KServe with conversion by the program."""
    clause = conversion_patch(webhooks.url, webhooks.bundle)["spec"]
    for pattern in CRD_FILES:
        for file in documents(pattern).values():
            for crd in filter(None, file):
                ours = crd["spec"]["group"] == kinds.GROUP
                await client.create(
                    kinds.CRD, "", {**crd, "spec": {**crd["spec"], **clause}} if ours else crd
                )
    for kind in (*RECORDED, *OTHERS):
        await real_world.until_served(client, kind)
