"""A cluster, a controller as a process of its own and what looks at both: the ground of every scenario that has a fleet."""

import argparse
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import anyio
import httpx

from aioctl.api.objects import Object, namespace_of
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.pki.pairs import Pair
from aioctl.sim import fleet
from aioctl.sim.seed import DEMO_NAMESPACE
from bench import bar, clusters, machine
from bench.counts import Counting, any_controller
from bench.sampling import LOOK, Measuring, Sampler
from bench.scenario import Parameter
from bench.witness import Witness

_STILL: Final = 3.0
"""Seconds without a call after which the storm is over: events are written behind the work."""
_STILL_DEADLINE: Final = 600.0
"""Seconds for a thousand services: they make 19,000 events, and a hundred are written in a second."""


def parameters(*, services: int, timeout: float = 300.0) -> list[Parameter]:
    """What every scenario with a fleet takes."""
    return [
        Parameter("services", services, "how many there are", least=1),
        Parameter("presets", None, "a folder of presets to install instead of the shipped ones", Path),
        Parameter("real", False, "start a kube-apiserver and an etcd for this run"),
        Parameter("stagger", None, "AIOCTL_POOL_STAGGER (seconds)", float, least=0),
        Parameter("rate", None, "AIOCTL_POOL_CREATE_RATE (per second, 0: unlimited)", float, least=0),
        Parameter("workers", None, "AIOCTL_WORKERS", int, least=1),
        Parameter("set", (), "any other variables, each NAME=VALUE"),
        Parameter("gateway-delay", 1.0, "seconds until the gateway answers", least=0),
        Parameter("workload-delay", 1.0, "seconds until workloads are available", least=0),
        Parameter("one-core", False, "one processor for the controller; the rest may use all"),
        Parameter(
            "first-on-core",
            False,
            "and it goes before everything else there (needs root): for a machine that is busy with other things",
        ),
        Parameter("timeout", timeout, "seconds until what is not done counts as lost", least=1),
        Parameter("profile", None, "run the controller under cProfile, and write that file"),
        Parameter(
            "look-every",
            LOOK,
            "seconds between two looks at the controller's metrics, which cost it CPU",
            least=0.05,
        ),
        Parameter("keep-log", None, "copy the controller's log to that file"),
    ]


def settings_of(options: argparse.Namespace) -> dict[str, str]:
    """The controller's variables. Raises ValueError for one that is no NAME=VALUE."""
    given = {
        "AIOCTL_POOL_STAGGER": options.stagger,
        "AIOCTL_POOL_CREATE_RATE": options.rate,
        "AIOCTL_WORKERS": options.workers,
    }
    named = [item.partition("=") for item in options.set]
    if wrong := [name for name, sign, _ in named if not sign]:
        raise ValueError(f"--set {wrong[0]}: it takes NAME=VALUE")
    return {name: str(value) for name, value in given.items() if value is not None} | {
        name: value for name, _, value in named
    }


@dataclass
class Stage:
    """A place made ready. `controller` starts one, and more than one may run, each on ports of its own."""

    options: argparse.Namespace
    folder: Path
    ports: processes.Ports
    certificates: Path
    arena: clusters.Arena
    client: Client
    http: httpx.AsyncClient
    measuring: Measuring = field(default_factory=Measuring)

    @property
    def counting(self) -> Counting:
        return self.arena.counting

    def about(self) -> dict[str, Any]:
        """The head of every record."""
        return {
            "on": self.arena.name,
            "services": self.options.services,
            "one_core": self.options.one_core,
            "first_on_core": self.options.first_on_core,
            "settings": settings_of(self.options),
        }

    @asynccontextmanager
    async def controller(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        ports: processes.Ports | None = None,
        name: str = "controller",
        command: str = "",
        may_end: bool = False,
    ) -> AsyncIterator[int]:
        """That of the command, or the other one when the options name one, or ours; yields its process id.

        Raises StageError when it does not get ready, and, unless it `may_end`, as soon as it ends by itself.
        """
        options = self.options
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        command = command or options.controller_command
        starting = processes.controller(
            folder,
            ports or self.ports,
            self.certificates,
            self.arena.kubeconfig,
            # Fifty series a service would be made anew at each look of the sampler.
            {"AIOCTL_SERVICE_SERIES": "0", **settings_of(options), **(settings or {})},
            core=max(os.sched_getaffinity(0)) if options.one_core else None,
            interpreter=["-m", "cProfile", "-o", str(options.profile)] if options.profile else [],
            command=["sh", "-c", f"exec {command}"] if command else (),
        )
        try:
            async with starting as pid:
                if options.first_on_core:
                    machine.put_first(pid)
                self.measuring.ours.add(pid)
                async with contextlib.nullcontext() if may_end else outlived_by(pid, folder):
                    yield pid
        finally:
            _keep(folder / "controller.log", options.keep_log)

    def sampled(self, pid: int) -> AbstractAsyncContextManager[Sampler]:
        """A sampler of that controller, at work while inside."""
        return Sampler(pid, self.ports.metrics_page, self.http, every=self.options.look_every).working()

    async def presets(self) -> None:
        """As an administrator applies them."""
        await processes.install_presets(self.client, self.options.presets)

    async def settled(self, services: int) -> Witness:
        """Presets, and a fleet that is created, migrated, Ready and at rest. Raises TimeoutError."""
        await self.presets()
        witness = Witness(services)
        async with anyio.create_task_group() as group:
            group.start_soon(witness.run, self.client)
            progress = bar.shown("fleet", lambda: len(witness.ready), services)
            with progress, anyio.fail_after(self.options.timeout):
                await fleet.create(
                    self.client, fleet.services(services, seed=self.options.seed), starting=witness.starts
                )
                await witness.wait_migrated()
                await witness.wait_ready()
            await until_still(self.counting, services)
            group.cancel_scope.cancel()
        return witness


@asynccontextmanager
async def stage(
    options: argparse.Namespace, *, ports: processes.Ports | None = None, ca: Pair | None = None
) -> AsyncIterator[Stage]:
    """`ports` are those at which the cluster finds the webhooks, `ca` what it trusts them by. Raises StageError and
    NotAvailable when there is nothing to run it on."""
    ports = ports or processes.Ports.free()
    players = clusters.Players(options.gateway_delay, options.workload_delay)
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as name:
        folder = Path(name)
        certificates = processes.write_certificates(folder, ca)
        async with (
            _arena(options, folder, ports, certificates, players) as arena,
            clusters.client_for(arena.kubeconfig) as client,
            httpx.AsyncClient() as http,
        ):
            if options.controller_command:
                arena.counting.belongs = any_controller
            made = Stage(options, folder, ports, certificates, arena, client, http)
            async with made.measuring.working():
                yield made


def is_of_fleet(obj: Object) -> bool:
    """A given cluster has more than that."""
    return namespace_of(obj) == DEMO_NAMESPACE


def _keep(log: Path, wanted: str | None) -> None:
    if wanted and log.exists():
        Path(wanted).write_bytes(log.read_bytes())


def _arena(
    options: argparse.Namespace,
    folder: Path,
    ports: processes.Ports,
    certificates: Path,
    players: clusters.Players,
) -> AbstractAsyncContextManager[clusters.Arena]:
    if options.real:
        return clusters.real(folder, ports, certificates, players)
    if options.kubeconfig:
        kubeconfig = Path(options.kubeconfig)
        return clusters.given(folder, ports, certificates, players, kubeconfig, clean=options.clean)
    return clusters.simulated(folder, ports, certificates, players)


@asynccontextmanager
async def outlived_by(pid: int, folder: Path) -> AsyncIterator[None]:
    """Ends what is done inside as soon as that controller has ended. Raises StageError then, with the end of its log."""

    async def hear() -> None:
        descriptor = os.pidfd_open(pid)
        try:
            await anyio.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        log = processes.tail(folder / "controller.log")
        raise processes.StageError(f"the controller ended by itself:\n{log}")

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hear)
            yield
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as errors:
        # One of the two ends the other: who calls wants its error, not a group of one.
        raise errors.exceptions[0] from None


async def until_still(counting: Counting, services: int = 0) -> None:
    """Until the controller has not written for a while. Raises TimeoutError when it does not stop."""
    with anyio.fail_after(_STILL_DEADLINE * max(1, services / 1000)):
        before = (await counting.read()).writes
        while True:
            await anyio.sleep(_STILL)
            now = (await counting.read()).writes
            if now == before:
                return
            before = now


async def first(wanted: anyio.Event, seconds: float) -> float | None:
    """Seconds until it happens; None when it does not within so many."""
    began = monotonic()
    with contextlib.suppress(TimeoutError), anyio.fail_after(seconds):
        await wanted.wait()
        return monotonic() - began
    return None
