"""`python -m bench storm`: a whole fleet is created at once; how long until every service is migrated, and at what cost?

The controller is a process of its own (`aioctl run`), so are cluster, players and readers; everything is measured from
outside: times by watching routes and services, calls and conversions by the API server's counters, CPU and memory by
/proc. Half of the fleet is v1alpha1.
"""

import argparse
from collections.abc import Callable, Coroutine, Mapping
from time import monotonic
from typing import Any, Final

import anyio
import httpx

from aioctl.histogram import quantile as histogram_quantile
from aioctl.kube.client import Client
from aioctl.sim import fleet
from bench import bar, ending, machine, readers, report
from bench.counts import WRITES, Counting, Counts, Series, metrics_page, summed_buckets, total
from bench.report import Plot
from bench.scenario import Expectation, Parameter, Result, Scenario, at
from bench.stage import Stage, parameters, stage, until_still
from bench.witness import Witness


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


async def _run(options: argparse.Namespace) -> Result:
    async with stage(options) as place, place.controller() as pid:
        await place.presets()
        await until_still(place.counting)
        result, _ = await storm(place, pid, lambda client, witness: create_fleet(client, witness, options))
        return result


async def storm(place: Stage, pid: int, creating: "Creating") -> tuple[Result, Witness]:
    """One fleet, created as `creating` does it, and the witness who saw it."""
    options = place.options
    witness = Witness(options.services)
    figures: dict[str, Any] = place.about()
    url = place.ports.metrics_page
    async with anyio.create_task_group() as group:
        group.start_soon(witness.run, place.client)
        counted, used, page = await _readings(place.counting, place.http, url, pid)
        place.measuring.restart()
        async with (
            place.sampled(pid) as sampler,
            readers.waves(place, getattr(options, "readers", 0)) as read,
        ):
            began = monotonic()
            group.start_soon(creating, place.client, witness)
            progress = bar.shown("migrated", lambda: len(witness.migrated), options.services)
            with progress, anyio.move_on_after(options.timeout):
                await witness.wait_migrated()
                used_migrated = machine.usage(pid).cpu - used.cpu
                await witness.wait_ready()
            took = monotonic() - began
        measured = place.measuring.summary(options.services, len(witness.ready))
        await until_still(place.counting, options.services)
        counted_after, used_after, page_after = await _readings(place.counting, place.http, url, pid)
        if read:
            figures["readers"] = read
        figures["took_s"] = round(took, 2)
        figures["migrated"] = _times(witness, witness.migrated, began)
        figures["ready"] = _times(witness, witness.ready, began)
        figures["services_lost"] = options.services - len(witness.migrated)
        figures |= _costs(options.services, counted_after - counted, page, page_after)
        figures["conversions"] |= await place.counting.conversion_seconds(counted_after - counted)
        figures["cpu_s"] = round(used_after.cpu - used.cpu, 2)
        figures["cpu_s_per_service"] = round((used_after.cpu - used.cpu) / options.services, 4)
        if len(witness.migrated) == options.services:
            figures["cpu_s_until_migrated"] = round(used_migrated, 2)
        figures["memory_mb"] = {"before": round(used.rss, 1), "peak": round(used_after.peak_rss, 1)}
        if place.arena.simulated:
            figures["data_plane"] = await _data_plane(place.http, place.arena.simulated)
        if quiet := getattr(options, "quiet", 0.0):
            await anyio.sleep(quiet)
            after = (await place.counting.read()) - counted_after
            figures["quiet"] = {"seconds": quiet, "writes": after.writes, "calls": _top(after)}
        group.cancel_scope.cancel()
    plots = [*sampler.plots(), *_distributions(witness, page, page_after)]
    return Result(figures, _table(figures), plots, measured | sampler.measuring()), witness


async def create_fleet(client: Client, witness: Witness, options: argparse.Namespace) -> None:
    """Creates services as fast as the API server takes them. Raises KubeError."""
    await fleet.create(client, fleet.services(options.services, seed=options.seed), starting=witness.starts)


def _distributions(witness: Witness, before: Series, after: Series) -> list[Plot]:
    """Latencies: of services as the witness saw them, of conversions as the webhook's histogram has them."""
    seconds = {
        "migrated": witness.seconds_to(witness.migrated),
        "Ready": witness.seconds_to(witness.ready),
    }
    plots = [report.quantiles("Seconds from the creation of a service to", "seconds", seconds)]
    took = summed_buckets(after, "aioctl_conversion_duration_seconds", before)
    if took and took[-1][1]:
        shares = [1, *range(5, 100, 5), 99, 99.9]
        line = [round(histogram_quantile(share / 100, took) * 1e3, 3) for share in shares]
        plots.append(
            Plot("Conversions, by the webhook's clock", report.SHARES, "ms", shares, {"conversion": line})
        )
    return plots


def _lost_for_nothing(result: Mapping[str, Any]) -> float:
    """A real cluster has no data plane of ours that counts."""
    return float(result.get("data_plane", {}).get("lost_for_nothing", 0))


Creating = Callable[[Client, Witness], Coroutine[Any, Any, None]]

FLEET: Final = (
    Expectation("services that did not migrate", at("services_lost"), 0),
    Expectation("conversions that failed", at("conversions", "failures"), 0),
    Expectation("requests that the data plane lost for nothing", _lost_for_nothing, 0),
    Expectation("observations that the witness missed", at("measuring", "observations_missed"), 0),
)
"""What holds of every fleet, however it comes."""


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
        (
            name.replace("_", " "),
            ", ".join(
                f"{key} {value}" for key, value in result[name].items() if key != "seconds" or name == "quiet"
            ),
        )
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


SCENARIO: Final = Scenario(
    name="storm",
    what="a fleet is created at once, until all of it is migrated and Ready",
    measures="seconds from each creation to migrated and Ready, API calls, conversions and CPU per service, memory.",
    judged_by="the client's own load and lateness, services that the witness did not see, looks at the controller that failed.",
    run=run,
    parameters=[
        *parameters(services=300),
        Parameter("readers", 0, "reads in v1alpha1 at once, in waves", least=0),
        Parameter("quiet", 0.0, "seconds of watching afterwards for writes", least=0),
    ],
    seed=0,
    expectations=FLEET,
    has_versus=True,
)
