"""Where scenarios are played: each on a simulated cluster of its own in virtual time, or all at once on one real API server.

`on_both_servers` and `on_the_simulated_server` make tests of scenarios. On the simulated server a scenario may also be a
director (`Stage`): stop, start and kill the controller, break the server. On the real one the whole program runs once for
all of them (see `conftest.py`), each in a namespace of its own.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import anyio.abc
import pytest

from aioctl.api import kinds
from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.plan.policy import Policy
from aioctl.sim import seed
from aioctl.sim.api import SimCluster
from aioctl.sim.backup import Backup
from aioctl.sim.facts import ABSENT_BY_DEFAULT
from aioctl.sim.faults import Match
from aioctl.sim.records import Record
from aioctl.sim.resources import Resource
from testbed.shipped_files import presets
from testbed.virtual_time import run_virtual
from testbed.world import LONG_AGO, SETTLED, World, beforehand, world
from tests.scenarios.scene import GLOBAL_GATEWAY, Scene, condition

NAMESPACE = "demo"
POLICY = Policy(auth_disabled=False)
"""Authentication is on, as KServe has it; scenarios switch it off for their service."""
GATEWAY_STATUS = {
    "conditions": [condition("Programmed")],
    "addresses": [{"type": "IPAddress", "value": "203.0.113.1"}],
}
ScenarioBody = Callable[[Scene], Awaitable[None]]
BOTH: dict[str, ScenarioBody] = {}
"""Scenarios by test name that are played on the real server, too."""


@dataclass
class Stage:
    """A simulated cluster with a scene on it, and its controller on strings."""

    world: World
    scene: Scene
    group: anyio.abc.TaskGroup
    policy: Policy = POLICY
    knobs: Knobs = field(default_factory=lambda: Knobs(status_settle=0.05))
    writes: list[tuple[str, str, str]] = field(default_factory=list)
    """(event type, `<plural>.<group>`, name) of every change in the scene's namespace, whoever made it."""
    controller: Controller | None = None

    def __post_init__(self) -> None:
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self.cluster.observers.append(self._note)

    @property
    def cluster(self) -> SimCluster:
        return self.world.cluster

    async def start(self) -> Controller:
        """A new process: empty caches, nothing remembered."""
        self._scope, self._ended = anyio.CancelScope(), anyio.Event()
        self.controller = await self.group.start(self._run)
        return self.controller

    def kill(self) -> None:
        """The process is gone, between two instructions."""
        self._scope.cancel()

    async def stop(self) -> None:
        self.kill()
        await self._ended.wait()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _run(self, *, task_status: anyio.abc.TaskStatus[Controller]) -> None:
        with self._scope:
            made = self.world.controller(policy=self.policy, knobs=self.knobs)
            async with self.world.running(made):
                task_status.started(made)
                await anyio.sleep_forever()
        self._ended.set()

    def _note(self, resource: Resource, record: Record, kind: str) -> None:
        namespace, name = record.key
        if namespace == self.scene.namespace and not resource.title.startswith("events"):
            self.writes.append((kind, resource.title, name))

    def writes_of(self, kind: kinds.Kind, name: str = "") -> list[str]:
        """Event types of the changes of one kind so far."""
        return [
            type_ for type_, title, found in self.writes if title == kind.resource and name in ("", found)
        ]


@asynccontextmanager
async def stage(
    *,
    started: bool = True,
    policy: Policy = POLICY,
    absent: frozenset[str] = ABSENT_BY_DEFAULT,
    **options: Any,
) -> AsyncIterator[Stage]:
    """A seeded cluster with the presets, which a controller has put its finalizers on; `options` go to SimCluster."""
    async with world(backup=furniture(absent), **options) as made:
        scene = Scene(made.user, NAMESPACE, window=2.0, patience=60.0)
        async with anyio.create_task_group() as group:
            found = Stage(made, scene, group, policy)
            if started:
                await found.start()
            yield found
            group.cancel_scope.cancel()


@cache
def furniture(absent: frozenset[str]) -> Backup:
    """What a controller finds at its second start, before there are services; made once a process."""
    return beforehand(_furnish, absent)


async def _furnish(absent: frozenset[str]) -> Backup:
    async with world(absent=absent, start=LONG_AGO) as made:
        await furnish(made)
        async with made.running(made.controller(policy=POLICY)):
            await anyio.sleep(SETTLED)
        return Backup.of(made.cluster.core)


async def furnish(made: World) -> None:
    """What an administrator installs: ConfigMap, gateway class, gateway, presets; and the gateway has an address."""
    for obj in (*seed.world(namespaces=[NAMESPACE]), plain_class()):
        await made.cluster.create(obj)
    for preset in presets():
        await made.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
    await made.user.patch(kinds.GATEWAY, *GLOBAL_GATEWAY, {"status": GATEWAY_STATUS}, subresource="status")


def plain_class() -> dict[str, Any]:
    """A gateway class that is not Istio's."""
    return {
        "apiVersion": kinds.GATEWAY_CLASS.api_version,
        "kind": "GatewayClass",
        "metadata": {"name": "plain"},
        "spec": {"controllerName": "example.com/gateway"},
    }


def on_both_servers(body: ScenarioBody) -> Callable[..., None]:
    """Makes a test that plays the scenario on the simulated and, with --real, on the real API server."""
    name = body.__name__
    BOTH[name] = body

    @pytest.mark.parametrize("server", ["sim", pytest.param("real", marks=pytest.mark.real)])
    def test(server: str, request: pytest.FixtureRequest) -> None:
        if server == "sim":
            run_virtual(_play, body)
            return
        outcome = request.getfixturevalue("played_on_the_real_server")[name]
        if outcome is not None:
            raise outcome

    return _named(test, body)


def on_the_simulated_server(body: Callable[[Stage], Awaitable[None]], **options: Any) -> Callable[[], None]:
    """Makes a test of a scenario that needs misfortune, another set of CRDs or a controller that dies."""

    def test() -> None:
        run_virtual(_direct, body, options)

    return _named(test, body)


def simulated(**options: Any) -> Callable[[Callable[[Stage], Awaitable[None]]], Callable[[], None]]:
    """`on_the_simulated_server` with options of `stage`."""
    return lambda body: on_the_simulated_server(body, **options)


async def _play(body: ScenarioBody) -> None:
    async with stage() as made:
        await body(made.scene)


async def _direct(body: Callable[[Stage], Awaitable[None]], options: dict[str, Any]) -> None:
    async with stage(**options) as made:
        await body(made)


def _named(test: Callable[..., None], body: Callable[..., object]) -> Callable[..., None]:
    # Not functools.wraps: pytest would take the scenario's argument for a fixture.
    test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
    test.__qualname__ = body.__qualname__
    return test


CONTROLLER = Match(client="aioctl/test")
"""Calls of the controller on the simulated server."""
