"""All cases on one real API server at once, each in its namespace, the whole program and the players in this process.

The server has our CRDs and, of others, those of the recordings; conversion and admission go to the program's webhook
server over TLS.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.app import Application
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError
from aioctl.sim.players.gateway import GatewayScript
from testbed import real_players, real_world
from testbed.at_once import for_each
from testbed.at_rest import is_busy, listed
from testbed.real.cluster import RealCluster
from testbed.real_world import Webhooks
from testbed.shared_data import documents
from tests.golden.cases import OTHERS, RECORDED, Case, Object, recorded_refs
from tests.golden.compare import State, changes
from tests.golden.inherit import inherit, restarted
from tests.golden.playing import MATCH_POLICY, Stage
from tests.golden.signer import rsa_authority
from tests.golden.simulated import PLAYER_DELAY, as_of_then

CRD_FILES = (
    "crds/gateway-api-v1.2.1/*.yaml",
    "crds/gie/gie-v1*.yaml",
    "crds/other/leaderworkerset*.yaml",
    "crds/other/monitoring*.yaml",
    "crds/other/networking*.yaml",
)
SETTINGS: Mapping[str, Any] = {
    "status_settle": 0.1,
    "workers": 8,
    "api_rate": 0.0,
    "pool_create_rate": 0.0,
    "storage_migration": False,
    "auth_disabled": False,  # as where the cases were recorded
}
PAUSE = 0.7
PATIENCE = 600.0
"""Seconds until nothing is written any more; ten are usual."""


@dataclass(frozen=True)
class Played:
    """How the cases ended, and what a second run of the program sent where the first had come to rest."""

    states: Mapping[str, State]
    changed: list[str]
    """Lines of `compare.changes`."""
    sent: list[str]
    """`<verb> <path>` of every write but those of events, dry runs included."""


@dataclass(frozen=True)
class Taken:
    """What a takeover wrote (lines of `compare.changes`), and the workloads whose pods it made anew."""

    written: list[str]
    restarted: list[str]


class RealStage(Stage):
    """One where a program that works, or has not seen what stands there, keeps the stage from being at rest."""

    program: Application | None = None

    async def mark(self) -> object:
        versions = await self.versions()
        marked = versions, await self._events()
        if self.program is None or not is_busy(self.program, listed(versions)):
            return marked
        return object()  # equal to nothing


@dataclass
class RealScene:
    """One API server, ready for cases."""

    stage: RealStage
    cluster: RealCluster
    webhooks: Webhooks

    @asynccontextmanager
    async def controlled(self, **settings: Any) -> AsyncIterator[Application]:
        """The whole program runs while the block runs."""
        wanted = self.webhooks.settings(**{**SETTINGS, **settings})
        async with real_world.running(wanted, self.cluster.kubeconfig) as application:
            self.stage.program = application
            try:
                yield application
            finally:
                self.stage.program = None

    @asynccontextmanager
    async def played(self) -> AsyncIterator[None]:
        """Gateways and workloads answer while the block runs."""
        script = GatewayScript(delay=PLAYER_DELAY)
        async with (
            real_world.client_for(self.cluster.kubeconfig, agent="player/1") as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(lambda: real_players.play(client, script, workload_delay=PLAYER_DELAY))
            yield
            group.cancel_scope.cancel()

    async def play(self, cases: Sequence[Case]) -> Played:
        """Every case from the empty namespace to the state it ends in, all at the same time; then a second program."""
        refused: dict[str, dict[str, str]] = {}
        states: dict[str, State] = {}

        async def give(case: Case) -> None:
            refused[case.name] = await self.stage.give(case)

        async def follow(case: Case) -> None:
            refused[case.name] |= await self.stage.follow(case)

        async def look(case: Case) -> None:
            states[case.name] = as_of_then(await self.stage.state(case, refused[case.name]))

        async with self.controlled(), self.played():
            await self.prepare()
            await for_each(cases, self.stage.open)
            await for_each(cases, give)
            await self.stage.rest()
            await for_each([case for case in cases if case.later()], follow)
            await self.stage.rest()
            # The program converts what is read here, so it still has to run.
            await for_each(cases, look)
        before, seen = await self.stage.versions(), self.cluster.audited()
        async with self.controlled():
            await self.stage.rest()
        return Played(
            states, changes(before, await self.stage.versions()), _writes(self.cluster.audited()[len(seen) :])
        )

    async def take_over(self, cases: Sequence[Case]) -> dict[str, Taken]:
        """The recorded objects of all cases as live state, and then the program."""

        async def leave(case: Case) -> None:
            await self.stage.open(case)
            await inherit(self.stage, case)

        async def look(case: Case, into: dict[str, State]) -> None:
            into[case.name] = await self.stage.state(case)

        old: dict[str, State] = {}
        new: dict[str, State] = {}
        await real_world.let_another_lead(self.stage.client)
        async with self.controlled(leader_election=True), self.played():
            await self.prepare()
            await for_each(cases, leave)
            await self.stage.rest()
            await for_each(cases, partial(look, into=old))
        before = await self.stage.versions()
        async with self.controlled():
            await self.stage.rest()
            after = await self.stage.versions()
            await for_each(cases, partial(look, into=new))
        written = changes(before, after)
        return {
            case.name: Taken(
                [line for line in written if _is_of(case, line)], restarted(old[case.name], new[case.name])
            )
            for case in cases
        }

    async def prepare(self) -> None:
        """Once the program serves its webhooks: presets, configuration, gateway, signer, validation."""
        await real_world.until(self._converts)
        await self.stage.prepare(rsa_authority())
        await real_world.install_admission(self.stage.client, self.webhooks, match_policy=MATCH_POLICY)
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


def _writes(audited: Iterable[str]) -> list[str]:
    """What the program wrote, from the API server's own log; what was only tried is no write."""
    entries = [json.loads(line) for line in audited]
    return [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in entries
        if entry["verb"] in ("create", "update", "patch", "delete")
        and entry["userAgent"].startswith("aioctl")
        and entry.get("objectRef", {}).get("resource") != kinds.EVENT.plural
        and "dryRun=All" not in entry["requestURI"]
    ]


def _is_of(case: Case, line: str) -> bool:
    """Whether a changed object belongs to a case; cluster-scoped ones say so in their name."""
    namespace, _, name = line.rpartition(" ")[2].partition("/")
    if namespace:
        return namespace == case.namespace
    services = [ref.name for ref, _ in recorded_refs(case) if ref.kind is kinds.SERVICE]
    return name == f"kserve-metrics-reader-role-binding-{case.namespace}" or name.startswith(
        tuple(f"{case.namespace}-{service}-" for service in services)
    )


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


@asynccontextmanager
async def scene(cluster: RealCluster, folder: Path) -> AsyncIterator[RealScene]:
    """A server with an audit log gets the CRDs; `folder` takes the webhook's certificate."""
    webhooks = Webhooks.in_folder(folder)
    async with real_world.client_for(cluster.kubeconfig, agent="kubectl/test") as client:
        await install_crds(client, webhooks)
        yield RealScene(RealStage(client, pause=PAUSE, patience=PATIENCE), cluster, webhooks)


async def install_crds(client: Client, webhooks: Webhooks) -> None:
    """Ours, converted by the program, and those of others that the recordings were made with.

    KServe's own of that revision would prune what today's status says, so that it would never come to rest.
    """
    await real_world.install_crds(client, webhooks)
    for pattern in CRD_FILES:
        for file in documents(pattern).values():
            await real_world.create(client, *filter(None, file))
    for kind in (*RECORDED, *OTHERS):
        await real_world.until_served(client, kind)
