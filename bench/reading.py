"""Two scenarios of clients that read in the old version on a settled fleet, all at the same moment, in waves.

`python -m bench burst-convert`: each reads one service, so that as many reviews of one object arrive at once.
`python -m bench list-convert`: each lists all, as they are stored, in one review.
"""

import argparse
from functools import partial
from typing import Any, Final

import anyio

from aioctl.histogram import quantile
from bench import ending, machine, readers, report
from bench.counts import metrics_page, summed_buckets, total
from bench.scenario import CannotRun, Expectation, Parameter, Result, Scenario, Unit, at, in_units
from bench.stage import Stage, parameters, stage

_DURATION: Final = "aioctl_conversion_duration_seconds"


def run(options: argparse.Namespace, *, lists: bool) -> Result:
    return ending.run(partial(_run, options, lists=lists))


async def _run(options: argparse.Namespace, *, lists: bool) -> Result:
    async with stage(options) as place, place.controller() as pid:
        await place.settled(options.services)
        before, page = await place.counting.read(), await metrics_page(place.http, place.ports.metrics_page)
        used = machine.reset_peak(pid)
        place.measuring.restart()
        async with place.sampled(pid) as sampler:
            waves = readers.waves(place, options.at_once, lists=lists, pause=options.pause)
            async with waves as read:
                await anyio.sleep(options.seconds)
            measured = place.measuring.summary(options.at_once * int(read["waves"]), int(read["reads"]))
        usage = machine.usage(pid)
        after = await metrics_page(place.http, place.ports.metrics_page)
        counted = await place.counting.read() - before
        took = summed_buckets(after, _DURATION, page)
        lag = summed_buckets(after, "aioctl_event_loop_lag_seconds", page)
        objects = int(total(after, _OBJECTS) - total(page, _OBJECTS))
        if not objects:
            raise CannotRun(
                "the API server had nothing converted: it answers these reads out of its cache, as kube-apiserver 1.34 does even"
                " with lists of an exact version; the embedded cluster reads what is stored"
            )
        seconds = [float(each) for each in read.pop("seconds")]
        figures: dict[str, Any] = place.about() | {
            "reads": read,
            "conversions": {
                "count": counted.conversions,
                "failures": counted.conversion_failures,
                "objects": objects,
                "webhook_p50_s": round(quantile(0.5, took), 5),
                "webhook_p99_s": round(quantile(0.99, took), 5),
                **await place.counting.conversion_seconds(counted),
            },
            "cpu_s": round(usage.cpu - used.cpu, 2),
            "cpu_ms_per_object": round((usage.cpu - used.cpu) / objects * 1e3, 4) if objects else None,
            "loop_lag_p99_s": round(quantile(0.99, lag), 4),
            "memory_mb": {"before": round(used.rss, 1), "peak": round(usage.peak_rss, 1)},
        }
    plots = [
        *sampler.plots(),
        report.quantiles("A read, as its client sees it", "seconds", {"read": seconds}),
    ]
    return Result(figures, _rows(place, figures), plots, measured | sampler.measuring())


_OBJECTS: Final = "aioctl_conversion_review_objects_sum"


def _rows(place: Stage, figures: dict[str, Any]) -> list[report.Row]:
    reads, conversions = figures["reads"], figures["conversions"]
    return [
        ("services", f"{figures['services']} on {place.arena.name}"),
        ("reads", f"{reads['reads']} in {reads['waves']} waves, {reads['failures']} failed"),
        ("  seen by their clients", f"p50 {reads['p50_s']} s, p99 {reads['p99_s']} s, max {reads['max_s']} s"),
        ("conversions", f"{conversions['count']} of {conversions['objects']} objects, {conversions['failures']} failed"),
        ("  seen by the webhook", f"p50 {conversions['webhook_p50_s']} s, p99 {conversions['webhook_p99_s']} s"),
        ("CPU", f"{figures['cpu_ms_per_object']} ms an object, {figures['cpu_s']} s in all"),
        ("event loop lag", f"p99 {figures['loop_lag_p99_s']} s"),
        ("memory", f"{figures['memory_mb']['before']} MB before, peak {figures['memory_mb']['peak']} MB"),
    ]  # fmt: skip


_EXPECTED: Final = (
    Expectation("reads that failed", at("reads", "failures"), 0),
    Expectation("conversions that failed", at("conversions", "failures"), 0),
    Expectation("reads of a wave that did not end", at("measuring", "observations_missed"), 0),
    Expectation("CPU of an object", in_units(at("cpu_ms_per_object"), scale=1e-3), 10, Unit.WORK_UNITS),
    Expectation("p99 of the event loop's lag", in_units(at("loop_lag_p99_s")), 500, Unit.WORK_UNITS),
)
_JUDGED: Final = "the readers are a process of their own, whose load is shown; reads that did not end; waves that were seen through."

BURST: Final = Scenario(
    name="burst-convert",
    what="hundreds of clients read one service each in the old version at the same moment, in waves",
    measures="seconds of each read and each conversion, CPU of an object, conversions in flight, loop lag, memory.",
    judged_by=_JUDGED,
    run=partial(run, lists=False),
    parameters=[
        *parameters(services=300),
        Parameter("at-once", 720, "readers of a wave", least=1),
        Parameter("seconds", 20.0, "for so long", least=1),
        Parameter("pause", 5.0, "seconds between two waves", least=0),
    ],
    seed=0,
    expectations=_EXPECTED,
    has_versus=True,
)
LISTS: Final = Scenario(
    name="list-convert",
    what="clients list all stored services in the old version at the same moment, in waves",
    measures="seconds of each list and each conversion, CPU of an object, loop lag, memory.",
    judged_by=_JUDGED,
    run=partial(run, lists=True),
    parameters=[
        *parameters(services=300),
        Parameter("at-once", 8, "listing clients of a wave", least=1),
        Parameter("seconds", 20.0, "for so long", least=1),
        Parameter("pause", 1.0, "seconds between two waves", least=0),
    ],
    seed=0,
    expectations=_EXPECTED,
    has_versus=True,
)
