"""`python -m bench strangers`: what a client that behaves notices of strangers who attack the ports, and what they cost in memory.

A whole, idle controller; beside each attack a client sends one small review after the other, in turns over a kept connection
and over a fresh one, and waits for its answer at most as long as an API server does.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

import anyio
import anyio.to_thread

from aioctl.demo import processes
from bench import attacks, clusters, ending, machine
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, in_units
from bench.webhook import Caller, envelope

Tree = dict[str, Any]

_PAUSE: Final = 0.01
"""Seconds between two calls."""
_WARM: Final = 1.0
"""Seconds that an attack gets to fill what it can."""
_REVIEW: Final = b'{"apiVersion":"serving.kserve.io/v1alpha1","kind":"LLMInferenceService","metadata":{"name":"a","namespace":"b"}}'


def run(options: argparse.Namespace) -> Result:
    figures: Tree = ending.run(_measured, tuple(options.only), options.seconds)
    rows = [(_title(name), _summary(each)) for name, each in figures.items()]
    return Result({"attacks": figures}, rows)


def _title(name: str) -> str:
    attack = attacks.ATTACKS.get(name)
    return f"{name}: {attack.__doc__}" if attack is not None else "no attack"


def _summary(each: Tree) -> str:
    return (
        f"p50 {each['p50_ms']} ms, p99 {each['p99_ms']} ms, {each['failed']} of {each['calls']} failed, "
        f"peak {each['peak_memory_mb']} MB"
    )


async def _measured(names: tuple[str, ...], seconds: float) -> Tree:
    ports = processes.Ports.free()
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as name:
        folder = Path(name)
        certificates = processes.write_certificates(folder)
        async with (
            clusters.simulated(folder, ports, certificates, clusters.Players()) as place,
            processes.controller(folder, ports, certificates, place.kubeconfig) as pid,
        ):
            target = attacks.Target(ports.webhook, ports.metrics, ports.health)
            ca = certificates / "ca.crt"
            figures = {
                "none": await anyio.to_thread.run_sync(partial(_calls, pid, target.webhook, ca, seconds))
            }
            for each in names:
                figures[each] = await anyio.to_thread.run_sync(
                    partial(_beside, each, target, pid, ca, seconds)
                )
            return figures


def _beside(name: str, target: attacks.Target, pid: int, ca: Path, seconds: float) -> Tree:
    with _attacking(name, target):
        sleep(_WARM)
        return _calls(pid, target.webhook, ca, seconds)


@contextmanager
def _attacking(name: str, target: attacks.Target) -> Iterator[None]:
    ours, theirs = multiprocessing.Pipe()
    # Not forked: this process has threads and a loop.
    spawned = multiprocessing.get_context("spawn").Process(
        target=attacks.until_told, args=(name, target, theirs), daemon=True
    )
    spawned.start()
    try:
        yield
    finally:
        ours.send(None)
        spawned.join()
        ours.close()


def _calls(pid: int, port: int, ca: Path, seconds: float) -> Tree:
    """Fresh and kept connections in turns, until the time is over."""
    machine.reset_peak(pid)
    body = envelope(_REVIEW, 1)
    took: list[float] = []
    failures: list[str] = []
    kept = Caller(port, ca)
    end = perf_counter() + seconds
    while perf_counter() < end:
        for caller in (kept, Caller(port, ca)):
            began = perf_counter()
            try:
                caller.convert(body, 1)
            except (OSError, ValueError) as error:
                failures.append(f"{type(error).__name__}: {error}")
            took.append(perf_counter() - began)
            if caller is not kept:
                caller.close()
        sleep(_PAUSE)
    kept.close()
    return {
        "calls": len(took),
        "failed": len(failures),
        "examples": failures[:3],
        "p50_ms": round(machine.quantile(took, 0.5) * 1e3, 1),
        "p99_ms": round(machine.quantile(took, 0.99) * 1e3, 1),
        "max_ms": round(max(took, default=0.0) * 1e3, 1),
        "peak_memory_mb": round(machine.usage(pid).peak_rss, 1),
    }


def over_all(what: str) -> Callable[[Mapping[str, Any]], float]:
    """The worst of it beside any attack."""
    return lambda result: max(float(each[what]) for each in result["attacks"].values())


SCENARIO: Final = Scenario(
    name="strangers",
    what="what attacks on the ports do to the calls of a client that behaves, and what they cost in memory",
    measures="latency and failures of small reviews beside each attack, over kept and fresh connections; peak memory.",
    judged_by="the same calls without an attack come first; the attack is a process of its own, the client has one call at a time.",
    run=run,
    parameters=[
        Parameter("only", tuple(attacks.ATTACKS), "these attacks", choices=tuple(attacks.ATTACKS)),
        Parameter("seconds", 8.0, "how long each attack is measured", least=1),
    ],
    expectations=[
        Expectation("calls that failed", over_all("failed"), 0),
        Expectation("p99 of the calls", in_units(over_all("p99_ms"), scale=1e-3), 1000, Unit.WORK_UNITS),
    ],
    not_elsewhere="it attacks the ports of a controller that it started itself",
)
