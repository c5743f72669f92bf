"""The recorded cases of today's KServe on real API servers: one server for each world, all of its cases at once.

Each case has its namespace and its own client, the whole program and the players run in this process, and conversion and
admission go to the program's webhook server over TLS. Once everything rests a second program is started: it has nothing
to write.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import msgspec

from aioctl.api import kinds, local_model
from aioctl.api.kinds import Kind
from aioctl.api.objects import labels_of
from aioctl.app import Application
from aioctl.kube.client import Client, Page, WatchEvent
from aioctl.kube.config import load_config
from aioctl.kube.errors import KubeError, NotFound
from aioctl.kube.events import CORE_EVENT
from aioctl.kube.wire import Wire
from aioctl.plan.policy import Strategy
from aioctl.sim.players.following import AGENT, Object
from aioctl.sim.players.gateway import GLOBAL_GATEWAY
from testbed import real_world
from testbed.at_once import for_each
from testbed.at_rest import is_busy, listed
from testbed.real.cluster import RealCluster
from testbed.real_players import stamp
from testbed.real_world import Webhooks
from tests.golden.compare import State, changes
from tests.upstream import players, worlds
from tests.upstream.cases import MODEL_CACHE, RECORDED, UpstreamCase, kind_of
from tests.upstream.playing import Stage
from tests.upstream.simulated import KNOBS, PLAYER_DELAY

WORLDS = ("bare", "switch", "tls", "plain")
SERVER_OPTIONS = {"tls": ("--feature-gates=ImageVolume=true",)}
"""What the API servers of the recordings were started with, by world."""
AT_ONCE = 24
"""So many cases are made or looked at side by side."""
PAUSE = 1.0
QUIET_LOOKS = 5
"""So many looks in a row without a difference, and with nothing to do for the program, are rest."""
LOOKS = 400
"""So many looks at most: on a busy machine each takes longer, as does what is looked at."""
_WRITES = ("create", "update", "patch", "delete")
_VERSIONED = tuple(
    kind for kind in (*RECORDED, kinds.GATEWAY) if kind not in (kinds.SERVICE_V1ALPHA1, kinds.CONFIG_V1ALPHA1)
)


@dataclass(frozen=True)
class Played:
    """How the cases of a world ended, and what a second program wrote where the first had come to rest."""

    states: dict[str, State] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    """Lines of `compare.changes`."""
    sent: list[str] = field(default_factory=list)
    """`<verb> <path>` of every write but those of events, dry runs left out."""


async def play(world: str, cases: Sequence[UpstreamCase], cluster: RealCluster, folder: Path) -> Played:
    """All cases from the empty namespace to the state they end in; `folder` takes the webhook's certificate."""
    webhooks = Webhooks.in_folder(folder)
    async with real_world.client_for(cluster.kubeconfig, agent="kubectl/test") as client:
        await install_crds(client, webhooks, world)
        return await Scene(world, tuple(cases), client, cluster, webhooks).play()


@dataclass
class Scene:
    """One API server, and the cases of a world on it."""

    world: str
    cases: tuple[UpstreamCase, ...]
    client: Client
    cluster: RealCluster
    webhooks: Webhooks
    stages: list[Stage] = field(default_factory=list)
    program: Application | None = None
    """The one that runs."""

    async def play(self) -> Played:
        played = Played()

        async def look(stage: Stage) -> None:
            played.states[stage.case.name] = await stage.state()

        async with self.controlled(), self.answered(), self.staged():
            await self.prepare()
            await for_each(self.stages, Stage.open, most=AT_ONCE)
            await for_each(self.stages, Stage.give, most=AT_ONCE)
            await self.rest()
            if any(stage.case.later() for stage in self.stages):
                await for_each(self.stages, Stage.follow, most=AT_ONCE)
                await self.rest()
            if any(stage.case.given.get("afterwards") for stage in self.stages):
                await for_each(self.stages, Stage.end, most=AT_ONCE)
                await self.rest()
            # The program converts what is read here, so it still has to run.
            await for_each(self.stages, look, most=AT_ONCE)
            before, seen = await self._versions(), len(self.cluster.audited())
        async with self.controlled():
            await self.rest()
            after = await self._versions()
        played.changed.extend(changes(before, after))
        played.sent.extend(writes(self.cluster.audited()[seen:]))
        return played

    @asynccontextmanager
    async def controlled(self, **more: Any) -> AsyncIterator[None]:
        """The whole program runs while the block runs, with what the recorded program's environment said."""
        policy = worlds.policy(self.world)
        settings = self.webhooks.settings(
            status_settle=KNOBS.status_settle,
            workers=8,
            api_rate=0.0,
            pool_create_rate=0.0,
            storage_migration=False,
            auth_disabled=policy.auth_disabled,
            versioned_config=policy.pins_configs,
            prevent_config_deletion=worlds.prevents_deletion(self.world),
            migration_strategy=Strategy.AUTO,
            # The recorded program never takes a gateway's silence for an answer.
            pool_status_grace=3600.0,
            **more,
        )
        with real_world.each_namespace_alone():
            async with real_world.running(settings, self.cluster.kubeconfig) as program:
                self.program = program
                try:
                    yield
                finally:
                    self.program = None

    @asynccontextmanager
    async def answered(self) -> AsyncIterator[None]:
        """Gateways, workloads and autoscalers answer while the block runs, each namespace in the moods of its case."""
        moods = {case.namespace: case.moods for case in self.cases}
        config = await load_config(str(self.cluster.kubeconfig))
        async with AsyncExitStack() as stack, anyio.create_task_group() as group:
            for mood in {*moods.values(), frozenset[str]()}:
                client = _InMood(config.wire(user_agent=AGENT), moods, mood)
                stack.push_async_callback(client.aclose)
                gateways = players.gateways(client, mood, stamp=stamp, delay=PLAYER_DELAY)
                if mood:  # the gateway of all is answered for once
                    script = replace(gateways.script_of(GLOBAL_GATEWAY), answers_for_itself=False)
                    gateways.set_script(script, GLOBAL_GATEWAY)
                group.start_soon(gateways.run)
                workloads = players.WorkloadAnswers(client, mood, stamp=stamp, delay=PLAYER_DELAY)
                group.start_soon(workloads.run)
            yield
            group.cancel_scope.cancel()

    @asynccontextmanager
    async def staged(self) -> AsyncIterator[None]:
        """A client of its own for each case, as warnings are heard by who asks."""
        config = await load_config(str(self.cluster.kubeconfig))
        async with AsyncExitStack() as stack:
            for case in self.cases:
                stage = Stage.on(config.wire(user_agent="kubectl/test"), case)
                stack.push_async_callback(stage.client.aclose)
                self.stages.append(stage)
            yield

    async def prepare(self) -> None:
        """Once the program serves its webhooks: what the recordings found, and admission."""
        await real_world.until(lambda: self._passes(kinds.SERVICE_V1ALPHA1))
        for obj in worlds.furniture(self.world):
            await self.client.create(kind_of(obj), obj["metadata"].get("namespace", ""), obj)
        await real_world.install_admission(self.client, self.webhooks)
        # A webhook configuration takes effect a moment after it was written.
        await real_world.until(lambda: self._refuses(kinds.SERVICE, parallelism={"data": 2}))
        for cache in (obj for obj in worlds.furniture(self.world) if obj["kind"] == MODEL_CACHE.kind):
            await real_world.until(partial(self._marks, cache))

    async def _passes(self, kind: Kind, **spec: Any) -> bool:
        return await self._tried(kind, **spec) is not None

    async def _refuses(self, kind: Kind, **spec: Any) -> bool:
        return await self._tried(kind, **spec) is None

    async def _marks(self, cache: Object) -> bool:
        """Whether admission knows the cache of models: it hears of one a moment after it was made."""
        made = await self._tried(kinds.SERVICE, model={"uri": cache["spec"]["sourceModelUri"]})
        return made is not None and local_model.CACHE in labels_of(made)

    async def _tried(self, kind: Kind, **spec: Any) -> Object | None:
        """What becomes of a service as a dry run; None where it is refused."""
        metadata = {"name": "probe", "namespace": "default"}
        probe = {"metadata": metadata, "spec": {"model": {"uri": "hf://a/b"}, **spec}}
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **probe}
        try:
            return await self.client.create(kind, "default", body, dry_run=True)
        except KubeError:
            return None

    async def rest(self) -> None:
        """Until nothing was written for a while. Raises AssertionError when that never happens, which names what is written."""
        last: frozenset[str] = frozenset()
        quiet = 0
        for _ in range(LOOKS):
            await anyio.sleep(PAUSE)
            versions = await self._versions()
            now = frozenset(f"{at} {version}" for at, version in versions.items()) | await self._events()
            moved, last = now ^ last, now
            quiet = 0 if moved or self._is_busy(versions) else quiet + 1
            if quiet == QUIET_LOOKS:
                return
        raise AssertionError(f"something still writes after {LOOKS} looks: {sorted(moved)[:20]}")

    def _is_busy(self, versions: Mapping[str, str]) -> bool:
        """Whether the program works, or has not seen what stands there: it may write nothing for a while all the same."""
        return self.program is not None and is_busy(self.program, listed(versions))

    async def _versions(self) -> dict[str, str]:
        """`<plural>[.<group>] <namespace>/<name>` -> uid and version of everything that matters here."""
        found = {}
        for kind in _VERSIONED:
            for metadata in await self._metadata(kind):
                at = f"{kind.resource} {metadata.get('namespace', '')}/{metadata['name']}"
                found[at] = f"{metadata['uid']}/{metadata['resourceVersion']}"
        return found

    async def _events(self) -> frozenset[str]:
        """Only whether they exist: the old ones are counted on and on."""
        return frozenset(
            f"{metadata['namespace']}/{metadata['name']}" for metadata in await self._metadata(CORE_EVENT)
        )

    async def _metadata(self, kind: Kind) -> list[Object]:
        try:
            return [
                msgspec.json.decode(raw)["metadata"]
                async for page in self.client.list_pages(kind, metadata_only=True)
                for raw in page.items
            ]
        except NotFound:
            return []


class _Metadata(msgspec.Struct):
    namespace: str = ""


class _Placed(msgspec.Struct):
    metadata: _Metadata


class _InMood(Client):
    """A client to which only the namespaces of the cases in one mood exist, and what belongs to no case."""

    def __init__(self, wire: Wire, moods: Mapping[str, frozenset[str]], mood: frozenset[str]) -> None:
        super().__init__(wire, field_manager="player")
        self._moods = moods
        self._mood = mood
        self._decoder = msgspec.json.Decoder(_Placed)

    def _sees(self, raw: bytes) -> bool:
        namespace = self._decoder.decode(raw).metadata.namespace
        return self._moods.get(namespace, self._mood) == self._mood

    async def list_pages(self, kind: Kind, **more: Any) -> AsyncIterator[Page]:
        async for page in super().list_pages(kind, **more):
            yield replace(page, items=[raw for raw in page.items if self._sees(raw)])

    @asynccontextmanager
    async def watch(self, kind: Kind, **more: Any) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        async with super().watch(kind, **more) as changes:
            yield (change async for change in changes if self._sees(change.object))


def writes(audited: Sequence[str]) -> list[str]:
    """What the program wrote, from the API server's own log; what was only tried is no write."""
    return [
        f"{entry['verb']} {entry['requestURI']}"
        for entry in map(json.loads, audited)
        if entry["verb"] in _WRITES
        and entry["userAgent"].startswith("aioctl")
        and entry.get("objectRef", {}).get("resource") != kinds.EVENT.plural
        and "dryRun=All" not in entry["requestURI"]
    ]


async def install_crds(client: Client, webhooks: Webhooks, world: str) -> None:
    """Ours, converted by the program, and those of others that the recordings were made with."""
    await real_world.install_crds(client, webhooks)
    absent = worlds.absent(world)
    await real_world.create(
        client, *(crd for crd in worlds.crds_of_others() if crd["metadata"]["name"] not in absent)
    )
    for kind in RECORDED:
        if kind.resource not in absent:
            await real_world.until_served(client, kind)
