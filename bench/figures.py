"""The figures that were promised, where each is found in the results of `python -m bench all`, and its bound.

A figure is judged on the number itself, never on a rounded one; one whose run is missing counts as missed. Bounds are counts,
sizes and ratios: a time is divided by the work unit that was measured beside it in the same run (`bench.reference`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aioctl.settings import Settings
from bench.scenario import Unit

_PLAYERS_DELAY = 1.0
"""Seconds until the gateway answers, as `bench.stage` has it."""

Results = Mapping[str, Mapping[str, Any]]
"""By name of the run."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`run` names where it is measured; `bound` is an upper one unless `at_least`."""

    what: str
    run: str
    measure: Callable[[Results], float]
    bound: float
    unit: Unit = Unit.COUNT
    at_least: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value` is None when the run gave none."""

    figure: Figure
    value: float | None

    @property
    def good(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.figure.bound if self.figure.at_least else self.value <= self.figure.bound


def _at(run: str, *path: str | int) -> Callable[[Results], float]:
    def measure(results: Results) -> float:
        found: Any = results[run]
        for step in path:
            found = found[step]
        return float(found)

    return measure


def _units(
    measure: Callable[[Results], float], run: str, *, scale: float = 1.0
) -> Callable[[Results], float]:
    """Seconds (milliseconds with a scale of 1e-3) by the work unit of that run."""
    return lambda results: measure(results) * scale / float(results[run]["reference"]["unit_s"])


def _beyond_pacing(run: str, what: str) -> Callable[[Results], float]:
    """What a fleet took longer, in work units, than the pacing of its pools and the players' delay alone: those are the same
    on any machine."""

    def measure(results: Results) -> float:
        result = results[run]
        rate = float(
            result["settings"].get(
                "AIOCTL_POOL_CREATE_RATE", Settings.model_fields["pool_create_rate"].default
            )
        )
        paced = 2 * int(result["services"]) / rate + _PLAYERS_DELAY
        return (float(result[what]["all_s"]) - paced) / float(result["reference"]["unit_s"])

    return measure


def _missing(run: str, what: str) -> Callable[[Results], float]:
    """Services that did not get there."""
    return lambda results: results[run]["services"] - results[run][what]["count"]


def _rate(results: Results) -> float:
    """Services in the time of a thousand work units."""
    run = results["real-unpaced"]
    return float(run["migrated"]["count"] / run["migrated"]["all_s"] * 1000 * run["reference"]["unit_s"])


def _longer(results: Results) -> float:
    return float(results["stagger-100"]["migrated"]["all_s"] - results["stagger-0"]["migrated"]["all_s"])


def _growth(*path: str) -> Callable[[Results], float]:
    """Per cent by which a thousand services cost more each than a hundred."""
    return lambda results: (_at("scale-1000", *path)(results) / _at("scale-100", *path)(results) - 1) * 100


def _worst(what: str) -> Callable[[Results], float]:
    """Over all attacks."""
    return lambda results: max(float(each[what]) for each in results["strangers"]["attacks"].values())


def _lost(results: Results) -> float:
    """Over all storms on the simulated cluster, which has a data plane."""
    storms = ("burst", "stagger-0", "stagger-100", "scale-100", "scale-1000")
    return float(sum(results[run]["data_plane"]["lost_for_nothing"] for run in storms))


FIGURES: tuple[Figure, ...] = (
    Figure("60 services on a real API server: not migrated", "real", _missing("real", "migrated"), 0),
    Figure("the same: not Ready", "real", _missing("real", "ready"), 0),
    Figure("the same: until all are migrated, beyond the pacing", "real", _beyond_pacing("real", "migrated"), 13_000, Unit.WORK_UNITS),
    Figure("the same: until all are Ready, beyond the pacing", "real", _beyond_pacing("real", "ready"), 13_000, Unit.WORK_UNITS),
    Figure(
        "conversions p99, as the API server sees them",
        "real",
        _units(_at("real", "conversions", "p99"), "real"),
        50,
        Unit.WORK_UNITS,
    ),
    Figure(
        "conversions p99, as the webhook sees them",
        "real",
        _units(_at("real", "conversions", "webhook_p99_s"), "real"),
        50,
        Unit.WORK_UNITS,
    ),
    Figure("conversions that failed", "real", _at("real", "conversions", "failures"), 0),
    Figure("conversions per service", "real", _at("real", "conversions", "per_service"), 6),
    Figure(
        "API calls per service, without events", "real", _at("real", "calls_per_service", "without_events"), 26
    ),
    Figure("API calls per service, with events", "real", _at("real", "calls_per_service", "with_events"), 40),
    Figure("CPU per service", "real", _units(_at("real", "cpu_s_per_service"), "real"), 120, Unit.WORK_UNITS),
    Figure("writes in the quiet minute after", "real", _at("real", "quiet", "writes"), 0),
    Figure("services migrated without pacing", "real-unpaced", _rate, 4, Unit.PER_WORK_UNIT, at_least=True),
    Figure(
        "300 services, 700 readers at once: conversions in flight",
        "burst",
        _at("burst", "conversions", "max_in_flight"),
        700,
        at_least=True,
    ),
    Figure("the same: conversions that failed", "burst", _at("burst", "conversions", "failures"), 0),
    Figure("the same: reads that failed", "burst", _at("burst", "readers", "failures"), 0),
    Figure("the same: slowest conversion, as the API server sees it", "burst", _units(_at("burst", "conversions", "max"), "burst"), 2000, Unit.WORK_UNITS),
    Figure(
        "the same: conversions p99, as the webhook sees them",
        "burst",
        _units(_at("burst", "conversions", "webhook_p99_s"), "burst"),
        2000,
        Unit.WORK_UNITS,
    ),
    Figure("the same: not migrated", "burst", _missing("burst", "migrated"), 0),
    Figure("300 services: longer for a stagger of 100 ms", "stagger-100", _units(_longer, "stagger-100"), 2500, Unit.WORK_UNITS),
    Figure(
        "CPU per service, 1,000 against 100 services", "scale-1000", _growth("cpu_s_per_service"), 20, Unit.MORE
    ),
    Figure(
        "API calls per service, 1,000 against 100 services",
        "scale-1000",
        _growth("calls_per_service", "without_events"),
        20,
        Unit.MORE,
    ),
    Figure("requests that the data plane lost for nothing, all storms", "burst", _lost, 0),
    Figure("plan of one service with all children, median", "plan", _units(_at("plan", "fresh", "plan", "median_ms"), "plan", scale=1e-3), 3, Unit.WORK_UNITS),
    Figure("plan of a settled service, median", "plan", _units(_at("plan", "settled", "plan", "median_ms"), "plan", scale=1e-3), 3, Unit.WORK_UNITS),
    Figure(
        "memory of 1,000 cached services beyond idle, after their storm",
        "memory",
        _at("memory", "beyond_idle_mb", "after_the_storm"),
        150,
        Unit.MEGABYTES,
    ),
    Figure(
        "the same of a controller started on them",
        "memory",
        _at("memory", "beyond_idle_mb", "started_on_the_fleet"),
        150,
        Unit.MEGABYTES,
    ),
    Figure("what that one writes", "memory", _at("memory", "writes_of_the_second"), 0),
    Figure("losses in 100,000 conversions", "convert", _at("convert", "losses", "losses"), 0),
    Figure("conversion of one object over TLS, p99", "convert", _units(_at("convert", "server", "one_object", "p99_ms"), "convert", scale=1e-3), 10, Unit.WORK_UNITS),
    Figure(
        "list of 1,500 objects of 10 kB, slowest of 3",
        "convert",
        _units(_at("convert", "server", "lists", 0, "slowest_ms"), "convert", scale=1e-3),
        300,
        Unit.WORK_UNITS,
    ),
    Figure(
        "list of 10,000 objects of 10 kB, slowest of 3",
        "convert",
        _units(_at("convert", "server", "lists", 1, "slowest_ms"), "convert", scale=1e-3),
        2000,
        Unit.WORK_UNITS,
    ),
    Figure(
        "longest wait of a small call beside the latter",
        "convert",
        _units(_at("convert", "server", "lists", 1, "small_call_beside_max_ms"), "convert", scale=1e-3),
        150,
        Unit.WORK_UNITS,
    ),
    Figure(
        "peak memory by size of the review",
        "convert",
        _at("convert", "server", "lists", 1, "memory_by_review"),
        4,
        Unit.TIMES,
    ),
    Figure("beside any attack of strangers: calls that failed", "strangers", _worst("failed"), 0),
    Figure("the same: p99 of a client that behaves", "strangers", _units(_worst("p99_ms"), "strangers", scale=1e-3), 1000, Unit.WORK_UNITS),
    Figure("the same: peak memory of the controller", "strangers", _worst("peak_memory_mb"), 512, Unit.MEGABYTES),
)  # fmt: skip


def judge(results: Results) -> list[Comparison]:
    """Every figure, in the order of the list."""
    return [Comparison(figure, _value(figure, results)) for figure in FIGURES]


def _value(figure: Figure, results: Results) -> float | None:
    try:
        return figure.measure(results)
    except (KeyError, IndexError, ZeroDivisionError):
        return None


def markdown(verdicts: Iterable[Comparison]) -> str:
    """The table of docs/benchmarks.md."""
    lines = ["| Figure | Run | Bound | Measured | |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        figure = verdict.figure
        bound = f"{'≥' if figure.at_least else '≤'} {figure.bound:g} {figure.unit}".strip()
        measured = "no result" if verdict.value is None else f"{_shown(verdict.value)} {figure.unit}".strip()
        lines.append(
            f"| {figure.what} | {figure.run} | {bound} | {measured} | {'met' if verdict.good else '**missed**'} |"
        )
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
