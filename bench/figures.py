"""The figures that were promised, where each is found in the results of `python -m bench all`, and its bound.

A figure is judged on the number itself, never on a rounded one; one whose run is missing counts as missed. Bounds are counts,
sizes and ratios: a time is divided by the work unit that was measured beside it in the same run (`bench.reference`).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aioctl.settings import Settings
from bench.scenario import Unit, at, in_units

_MANY: Final = 1000
"""Work units in which a rate is counted."""
_PLAYERS_DELAY: Final = 1.0
"""Seconds until the gateway answers, as `bench.stage` has it."""

Results = Mapping[str, Mapping[str, Any]]
"""By name of the run."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`run` names where it is measured; `bound` is an upper one unless `at_least`. What is judged in work units is measured in
    seconds, or per second."""

    what: str
    run: str
    measure: Callable[[Results], float]
    bound: float
    unit: Unit = Unit.COUNT
    at_least: bool = False

    @property
    def is_time(self) -> bool:
        return self.unit in (Unit.WORK_UNITS, Unit.PER_WORK_UNIT)

    def judged(self, results: Results) -> float:
        """The number that keeps to the bound or does not. Raises KeyError, IndexError, ZeroDivisionError without a result."""
        measured = self.measure(results)
        if not self.is_time:
            return measured
        seconds = float(results[self.run]["reference"]["unit_s"])
        return measured / seconds if self.unit is Unit.WORK_UNITS else measured * seconds * _MANY


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value` is None when the run gave none, `measured` (in seconds where the figure is a time) too."""

    figure: Figure
    value: float | None
    measured: float | None = None

    @property
    def good(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.figure.bound if self.figure.at_least else self.value <= self.figure.bound

    @property
    def shown(self) -> str:
        """For people; of times the absolute figure stands beside, which is not judged."""
        if self.value is None:
            why = "no work unit in that run" if self.measured is not None else "no result"
        else:
            why = f"{_rounded(self.value)} {self.figure.unit}".strip()
        return (
            f"{why} ({_time(self.measured, self.figure.unit)})"
            if self.figure.is_time and self.measured is not None
            else why
        )

    @property
    def verdict(self) -> str:
        """A time of a run beside which no unit was measured cannot be judged; neither can what was not measured. None is good."""
        if self.value is None:
            return "not measured" if self.measured is None else "not judged"
        return "met" if self.good else "**missed**"


def _at(run: str, *path: str | int) -> Callable[[Results], float]:
    def measure(results: Results) -> float:
        found: Any = results[run]
        for step in path:
            found = found[step]
        return float(found)

    return measure


def _milliseconds(measure: Callable[[Results], float]) -> Callable[[Results], float]:
    """As seconds."""
    return lambda results: measure(results) * 1e-3


def _beyond_pacing(run: str, what: str) -> Callable[[Results], float]:
    """Seconds that a fleet took longer than the pacing of its pools and the players' delay alone: those are the same on any
    machine."""

    def measure(results: Results) -> float:
        result = results[run]
        rate = float(
            result["settings"].get(
                "AIOCTL_POOL_CREATE_RATE", Settings.model_fields["pool_create_rate"].default
            )
        )
        paced = 2 * int(result["services"]) / rate + _PLAYERS_DELAY
        return float(result[what]["all_s"]) - paced

    return measure


def _missing(run: str, what: str) -> Callable[[Results], float]:
    """Services that did not get there."""
    return lambda results: results[run]["services"] - results[run][what]["count"]


def _per_second(results: Results) -> float:
    run = results["real-unpaced"]
    return float(run["migrated"]["count"] / run["migrated"]["all_s"])


def _longer(results: Results) -> float:
    """In seconds of the machine as it was in the run with the stagger; in the other it may have been another."""
    took, unit = in_units(at("migrated", "all_s")), at("reference", "unit_s")
    with_it, without = results["stagger-100"], results["scale-100"]
    return (took(with_it) - took(without)) * unit(with_it)


def _growth(measure: Callable[[Mapping[str, Any]], float]) -> Callable[[Results], float]:
    """Per cent by which a thousand services cost more each than a hundred, by what is measured of a run."""
    return lambda results: (measure(results["memory"]) / measure(results["scale-100"]) - 1) * 100


def _worst(what: str) -> Callable[[Results], float]:
    """Over all attacks."""
    return lambda results: max(float(each[what]) for each in results["strangers"]["attacks"].values())


def _lost(results: Results) -> float:
    """Over all storms on the simulated cluster, which has a data plane."""
    storms = ("burst", "stagger-100", "scale-100", "memory")
    return float(sum(results[run]["data_plane"]["lost_for_nothing"] for run in storms))


FIGURES: Final[tuple[Figure, ...]] = (
    Figure("60 services on a real API server: not migrated", "real", _missing("real", "migrated"), 0),
    Figure("the same: not Ready", "real", _missing("real", "ready"), 0),
    Figure("the same: until all are migrated, beyond the pacing", "real", _beyond_pacing("real", "migrated"), 13_000, Unit.WORK_UNITS),
    Figure("the same: until all are Ready, beyond the pacing", "real", _beyond_pacing("real", "ready"), 13_000, Unit.WORK_UNITS),
    Figure(
        "conversions p99, as the API server sees them",
        "real",
        _at("real", "conversions", "p99"),
        50,
        Unit.WORK_UNITS,
    ),
    Figure(
        "conversions p99, as the webhook sees them",
        "real",
        _at("real", "conversions", "webhook_p99_s"),
        50,
        Unit.WORK_UNITS,
    ),
    Figure("conversions that failed", "real", _at("real", "conversions", "failures"), 0),
    Figure("conversions per service", "real", _at("real", "conversions", "per_service"), 6),
    Figure(
        "API calls per service, without events", "real", _at("real", "calls_per_service", "without_events"), 26
    ),
    Figure("API calls per service, with events", "real", _at("real", "calls_per_service", "with_events"), 40),
    Figure("CPU per service", "real", _at("real", "cpu_s_per_service"), 120, Unit.WORK_UNITS),
    Figure("writes in the quiet minute after", "real", _at("real", "quiet", "writes"), 0),
    Figure("services migrated without pacing", "real-unpaced", _per_second, 4, Unit.PER_WORK_UNIT, at_least=True),
    Figure(
        "300 services, 700 readers at once: conversions in flight",
        "burst",
        _at("burst", "conversions", "max_in_flight"),
        700,
        at_least=True,
    ),
    Figure("the same: conversions that failed", "burst", _at("burst", "conversions", "failures"), 0),
    Figure("the same: reads that failed", "burst", _at("burst", "readers", "failures"), 0),
    Figure("the same: slowest conversion, as the API server sees it", "burst", _at("burst", "conversions", "max"), 2000, Unit.WORK_UNITS),
    Figure(
        "the same: conversions p99, as the webhook sees them",
        "burst",
        _at("burst", "conversions", "webhook_p99_s"),
        2000,
        Unit.WORK_UNITS,
    ),
    Figure("the same: not migrated", "burst", _missing("burst", "migrated"), 0),
    Figure("100 services: longer for a stagger of 100 ms", "stagger-100", _longer, 1000, Unit.WORK_UNITS),
    Figure(
        "CPU per service, 1,000 against 100 services", "memory", _growth(in_units(at("cpu_s_per_service"))), 20, Unit.MORE
    ),
    Figure(
        "API calls per service, 1,000 against 100 services",
        "memory",
        _growth(at("calls_per_service", "without_events")),
        20,
        Unit.MORE,
    ),
    Figure("requests that the data plane lost for nothing, all storms", "burst", _lost, 0),
    Figure("plan of one service with all children, median", "plan", _milliseconds(_at("plan", "fresh", "plan", "median_ms")), 5, Unit.WORK_UNITS),
    Figure("plan of a settled service, median", "plan", _milliseconds(_at("plan", "settled", "plan", "median_ms")), 7.5, Unit.WORK_UNITS),
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
    Figure("conversion of one object over TLS, p99", "convert", _milliseconds(_at("convert", "server", "one_object", "p99_ms")), 10, Unit.WORK_UNITS),
    Figure(
        "list of 1,500 objects of 10 kB, slowest of 3",
        "convert",
        _milliseconds(_at("convert", "server", "lists", 0, "slowest_ms")),
        300,
        Unit.WORK_UNITS,
    ),
    Figure(
        "list of 10,000 objects of 10 kB, slowest of 3",
        "convert",
        _milliseconds(_at("convert", "server", "lists", 1, "slowest_ms")),
        2000,
        Unit.WORK_UNITS,
    ),
    Figure(
        "longest wait of a small call beside the latter",
        "convert",
        _milliseconds(_at("convert", "server", "lists", 1, "small_call_beside_max_ms")),
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
    Figure("the same: p99 of a client that behaves", "strangers", _milliseconds(_worst("p99_ms")), 1000, Unit.WORK_UNITS),
    Figure("the same: peak memory of the controller", "strangers", _worst("peak_memory_mb"), 512, Unit.MEGABYTES),
)  # fmt: skip


def judge(results: Results) -> list[Comparison]:
    """Every figure, in the order of the list."""
    return [
        Comparison(figure, _found(figure.judged, results), _found(figure.measure, results))
        for figure in FIGURES
    ]


def expected(results: Results, runs: Iterable[str]) -> list[Comparison]:
    """What the scenarios of these runs expected, as their records say; of a run without a record that it has none."""
    found: list[Comparison] = []
    for run in runs:
        for each in results.get(run, {}).get("expectations", [_NOTHING]):
            figure = Figure(
                f"{run}: {each['what']}",
                run,
                lambda _: 0.0,
                each["bound"],
                Unit(each["unit"]),
                each["at_least"],
            )
            found.append(Comparison(figure, each["value"]))
    return found


_NOTHING: Final[Mapping[str, Any]] = {
    "what": "all that it expects",
    "bound": 0,
    "unit": "",
    "at_least": False,
    "value": None,
}


def _found(measure: Callable[[Results], float], results: Results) -> float | None:
    try:
        return measure(results)
    except (KeyError, IndexError, ZeroDivisionError):
        return None


def markdown(verdicts: Iterable[Comparison]) -> str:
    """The table of docs/benchmarks.md."""
    lines = ["| Figure | Run | Bound | Measured | |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        figure = verdict.figure
        bound = f"{'≥' if figure.at_least else '≤'} {figure.bound:g} {figure.unit}".strip()
        lines.append(f"| {figure.what} | {figure.run} | {bound} | {verdict.shown} | {verdict.verdict} |")
    return "\n".join(lines)


def _rounded(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _time(measured: float, unit: Unit) -> str:
    if unit is Unit.PER_WORK_UNIT:
        return f"{_rounded(measured)} a second"
    return f"{_rounded(measured)} s" if abs(measured) >= 1 else f"{_rounded(measured * 1e3)} ms"
