"""`python -m bench strangers`: what a client that behaves notices of strangers who attack the ports, and what they cost in memory.

A whole, idle controller; beside each attack a client sends one small review after the other, in turns over a kept connection
and over a fresh one, and waits for its answer at most as long as an API server does.
"""

import argparse
import multiprocessing
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import anyio
import anyio.to_thread

from aioctl.demo import processes
from bench import attacks, clusters, machine, report
from bench.webhook import Caller, envelope

Tree = dict[str, Any]

_BOUND_MS = 1000.0
_PAUSE = 0.01
"""Seconds between two calls."""
_WARM = 1.0
"""Seconds that an attack gets to fill what it can."""
_REVIEW = b'{"apiVersion":"serving.kserve.io/v1alpha1","kind":"LLMInferenceService","metadata":{"name":"a","namespace":"b"}}'


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench strangers", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=attacks.ATTACKS, default=list(attacks.ATTACKS))
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each attack is measured")
    report.add_option(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Exit code 1 when a call failed or the 99th percentile is beyond a second."""
    options = arguments(argv)
    figures: Tree = anyio.run(_measured, tuple(options.only), options.seconds)
    result = {"command": "python -m bench strangers", "machine": machine.describe(), "attacks": figures}
    rows = [(_title(name), _summary(each)) for name, each in figures.items()]
    report.give("strangers", result, options.json, rows)
    return int(any(each["failed"] or each["p99_ms"] > _BOUND_MS for each in figures.values()))


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
