"""`python -m bench storm`: a whole fleet is created at once; how long until every service is migrated, and at what cost?

The controller is a process of its own (`aioctl run`), so are cluster, players and readers; everything is measured from
outside: times by watching routes and services, calls and conversions by the API server's counters, CPU and memory by
/proc. Half of the fleet is v1alpha1.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import anyio
import httpx

from aioctl import logs
from aioctl.demo import processes
from aioctl.histogram import quantile as histogram_quantile
from aioctl.kube.client import Client
from aioctl.settings import LogFormat, LogLevel
from aioctl.sim import fleet
from bench import clusters, machine, report
from bench.counts import WRITES, Counting, Counts, Series, metrics_page, summed_buckets, total
from bench.witness import Witness

_STILL = 3.0
"""Seconds without a call after which the storm is over: events are written behind the work."""
_STILL_DEADLINE = 600.0
"""Seconds: a thousand services make 19,000 events, and a hundred are written in a second."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench storm", description=__doc__)
    parser.add_argument("--services", type=int, default=300)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--kubeconfig", type=Path, help="an API server of yours, made for this")
    where.add_argument("--real", action="store_true", help="start a kube-apiserver and an etcd for this run")
    parser.add_argument("--stagger", type=float, help="AIOCTL_POOL_STAGGER (seconds)")
    parser.add_argument("--rate", type=float, help="AIOCTL_POOL_CREATE_RATE (per second, 0: unlimited)")
    parser.add_argument("--workers", type=int, help="AIOCTL_WORKERS")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any other variable")
    parser.add_argument("--gateway-delay", type=float, default=1.0)
    parser.add_argument("--workload-delay", type=float, default=1.0)
    parser.add_argument(
        "--one-core", action="store_true", help="one processor for the controller; the rest may use all"
    )
    parser.add_argument(
        "--readers", type=int, default=0, metavar="N", help="reads in v1alpha1 at once, in waves"
    )
    parser.add_argument(
        "--first-on-core",
        action="store_true",
        help="and goes before everything else there (needs root): for a machine that is busy with other things",
    )
    parser.add_argument("--quiet", type=float, default=0.0, help="seconds of watching afterwards for writes")
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--profile", type=Path, metavar="FILE", help="run the controller under cProfile")
    parser.add_argument("--keep-log", type=Path, metavar="FILE", help="copy the controller's log there")
    report.add_option(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Exit code 1 when a service was not migrated, a conversion failed or the data plane lost a request."""
    options = arguments(argv)
    logs.configure(LogLevel.ERROR, LogFormat.CONSOLE)
    about = {"command": " ".join(["python -m bench storm", *argv]), "machine": machine.describe()}
    result = {**about, **anyio.run(run, options)}
    report.give("storm", result, options.json, _table(result))
    lost = result.get("data_plane", {}).get("lost_for_nothing", 0)
    good = (
        result["migrated"]["count"] == options.services and not result["conversions"]["failures"] and not lost
    )
    return 0 if good else 1


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """One storm; the result is JSON. Raises StageError and NotAvailable when there is nothing to run it on."""
    ports = processes.Ports.free()
    core = max(os.sched_getaffinity(0)) if options.one_core else None
    players = clusters.Players(options.gateway_delay, options.workload_delay)
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as name:
        folder = Path(name)
        certificates = processes.write_certificates(folder)
        opened = _arena(options, folder, ports, certificates, players)
        async with opened as place, clusters.client_for(place.kubeconfig) as client:
            starting = processes.controller(
                folder,
                ports,
                certificates,
                place.kubeconfig,
                _settings(options),
                core=core,
                interpreter=["-m", "cProfile", "-o", str(options.profile)] if options.profile else [],
            )
            async with starting as pid:
                if options.first_on_core:
                    machine.put_first(pid)
                await processes.install_presets(client)
                await until_still(place.counting)
                result = await _storm(options, place, client, pid, ports.metrics_page, folder)
        if options.keep_log:
            options.keep_log.write_bytes((folder / "controller.log").read_bytes())
    return result


def _arena(
    options: argparse.Namespace,
    folder: Path,
    ports: processes.Ports,
    certificates: Path,
    players: clusters.Players,
) -> contextlib.AbstractAsyncContextManager[clusters.Arena]:
    if options.real:
        return clusters.real(folder, ports, certificates, players)
    if options.kubeconfig:
        return clusters.given(folder, ports, certificates, players, options.kubeconfig)
    return clusters.simulated(folder, ports, certificates, players)


def _settings(options: argparse.Namespace) -> dict[str, str]:
    given = {
        "AIOCTL_POOL_STAGGER": options.stagger,
        "AIOCTL_POOL_CREATE_RATE": options.rate,
        "AIOCTL_WORKERS": options.workers,
    }
    named = dict(item.split("=", 1) for item in options.set)
    return {name: str(value) for name, value in given.items() if value is not None} | named


async def _storm(
    options: argparse.Namespace, place: clusters.Arena, client: Client, pid: int, page_url: str, folder: Path
) -> dict[str, Any]:
    witness = Witness(options.services)
    result: dict[str, Any] = {
        "on": place.name,
        "services": options.services,
        "one_core": options.one_core,
        "first_on_core": options.first_on_core,
        "settings": _settings(options),
    }
    async with httpx.AsyncClient() as http, anyio.create_task_group() as group:
        group.start_soon(witness.run, client)
        counted, used, page = await _readings(place.counting, http, page_url, pid)
        async with _readers(options, place, folder, result):
            began = monotonic()
            group.start_soon(create_fleet, client, witness, options.services)
            with anyio.move_on_after(options.timeout):
                await witness.wait_migrated()
                used_migrated = machine.usage(pid).cpu - used.cpu
                await witness.wait_ready()
        took = monotonic() - began
        await until_still(place.counting)
        counted_after, used_after, page_after = await _readings(place.counting, http, page_url, pid)
        result["took_s"] = round(took, 2)
        result["migrated"] = _times(witness, witness.migrated, began)
        result["ready"] = _times(witness, witness.ready, began)
        result |= _costs(options.services, counted_after - counted, page, page_after)
        result["conversions"] |= await place.counting.conversion_seconds(counted_after - counted)
        result["cpu_s"] = round(used_after.cpu - used.cpu, 2)
        result["cpu_s_per_service"] = round((used_after.cpu - used.cpu) / options.services, 4)
        if len(witness.migrated) == options.services:
            result["cpu_s_until_migrated"] = round(used_migrated, 2)
        result["memory_mb"] = {"before": round(used.rss, 1), "peak": round(used_after.peak_rss, 1)}
        if place.simulated:
            result["data_plane"] = await _data_plane(http, place.simulated)
        if options.quiet:
            await anyio.sleep(options.quiet)
            quiet = (await place.counting.read()) - counted_after
            result["quiet"] = {"seconds": options.quiet, "writes": quiet.writes, "calls": _top(quiet)}
        group.cancel_scope.cancel()
    return result


async def create_fleet(client: Client, witness: Witness, count: int) -> None:
    """Creates services as fast as the API server takes them. Raises KubeError."""
    await fleet.create(client, fleet.services(count), starting=witness.starts)


@asynccontextmanager
async def _readers(
    options: argparse.Namespace, place: clusters.Arena, folder: Path, result: dict[str, Any]
) -> AsyncIterator[None]:
    if not options.readers:
        yield
        return
    command = [sys.executable, "-m", "bench.readers", "--kubeconfig", str(place.kubeconfig)]
    async with processes.process("readers", [*command, "--at-once", str(options.readers)], folder) as child:
        yield
        if child.stdin is not None:
            await child.stdin.aclose()
        said = b"".join([piece async for piece in child.stdout]) if child.stdout is not None else b"{}"
    result["readers"] = json.loads(said)


async def until_still(counting: Counting) -> None:
    """Until the controller has not written for a while. Raises TimeoutError when it does not stop."""
    with anyio.fail_after(_STILL_DEADLINE):
        before = (await counting.read()).writes
        while True:
            await anyio.sleep(_STILL)
            now = (await counting.read()).writes
            if now == before:
                return
            before = now


async def _readings(
    counting: Counting, http: httpx.AsyncClient, url: str, pid: int
) -> tuple[Counts, machine.Usage, Series]:
    return await counting.read(), machine.usage(pid), await metrics_page(http, url)


def _times(witness: Witness, moments: dict[Any, float], began: float) -> dict[str, Any]:
    seconds = witness.seconds_to(moments)
    return {
        "count": len(moments),
        "p50_s": round(machine.quantile(seconds, 0.5), 2),
        "p99_s": round(machine.quantile(seconds, 0.99), 2),
        "all_s": round(max(moments.values(), default=began) - began, 2),
    }


def _costs(services: int, counts: Counts, before: Series, after: Series) -> dict[str, Any]:
    def grown(name: str) -> float:
        return total(after, name) - total(before, name)

    lag = summed_buckets(after, "aioctl_event_loop_lag_seconds", before)
    took = summed_buckets(after, "aioctl_conversion_duration_seconds", before)
    calls = sum(counts.calls.values())
    return {
        "conversions": {
            "count": counts.conversions,
            "per_service": round(counts.conversions / services, 2),
            "failures": counts.conversion_failures,
            "webhook_count": round(grown("aioctl_conversion_duration_seconds_count")),
            "webhook_p50_s": round(histogram_quantile(0.5, took), 5),
            "webhook_p99_s": round(histogram_quantile(0.99, took), 5),
        },
        "calls_per_service": {
            "without_events": round((calls - counts.events) / services, 2),
            "with_events": round(calls / services, 2),
            "by_verb": {verb: round(count / services, 2) for verb, count in counts.by_verb().items()},
            "by_resource": _top(counts, services),
        },
        "reconciles_per_service": round(grown("controller_runtime_reconcile_total") / services, 2),
        "reconcile_errors": round(grown("controller_runtime_reconcile_errors_total")),
        "events_dropped": round(grown("aioctl_events_dropped_total")),
        "loop_lag_p99_s": round(histogram_quantile(0.99, lag), 4),
    }


def _top(counts: Counts, services: int = 1) -> dict[str, float]:
    shown = sorted(counts.calls.items(), key=lambda item: (item[0][0] not in WRITES, -item[1]))
    return {f"{verb} {resource}": round(count / services, 2) for (verb, resource), count in shown}


async def _data_plane(http: httpx.AsyncClient, server: str) -> dict[str, Any]:
    found = (await http.get(f"{server}/sim/dataplane", timeout=30)).raise_for_status().json()
    whole = found["total"]
    return {
        "services": found["services"],
        "serving": found["serving"],
        "served": whole["served"],
        "lost_for_nothing": whole["lost_for_nothing"],
        "lost_samples": whole["lost_samples"],
        "bad_moves": len(whole["bad_moves"]),
    }


def _table(result: dict[str, Any]) -> list[report.Row]:
    migrated, ready, conversions = result["migrated"], result["ready"], result["conversions"]
    calls = result["calls_per_service"]
    rows: list[report.Row] = [
        ("services", f"{result['services']} on {result['on']}"),
        ("migrated", f"{migrated['count']}, p50 {migrated['p50_s']} s, p99 {migrated['p99_s']} s, all {migrated['all_s']} s"),
        ("ready", f"{ready['count']}, p50 {ready['p50_s']} s, p99 {ready['p99_s']} s, all {ready['all_s']} s"),
        ("conversions", f"{conversions['count']}, {conversions['per_service']} per service, {conversions['failures']} failed"),
        ("  seen by the API server", _spread(conversions)),
        ("  seen by the webhook", f"p50 {conversions['webhook_p50_s'] * 1e3:.1f} ms, p99 {conversions['webhook_p99_s'] * 1e3:.1f} ms"),
        ("calls per service", f"{calls['without_events']}, with events {calls['with_events']}"),
        *((f"  {name}", f"{count}") for name, count in calls["by_resource"].items() if count >= 0.05),
        ("reconciles per service", f"{result['reconciles_per_service']}, {result['reconcile_errors']} errors in all"),
        ("CPU", f"{result['cpu_s_per_service']} s per service, {result['cpu_s']} s in all"),
        ("event loop lag", f"p99 {result['loop_lag_p99_s'] * 1e3:.1f} ms"),
        ("memory", f"{result['memory_mb']['before']} MB before, peak {result['memory_mb']['peak']} MB"),
    ]  # fmt: skip
    rows += [
        (name.replace("_", " "), ", ".join(f"{key} {value}" for key, value in result[name].items()))
        for name in ("data_plane", "readers", "quiet")
        if name in result
    ]
    return rows


def _spread(conversions: Mapping[str, Any]) -> str:
    parts = [
        f"{name} {conversions[name] * 1e3:.1f} ms" for name in ("p50", "p99", "max") if name in conversions
    ]
    if "max_in_flight" in conversions:
        parts.append(f"at most {conversions['max_in_flight']} in flight")
    return ", ".join(parts)
