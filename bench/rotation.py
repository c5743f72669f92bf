"""`python -m bench rotation`: the webhook's certificate is replaced over and over while clients call. No call may fail.

The two files of a leaf are written one after the other, as no mount would do it at once either. One client calls over fresh
connections, as an API server that has just started; others read through the API server, which keeps its connections.
"""

import argparse
import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final

import anyio
import anyio.to_thread

from aioctl.demo import processes
from aioctl.pki.pairs import Pair
from bench import ending, machine, readers, report
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, at
from bench.stage import Stage, parameters, stage
from bench.webhook import Caller, envelope

_REVIEW: Final = b'{"apiVersion":"serving.kserve.io/v1alpha1","kind":"LLMInferenceService","metadata":{"name":"a","namespace":"b"}}'
_PAUSE: Final = 0.02
"""Seconds between two calls."""


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


async def _run(options: argparse.Namespace) -> Result:
    ca = processes.create_ca()
    async with stage(options, ca=ca) as place, place.controller() as pid:
        await place.settled(options.services)
        before = await place.counting.read()
        place.measuring.restart()
        async with place.sampled(pid) as sampler, readers.waves(place, options.at_once, pause=1.0) as read:
            with _fresh_calls(place) as calls:
                served = [await _rotated(place, ca, options.timeout) for _ in range(options.rotations)]
        found = [each for each in served if each is not None]
        measured = place.measuring.summary(options.rotations, len(found))
        counted = await place.counting.read() - before
    figures: dict[str, Any] = place.about() | {
        "rotations": options.rotations,
        "served_s": [round(each, 2) for each in found],
        "served_slowest_s": round(max(found, default=0.0), 2),
        "calls": {
            "count": len(calls.seconds),
            "failures": len(calls.failures),
            "examples": calls.failures[:3],
            "p50_s": round(machine.quantile(calls.seconds, 0.5), 5),
            "p99_s": round(machine.quantile(calls.seconds, 0.99), 5),
        },
        "reads": {name: value for name, value in read.items() if name != "seconds"},
        "conversions": {"count": counted.conversions, "failures": counted.conversion_failures},
    }
    rows = [
        ("new leaves served", f"{len(found)} of {options.rotations}, after {figures['served_s']} s"),
        (
            "calls over fresh connections",
            ", ".join(f"{name} {value}" for name, value in figures["calls"].items()),
        ),
        ("reads through the API server", f"{read['reads']}, {read['failures']} failed"),
        ("conversions", f"{counted.conversions}, {counted.conversion_failures} failed"),
    ]
    plots = [
        *sampler.plots(),
        report.quantiles("A call over a fresh connection", "seconds", {"call": calls.seconds}),
    ]
    return Result(figures, rows, plots, measured | sampler.measuring())


async def _rotated(place: Stage, ca: Pair, patience: float) -> float | None:
    """Seconds until a new leaf is served; None when it was not."""
    old = await anyio.to_thread.run_sync(_served, place)
    began = perf_counter()
    await anyio.to_thread.run_sync(processes.write_leaf, place.certificates, ca)
    with anyio.move_on_after(patience):
        while await anyio.to_thread.run_sync(_served, place) == old:  # noqa: ASYNC110  another process reads the files
            await anyio.sleep(0.05)
        return perf_counter() - began
    return None


def _served(place: Stage) -> bytes | None:
    """The certificate that a new connection is shown. Raises OSError."""
    context = ssl.create_default_context(cafile=place.certificates / "ca.crt")
    connection = http.client.HTTPSConnection("localhost", place.ports.webhook, context=context, timeout=30)
    connection.connect()
    try:
        assert isinstance(connection.sock, ssl.SSLSocket)  # noqa: S101
        return connection.sock.getpeercert(binary_form=True)
    finally:
        connection.close()


class Calls:
    """Of one client. Both lists are read when it has ended."""

    def __init__(self, port: int, ca: Path) -> None:
        self.port = port
        self.ca = ca
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def go_on(self, end: threading.Event) -> None:
        body = envelope(_REVIEW, 1)
        while not end.is_set():
            began = perf_counter()
            caller = Caller(self.port, self.ca)
            try:
                caller.convert(body, 1)
            except (OSError, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
            self.seconds.append(perf_counter() - began)
            caller.close()
            sleep(_PAUSE)


@contextmanager
def _fresh_calls(place: Stage) -> Iterator[Calls]:
    """A thread calls while inside, each time anew."""
    calls, end = Calls(place.ports.webhook, place.certificates / "ca.crt"), threading.Event()
    thread = threading.Thread(target=calls.go_on, args=(end,))
    thread.start()
    try:
        yield calls
    finally:
        end.set()
        thread.join()


SCENARIO: Final = Scenario(
    name="rotation",
    what="the webhook's certificate is replaced over and over while clients call, over fresh and over kept connections",
    measures="calls and conversions that failed; seconds until a new leaf is served; latency of calls over fresh connections.",
    judged_by="a leaf counts as served when a new connection is shown it; rotations that were not seen; the client's own load.",
    run=run,
    parameters=[
        *parameters(services=20),
        Parameter("rotations", 5, "new leaves, one after the other", least=1),
        Parameter("at-once", 20, "readers through the API server", least=1),
    ],
    seed=0,
    expectations=[
        Expectation("calls that failed", at("calls", "failures"), 0),
        Expectation("reads that failed", at("reads", "failures"), 0),
        Expectation("conversions that failed", at("conversions", "failures"), 0),
        Expectation("rotations that were not seen", at("measuring", "observations_missed"), 0),
        Expectation("p99 of a call by its p50", lambda result: result["calls"]["p99_s"] / result["calls"]["p50_s"], 30, Unit.TIMES),
    ],
)  # fmt: skip
