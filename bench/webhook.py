"""The webhook of a whole, idle controller, called over TLS on connections that are kept, as an API server keeps them.

The controller has a processor of its own, everything else shares the others. Beside each list a second client sends small
reviews without pause: its longest wait is an upper bound of the longest stretch of the controller's loop.
"""

import http.client
import json
import multiprocessing
import os
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, Final, Self

import anyio
import anyio.to_thread
import msgspec

from aioctl.api.kinds import V1ALPHA2
from aioctl.api.review import CONVERT
from aioctl.demo import processes
from bench import clusters, machine

Tree = dict[str, Any]

_ROUNDS: Final = 3_000
"""Calls with one object; their 99th percentile rests on the slowest thirty."""
_REPEATS: Final = 3
"""Each list so often, for the slowest of them counts."""
_PAUSE: Final = 0.005
"""Seconds between two small calls beside a list."""
_TIMEOUT: Final = 30.0
"""Seconds: an API server gives up then."""


class _Response(msgspec.Struct):
    result: dict[str, Any]
    convertedObjects: list[msgspec.Raw] = []  # noqa: N815  the protocol's name


class _Review(msgspec.Struct):
    response: _Response


_decoder = msgspec.json.Decoder(_Review)


def envelope(raw: bytes, count: int) -> bytes:
    """A ConversionReview that asks for so many copies of the object in v1alpha2."""
    return (
        b'{"apiVersion":"apiextensions.k8s.io/v1","kind":"ConversionReview","request":{"uid":"u","desiredAPIVersion":"'
        + V1ALPHA2.encode()
        + b'","objects":['
        + b",".join([raw] * count)
        + b"]}}"
    )


async def measure(raw: bytes, lists: Sequence[int], *, first: bool) -> Tree:
    """Starts everything, measures one object and each list, stops everything. Raises StageError.

    `first`: controller and clients go before everything else on their processors.
    """
    ports = processes.Ports.free()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as name:
        folder = Path(name)
        certificates = processes.write_certificates(folder)
        async with (
            clusters.simulated(folder, ports, certificates, clusters.Players()) as place,
            processes.controller(folder, ports, certificates, place.kubeconfig, core=cores[-1]) as pid,
        ):
            try:
                os.sched_setaffinity(0, set(cores[:-1]) or set(cores))
                if first:
                    machine.put_first(pid)
                    machine.put_first(0)
                caller = Caller(ports.webhook, certificates / "ca.crt")
                return await anyio.to_thread.run_sync(_measure, caller, pid, raw, tuple(lists))
            finally:
                os.sched_setaffinity(0, set(cores))


def _measure(caller: "Caller", pid: int, raw: bytes, lists: Sequence[int]) -> Tree:
    with caller:
        one = envelope(raw, 1)
        idle = machine.usage(pid).rss
        caller.convert(one, 1)  # the first call finds nothing warm
        seconds = [caller.convert(one, 1) for _ in range(_ROUNDS)]
        return {
            "one_object": {
                "bytes": len(raw),
                "rounds": _ROUNDS,
                "median_ms": _milliseconds(machine.quantile(seconds, 0.5)),
                "p99_ms": _milliseconds(machine.quantile(seconds, 0.99)),
            },
            "idle_memory_mb": round(idle, 1),
            "lists": [_list(caller, pid, envelope(raw, count), count, idle) for count in lists],
        }


def _list(caller: "Caller", pid: int, body: bytes, count: int, idle: float) -> Tree:
    """One list: alone for its time and memory, then with small calls beside it for what those wait."""
    machine.reset_peak(pid)
    alone = [caller.convert(body, count) for _ in range(_REPEATS)]
    peak = machine.usage(pid).peak_rss
    with small_calls(caller) as beside:
        for _ in range(_REPEATS):
            caller.convert(body, count)
    return {
        "objects": count,
        "review_mb": round(len(body) / 1e6, 1),
        "slowest_ms": _milliseconds(max(alone)),
        "small_call_beside_max_ms": _milliseconds(max(beside)),
        "small_calls_beside": len(beside),
        "peak_memory_mb": round(peak, 1),
        "memory_by_review": round((peak - idle) * 1024 * 1024 / len(body), 2),
    }


class Caller:
    """One kept connection. Entering connects; failures are exceptions, since a failed conversion leaves nothing to time."""

    def __init__(self, port: int, ca: Path) -> None:
        self.port = port
        self.ca = ca
        context = ssl.create_default_context(cafile=ca)
        self._connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=_TIMEOUT)

    def __enter__(self) -> Self:
        self._connection.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The next call connects anew."""
        self._connection.close()

    def convert(self, body: bytes, objects: int) -> float:
        """Seconds from the first byte sent to the last one received. Raises ValueError for any other answer than success."""
        started = perf_counter()
        self._connection.request("POST", CONVERT, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        took = perf_counter() - started
        if answer.status != http.client.OK:
            raise ValueError(f"a review was answered with {answer.status}: {text[:200]!r}")
        response = _decoder.decode(text).response
        if response.result.get("status") != "Success" or len(response.convertedObjects) != objects:
            raise ValueError(f"the conversion of {objects} objects failed: {response.result}")
        return took


@contextmanager
def small_calls(caller: Caller) -> Iterator[list[float]]:
    """A process of its own calls with small objects while inside; the list holds the seconds of each afterwards."""
    ours, theirs = multiprocessing.Pipe()
    # Not forked: this process has threads and a loop.
    spawned = multiprocessing.get_context("spawn").Process(
        target=_call_until_told, args=(theirs, caller.port, caller.ca), daemon=True
    )
    spawned.start()
    seconds: list[float] = []
    try:
        ours.recv()
        yield seconds
        ours.send(None)
        seconds += ours.recv()
    finally:
        ours.close()
        spawned.join(_TIMEOUT)


def _call_until_told(told: Connection, port: int, ca: Path) -> None:
    small = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "LLMInferenceService",
        "metadata": {"name": "a"},
    }
    body = envelope(json.dumps(small).encode(), 1)
    seconds = []
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        machine.put_first(0, priority=2)  # the other client's own work is none of the server's
    with Caller(port, ca) as caller:
        caller.convert(body, 1)
        told.send(None)
        while not told.poll():
            seconds.append(caller.convert(body, 1))
            sleep(_PAUSE)
    told.send(seconds)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1e3, 2)
