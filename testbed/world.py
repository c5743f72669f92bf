"""A whole controller on the simulated cluster, in one process and on virtual time: what behaviour tests stand on."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, Final, ParamSpec

import anyio

from aioctl.api import kinds
from aioctl.api.admission import review_admission
from aioctl.api.config_admission import CONFIG_RULES
from aioctl.api.conversion import convert_object
from aioctl.api.kinds import Kind
from aioctl.api.mutation import review_mutation
from aioctl.api.objects import dig
from aioctl.api.review import CONVERT, read_conversion, success
from aioctl.app import ADMISSION_PATHS, MUTATION_PATHS, observers_of
from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.client import Client
from aioctl.kube.errors import NotFound
from aioctl.kube.server_time import DatedWire, ServerTime
from aioctl.kube.wire import Wire
from aioctl.metrics.page import Metrics
from aioctl.metrics.shared import CONTROLLER
from aioctl.plan.policy import Policy
from aioctl.reviews import Reviews
from aioctl.sim import seed
from aioctl.sim.api import SimCluster
from aioctl.sim.backup import Backup
from aioctl.sim.facts import ABSENT_BY_DEFAULT
from aioctl.sim.memory import MemoryWire
from aioctl.sim.webhooks import LocalWebhooks
from testbed.shipped_files import presets
from testbed.virtual_time import BEGIN, VirtualClock, run_virtual

P = ParamSpec("P")

NAMESPACE: Final = "demo"
POLICY: Final = Policy(auth_disabled=True)
SETTLED: Final = 10.0
"""(Virtual) seconds after which a controller has nothing left to do in a cluster without services."""
LONG_AGO: Final = 1_577_836_800.0
"""Seconds since the epoch (1 January 2020): before any moment that a test begins at."""


async def convert(body: bytes) -> bytes:
    """The conversion webhook without sockets."""
    request = read_conversion(body)
    return b"".join(success(request, [convert_object(raw, request.desired) for raw in request.objects]))


@dataclass
class Hooks:
    """All webhooks of the program, without sockets."""

    reviews: Reviews | None = None
    """What they know of the cluster; without it no config is rendered, and no cache of models chosen."""

    def by_path(self) -> LocalWebhooks:
        handlers: dict[str, Callable[[bytes], Awaitable[bytes]]] = {CONVERT: convert}
        for path, (version, kind) in ADMISSION_PATHS.items():
            handlers[path] = partial(self._admit, version=version, kind=kind)
        for path, version in MUTATION_PATHS.items():
            handlers[path] = partial(self._mutate, version=version)
        return LocalWebhooks(handlers)

    async def _admit(self, body: bytes, *, version: str, kind: str) -> bytes:
        rules = CONFIG_RULES if self.reviews is None else self.reviews.config_rules
        request = json.loads(body)["request"]
        if self.reviews is not None and request["operation"] == "DELETE":
            await self.reviews.before_deletion(request["namespace"])
        return review_admission(body, "application/json", version=version, kind=kind, config_rules=rules)

    async def _mutate(self, body: bytes, *, version: str) -> bytes:
        marker = None if self.reviews is None else self.reviews.marker
        return review_mutation(body, "application/json", version=version, marker=marker)


@dataclass
class World:
    """One cluster, and the controllers running on it."""

    cluster: SimCluster
    user: Client
    clock: VirtualClock
    hooks: Hooks
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(clock=self.clock)

    def failed_reconciles(self) -> float:
        """How many there were, by the metric."""
        labels = {"controller": CONTROLLER}
        value = self.metrics.registry.get_sample_value("controller_runtime_reconcile_errors_total", labels)
        assert value is not None, "the series exists from the start"
        return value

    def controller(
        self,
        *,
        policy: Policy = POLICY,
        knobs: Knobs | None = None,
        answers_after: float = 0.0,
        wire: Wire | None = None,
        **parts: Any,
    ) -> Controller:
        """A controller that is not running yet; see `running`. `answers_after`: see `MemoryWire`, which is what it speaks
        over unless a `wire` is given; `parts`: the rest."""
        server_time = ServerTime(self.clock)
        spoken = wire or MemoryWire(self.cluster, answers_after=answers_after, agent="aioctl/test")
        client = Client(DatedWire(spoken, server_time))
        return Controller(
            client=client,
            events_client=client,
            policy=policy,
            knobs=knobs or Knobs(status_settle=0.05),
            observers=observers_of(self.metrics),
            clock=server_time,
            turnstile=Turnstile(),
            **parts,
        )

    @asynccontextmanager
    async def running(self, controller: Controller) -> AsyncIterator[Controller]:
        """Watches and works until the block ends."""
        async with anyio.create_task_group() as group:
            await group.start(controller.recorder.run)
            await group.start(controller.watch)
            await group.start(controller.work)
            yield controller
            group.cancel_scope.cancel()

    async def find(self, kind: Kind, name: str, namespace: str = NAMESPACE) -> dict[str, Any] | None:
        """The object, or None."""
        try:
            return await self.user.get(kind, namespace if kind.namespaced else "", name)
        except NotFound:
            return None

    async def drop_config(self, name: str, namespace: str = NAMESPACE) -> None:
        """Deletes a config by force: our finalizer would keep it as long as a service uses it."""
        await self.user.delete(kinds.CONFIG, namespace, name)
        with suppress(NotFound):
            await self.user.patch(kinds.CONFIG, namespace, name, {"metadata": {"finalizers": None}})

    async def until(self, what: Callable[[], Awaitable[bool]], *, seconds: float = 60.0) -> None:
        """Waits (virtual time) until the claim holds; fails the test when it does not."""
        with anyio.move_on_after(seconds):
            while not await what():  # noqa: ASYNC110  a cluster tells nobody when a claim comes true
                await anyio.sleep(0.05)
            return
        raise AssertionError(f"{what} did not hold within {seconds} virtual seconds")


@asynccontextmanager
async def world(**options: Any) -> AsyncIterator[World]:
    """A seeded cluster with webhooks; options go to SimCluster. The day begins for all at `start`, seconds since the epoch."""
    hooks = Hooks()
    start = options.setdefault("start", BEGIN.timestamp())
    clock = VirtualClock(datetime.fromtimestamp(start, UTC))
    async with SimCluster(webhooks=hooks.by_path(), **options) as cluster:
        yield World(cluster, Client(MemoryWire(cluster, agent="user")), clock, hooks)


@asynccontextmanager
async def furnished(
    *, absent: frozenset[str] = ABSENT_BY_DEFAULT, backup: Backup | None = None, **options: Any
) -> AsyncIterator[World]:
    """A world with all that services need: the gateways and the settings of the demo, and the shipped presets, which a
    controller has put its finalizers on. A `backup` is of such a world in which more has happened."""
    async with world(backup=backup or furniture(absent), **options) as stage:
        yield stage


@cache
def furniture(absent: frozenset[str] = ABSENT_BY_DEFAULT) -> Backup:
    """What such a world holds; made once a process."""
    return beforehand(_furnish, absent)


def beforehand(story: Callable[P, Coroutine[Any, Any, Backup]], *args: P.args, **kwargs: P.kwargs) -> Backup:
    """Where a story comes to that many others go on from. It is told on a loop and thread of its own, so that whoever comes
    first has no other times than those who follow."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(partial(run_virtual, story, *args, **kwargs)).result()


async def _furnish(absent: frozenset[str]) -> Backup:
    async with world(absent=absent, start=LONG_AGO) as stage:
        for obj in seed.world():
            await stage.cluster.create(obj, client="user")
        for preset in presets():
            await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
        async with stage.running(stage.controller()):
            await anyio.sleep(SETTLED)
        return Backup.of(stage.cluster.core)


def plain_service(name: str = "one", **spec: Any) -> dict[str, Any]:
    """A service as a user writes it, with a model and whatever else is given of the spec."""
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"model": {"uri": "hf://facebook/opt-125m"}, **spec},
    }


def condition(obj: Mapping[str, Any] | None, type_: str) -> tuple[str, str, str]:
    """(status, reason, message) of a condition; empty strings where it is absent."""
    for found in dig(obj, "status", "conditions") or ():
        if found["type"] == type_:
            return found["status"], found.get("reason", ""), found.get("message", "")
    return "", "", ""
