"""Looks at a controller twice a second, as Prometheus would, and at those who measure: were they quick enough themselves?"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import anyio
import httpx

from aioctl.histogram import quantile
from bench import machine
from bench.counts import Series, metrics_page, summed_buckets, total
from bench.report import Plot

LOOK: Final = 0.5
"""Seconds between two looks at a controller, where nothing else is asked for."""
_OWN_TICK: Final = 0.05
_SATURATED: Final = 0.8
"""Share of a core beyond which one thread of Python is the bottleneck."""
_CHILDREN: Final = {
    "aioctl.sim": "embedded cluster",
    "testbed.real_players": "players",
    "bench.readers": "readers",
    "kube-apiserver": "kube-apiserver",
    "etcd": "etcd",
}


@dataclass
class Sampler:
    """What one controller's metrics page and /proc say over time; `began` is the moment that counts as 0."""

    pid: int
    url: str
    http: httpx.AsyncClient
    every: float = LOOK
    """Seconds between two looks."""
    began: float = field(default_factory=monotonic)
    moments: list[float] = field(default_factory=list)
    states: list[Mapping[str, float]] = field(default_factory=list)
    values: dict[str, list[float | None]] = field(default_factory=dict)
    missed: int = 0
    last: Series = field(default_factory=dict)

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Sampler"]:
        async with anyio.create_task_group() as group:
            group.start_soon(self._run)
            yield self
            group.cancel_scope.cancel()

    async def _run(self) -> None:
        earlier: Series = {}
        used, then = machine.usage(self.pid).cpu, monotonic()
        while True:
            await anyio.sleep(self.every)
            try:
                found = await metrics_page(self.http, self.url)
                usage = machine.usage(self.pid)
            except (httpx.HTTPError, ValueError, OSError):
                self.missed += 1
                continue
            now = monotonic()
            lag = summed_buckets(found, "aioctl_event_loop_lag_seconds", earlier) if earlier else []
            seen = {
                "in_flight": total(found, "aioctl_conversions_in_flight"),
                "queue": total(found, "workqueue_depth"),
                "lag_ms": quantile(0.99, lag) * 1e3 if lag and lag[-1][1] else None,
                "cpu": (usage.cpu - used) / (now - then),
                "memory_mb": usage.rss,
            }
            self.moments.append(round(now - self.began, 2))
            self.states.append({labels["state"]: value for labels, value in found.get("aioctl_services", ())})
            for name, value in seen.items():
                self.values.setdefault(name, []).append(None if value is None else round(value, 3))
            earlier, used, then = found, usage.cpu, now

    def measuring(self) -> dict[str, Any]:
        return {"looks_at_the_controller": len(self.moments), "looks_missed": self.missed}

    def plots(self) -> list[Plot]:
        """Everything over time."""
        names = sorted({name for seen in self.states for name, value in seen.items() if value})
        states = {name: [seen.get(name, 0) for seen in self.states] for name in names}

        def over_time(title: str, unit: str, **lines: str) -> Plot:
            found = {
                label.replace("_", " "): self.values[name]
                for label, name in lines.items()
                if name in self.values
            }
            return Plot(title, "seconds", unit, self.moments, found)

        return [
            Plot("Services by state", "seconds", "services", self.moments, states),
            over_time("Conversions in flight, and the queue", "calls, services", in_flight="in_flight", queue="queue"),
            over_time("Event loop lag, 99th percentile between two looks", "ms", lag="lag_ms"),
            over_time("CPU of the controller", "cores", CPU="cpu"),
            over_time("Memory of the controller", "MB", resident="memory_mb"),
        ]  # fmt: skip


@dataclass
class Measuring:
    """How busy the client and its helpers were, and for how long its loop was late: a client that is saturated measures itself."""

    ours: set[int] = field(default_factory=set)
    """Controllers: what is measured is not what measures."""
    longest_wait: float = 0.0
    _began: float = 0.0
    _before: dict[str, float] = field(default_factory=dict)
    _group: Any = None

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Measuring"]:
        self._began, self._before = monotonic(), self._used()
        async with anyio.create_task_group() as group:
            group.start_soon(self._own_lag)
            yield self
            group.cancel_scope.cancel()

    def restart(self) -> None:
        """From now on it counts."""
        self._began, self._before, self.longest_wait = monotonic(), self._used(), 0.0

    def summary(self, expected: int, seen: int) -> dict[str, Any]:
        """`expected` and `seen` observations: those that were missed make every quantile a guess."""
        wall = max(monotonic() - self._began, 1e-9)
        shares = {
            name: round((used - self._before.get(name, 0.0)) / wall, 2)
            for name, used in self._used().items()
            if used - self._before.get(name, 0.0) > 0.005 * wall
        }
        client = shares.pop("client", 0.0)
        return {
            "client_cores": client,
            "client_saturated": client > _SATURATED,
            "client_longest_wait_s": round(self.longest_wait, 3),
            "others_cores": shares,
            "observations_expected": expected,
            "observations_missed": expected - seen,
        }

    async def _own_lag(self) -> None:
        while True:
            before = monotonic()
            await anyio.sleep(_OWN_TICK)
            self.longest_wait = max(self.longest_wait, monotonic() - before - _OWN_TICK)

    def _used(self) -> dict[str, float]:
        """CPU seconds of this process and its helpers so far."""
        found = {"client": machine.usage(os.getpid()).cpu}
        for pid in machine.children():
            with suppress(OSError, StopIteration):
                words = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace")
                name = next(name for mark, name in _CHILDREN.items() if mark in words)
                if pid not in self.ours:
                    found[name] = found.get(name, 0.0) + machine.usage(pid).cpu
        return found
