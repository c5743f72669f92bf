"""One life of a fleet on the embedded cluster in virtual time, with a process that may be killed at any write it makes.

`play` runs a `Scenario` from the empty namespace to its rest and says how everything ended. With a `Crash` the process is killed
at that write: before the API server has it, after the answer came, or between the two, so that the answer is lost. All that the
process knew is gone; a new one starts a second later. Whatever the crash, the end must be the same, and from then on
nothing is written.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import anyio

from aioctl.api import kinds
from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.kube.wire import Request, Response
from aioctl.plan.policy import Policy
from aioctl.sim.api import SimCluster
from aioctl.sim.memory import MemoryWire
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import BEGIN, run_virtual
from testbed.world import NAMESPACE, POLICY, World, furnished

RESTART: Final = 1.0
QUIET: Final = 150.0
"""Virtual seconds without a write by anybody, after which a fleet is at rest; more than any wait of players and controller."""
PATIENCE: Final = 900.0
AFTERWARDS: Final = 600.0
"""Virtual seconds in which nothing may be written once a fleet is at rest."""
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CHANGES_NOTHING: Final = ("/events", "/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")
_VOLATILE: Final = frozenset(
    {
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "generation",
        "observedGeneration",
        "managedFields",
        "lastTransitionTime",
        "lastUpdateTime",
        "clusterIP",
        "clusterIPs",
    }
)
_MADE_UP: Final = frozenset({kinds.SECRET.resource})
"""Kinds with content that no two runs share: that they are there is what counts."""


class Mode(Enum):
    """When the process dies: before the write is sent, when its answer has come, or when it took effect and no answer came."""

    BEFORE = "before"
    AFTER = "after"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Crash:
    """The process dies at its n-th write, counted from 1."""

    write: int
    mode: Mode


Step = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """What users and gateways do, in steps; the fleet comes to rest after each. The first step comes before the process starts."""

    name: str
    steps: tuple[Step, ...]
    policy: Policy = POLICY
    gateway: GatewayScript = field(default_factory=GatewayScript)
    dies_at: str = r"(?!.*/llminferenceserviceconfigs/)"
    """A regular expression: the writes, as `<method> <path>`, at which it is of interest to die."""
    dies_from: int = 1
    """The first step whose writes are of interest."""
    any_of: frozenset[str] = frozenset()
    """Objects, as `<resource>/<name>`, that stand for each other: how many are there counts, not which."""
    discovery_interval: float = AFTERWARDS
    """Virtual seconds between two looks at which kinds there are; by default nothing comes or goes that they would have to find."""


@dataclass(frozen=True)
class End:
    """How a life ended. `objects`: `<resource>/<name>` -> what is there; `writes`: how many of interest the process made; `later`:
    what it wrote when it had come to rest."""

    objects: Mapping[str, Any]
    writes: int
    later: Sequence[str]


class _Process:
    """The controller, whose wire kills it as the crash says."""

    def __init__(self, world: World, scenario: Scenario, crash: Crash | None) -> None:
        self.writes: list[str] = []
        self.step = 1
        self.of_interest = 0
        self._world = world
        self._scenario = scenario
        self._crash = crash
        self._killed = False
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Endless; a killed process is followed by a new one."""
        while True:
            self._killed = False
            with anyio.CancelScope() as self._scope:
                async with self._world.running(self._controller()):
                    await anyio.sleep_forever()
            if not self._killed:
                return
            await anyio.sleep(RESTART)

    def _controller(self) -> Controller:
        wire = _MortalWire(self, self._world)
        knobs = Knobs(status_settle=0.05, discovery_interval=self._scenario.discovery_interval)
        return self._world.controller(policy=self._scenario.policy, knobs=knobs, wire=wire)

    def note(self, write: str) -> Mode | None:
        """Counts a write; returns how to die at it, None to live on."""
        self.writes.append(write)
        if self.step < self._scenario.dies_from or not re.match(self._scenario.dies_at, write):
            return None
        self.of_interest += 1
        crash = self._crash
        return crash.mode if crash is not None and crash.write == self.of_interest else None

    def kill(self) -> None:
        self._killed = True
        self._scope.cancel()

    @property
    def is_dead(self) -> bool:
        return self._killed


class CountingWire(MemoryWire):
    """Counts what a controller tries to write, and what of it was taken."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster, agent="aioctl/test")
        self.tried = 0
        self.taken = 0

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        self.tried += _is_write(request)
        response = await super().send(request, timeout=timeout)
        self.taken += _is_write(request) and response.status < 300
        return response


class _MortalWire(MemoryWire):
    """Lets the process die at a write. What a dead process still sends goes nowhere."""

    def __init__(self, process: _Process, world: World) -> None:
        super().__init__(world.cluster, agent="aioctl/test")
        self._process = process

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        if not _is_write(request):
            return await super().send(request, timeout=timeout)
        if self._process.is_dead:
            await anyio.sleep_forever()
        mode = self._process.note(f"{request.method} {request.path}")
        if mode is Mode.BEFORE:
            self._process.kill()
            await anyio.sleep_forever()
        response = await super().send(request, timeout=timeout)
        if mode is not None:
            self._process.kill()
        if mode is Mode.LOST:
            await anyio.sleep_forever()
        return response


def is_write(method: str, path: str, query: Iterable[tuple[str, str]]) -> bool:
    """Whether the state of the cluster is another afterwards: dry runs, events and questions about access change nothing."""
    is_tried = any(name == "dryRun" for name, _ in query)
    return method in _WRITES and not is_tried and not any(word in path for word in _CHANGES_NOTHING)


def _is_write(request: Request) -> bool:
    return is_write(request.method, request.path, request.query)


def play(scenario: Scenario, crash: Crash | None = None) -> End:
    """The whole life, on a cluster of its own. Raises AssertionError when the fleet never comes to rest."""

    async def live() -> End:
        async with _ground(scenario) as world, anyio.create_task_group() as group:
            process = _Process(world, scenario, crash)
            first, *later = scenario.steps
            await first(world)
            group.start_soon(process.run)
            for process.step, step in enumerate(later, 1):
                await step(world)
                await rest(world)
            objects, made, of_interest = picture(world), len(process.writes), process.of_interest
            await anyio.sleep(AFTERWARDS)
            group.cancel_scope.cancel()
        return End(objects, of_interest, process.writes[made:])

    return run_virtual(live)


@asynccontextmanager
async def _ground(scenario: Scenario) -> AsyncIterator[World]:
    async with furnished(start=BEGIN.timestamp()) as world, anyio.create_task_group() as group:
        stamp = world.cluster.core.clock.stamp
        client = player_client(world.cluster)
        group.start_soon(GatewayPlayer(client, stamp=stamp, default=scenario.gateway).run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        yield world
        group.cancel_scope.cancel()


async def rest(world: World) -> float:
    """Until nobody has written for `QUIET` seconds; returns the (virtual) time of the last write, to the second.

    Raises AssertionError after `PATIENCE`.
    """
    store = world.cluster.store
    began = last = anyio.current_time()
    revision = store.revision
    while (now := anyio.current_time()) - last < QUIET:
        if now - began > PATIENCE:
            raise AssertionError(f"never at rest within {PATIENCE:g} virtual seconds")
        await anyio.sleep(1)
        if store.revision != revision:
            revision, last = store.revision, anyio.current_time()
    return last


def picture(world: World, *, apart_from: Collection[str] = _VOLATILE) -> dict[str, Any]:
    """What stands in the namespace, and what is cluster-wide of ours, without fields that no two runs share; events left out."""
    found: dict[str, Any] = {}
    for title in world.cluster.store.collections:
        if title.startswith("events"):
            continue
        for obj in world.cluster.peek_all(title):
            meta = obj["metadata"]
            if meta.get("namespace") == NAMESPACE or title == kinds.CLUSTER_ROLE_BINDING.resource:
                found[f"{title}/{meta['name']}"] = None if title in _MADE_UP else plain(obj, apart_from)
    return found


def plain(value: Any, apart_from: Collection[str] = _VOLATILE) -> Any:
    """An object without fields that no two runs share."""
    if isinstance(value, dict):
        return {key: plain(item, apart_from) for key, item in value.items() if key not in apart_from}
    if isinstance(value, list):
        return [plain(item, apart_from) for item in value]
    return value


def differences(whole: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """`<resource>/<name>: <path>` of what is not the same, sorted."""
    found: list[str] = []
    for name in sorted(whole.keys() | other.keys()):
        if name not in other:
            found.append(f"{name}: missing")
        elif name not in whole:
            found.append(f"{name}: left over")
        else:
            found += [f"{name}: {path}" for path in _paths(whole[name], other[name], "")]
    return found


def _paths(one: Any, other: Any, at: str) -> list[str]:
    if one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted(one.keys() | other.keys())
        return [path for key in keys for path in _paths(one.get(key), other.get(key), f"{at}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [path for index, pair in pairs for path in _paths(*pair, f"{at}.{index}")]
    return [f"{at.lstrip('.')}: {str(one)[:120]} became {str(other)[:120]}"]


def said(error: BaseException) -> str:
    """What an error says, or the first of a group of errors, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def verdict(scenario: Scenario, whole: End, crash: Crash) -> list[str]:
    """What is wrong with the life that has this crash in it; empty: nothing."""
    try:
        end = play(scenario, crash)
    except Exception as error:  # noqa: BLE001  any at all is a finding; out of `rest` they come in groups
        return [said(error)]
    counts = [len(scenario.any_of & each.objects.keys()) for each in (whole, end)]
    fewer = [f"{' or '.join(sorted(scenario.any_of))}: {counts[1]} there, not {counts[0]}"] * (
        counts[0] != counts[1]
    )
    found = (
        {name: obj for name, obj in each.objects.items() if name not in scenario.any_of}
        for each in (whole, end)
    )
    return differences(*found) + fewer + [f"written later: {line}" for line in end.later]
