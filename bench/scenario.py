"""What a scenario of the bench is, and how it becomes a command with one table, one JSON file and one page.

A scenario says in one sentence what happens, what it measures, how the measuring itself is judged, and what it expects.
Expectations are counts or ratios, never seconds: `reference` tells why.
"""

import argparse
import difflib
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import Any, Final, NoReturn

from aioctl import logs
from aioctl.settings import LogFormat, LogLevel
from bench import machine, reference
from bench.report import Plot, Row

Tree = dict[str, Any]
Number = float | None


class CannotRun(Exception):
    """It cannot be done as asked, or not there; the text is for people."""


def reason(error: BaseException) -> str:
    """In one line: of a group its first error, whose name stands for those that have no words."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, TimeoutError) and not str(error):
        return "it was not done in time"
    return str(error) or type(error).__name__


class Unit(StrEnum):
    """What may be judged. There is no unit of time among them: machines differ."""

    COUNT = ""
    TIMES = "x"
    WORK_UNITS = "units"
    """A time by the CPU time of one unit of the reference load, taken in the same run."""
    MORE = "% more"
    MEGABYTES = "MB"
    PER_WORK_UNIT = "/1000 units"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One option. Without a default, `kind` says what its values are; a tuple takes several, `False` is a switch."""

    name: str
    default: Any
    text: str
    kind: type = str
    choices: Sequence[str] | None = None
    least: float | None = None

    def read(self, word: str) -> Any:
        """A value as the command line has it. Raises argparse.ArgumentTypeError."""
        given = self.default[0] if isinstance(self.default, tuple) and self.default else self.default
        kind = type(given) if given not in (None, ()) else self.kind
        try:
            value = kind(word)
        except ValueError as error:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{word!r} is not {what}") from error
        if self.least is not None and not value >= self.least:
            raise argparse.ArgumentTypeError(f"{word}: at least {self.least:g}")
        return value

    def add(self, parser: argparse.ArgumentParser) -> None:
        option = f"--{self.name}"
        if self.default is False:
            parser.add_argument(option, action="store_true", help=self.text)
        elif isinstance(self.default, tuple):
            parser.add_argument(
                option, nargs="*", type=self.read, default=self.default, choices=self.choices, help=self.text
            )
        else:
            parser.add_argument(
                option, type=self.read, default=self.default, choices=self.choices, help=self.text
            )

    @property
    def attribute(self) -> str:
        return self.name.replace("-", "_")

    def words(self, value: Any) -> list[str]:
        """As it stands on a command line; nothing when it has its default."""
        if value == self.default or (isinstance(self.default, tuple) and tuple(value) == self.default):
            return []
        if self.default is False:
            return [f"--{self.name}"]
        values = value if isinstance(value, list | tuple) else [value]
        return [f"--{self.name}", *map(str, values)]


@dataclass(frozen=True, slots=True)
class Expectation:
    """One claim about a result: the number found by `measure` keeps to `bound`, from above or (`at_least`) from below."""

    what: str
    measure: Callable[[Mapping[str, Any]], float]
    bound: float
    unit: Unit = Unit.COUNT
    at_least: bool = False
    at_home: bool = False
    """The bound was found on clusters of the bench's own, and says nothing of another one."""

    def value(self, result: Mapping[str, Any]) -> Number:
        """None when the result has no such number: that is a missed expectation."""
        try:
            return float(self.measure(result))
        except (LookupError, TypeError, ValueError, ZeroDivisionError):
            return None

    def met(self, value: Number) -> bool:
        """On the number itself, never on a rounded one."""
        if value is None:
            return False
        return value >= self.bound if self.at_least else value <= self.bound

    def shown(self, value: Number) -> str:
        found = "no result" if value is None else f"{value:.4g} {self.unit}".strip()
        return f"{found}  ({'>=' if self.at_least else '<='} {self.bound:g})"


def at(*path: str | int) -> Callable[[Mapping[str, Any]], float]:
    """The number at a path of the result."""

    def measure(result: Mapping[str, Any]) -> float:
        found: Any = result
        for step in path:
            found = found[step]
        return float(found)

    return measure


def in_units(
    measure: Callable[[Mapping[str, Any]], float], *, scale: float = 1.0
) -> Callable[[Mapping[str, Any]], float]:
    """Seconds (or others, with a `scale`) as so many units of the reference load beside the run."""
    return lambda result: measure(result) * scale / float(result["reference"]["unit_s"])


@dataclass(frozen=True, slots=True)
class Result:
    """What one run found: `figures` for the record, `rows` for people, `plots` for the page, `measuring` about itself."""

    figures: Tree
    rows: Sequence[Row]
    plots: Sequence[Plot] = ()
    measuring: Tree = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """`seed` is None where nothing is drawn; `not_elsewhere` says why it cannot run on a cluster that somebody gives."""

    name: str
    what: str
    measures: str
    judged_by: str
    run: Callable[[argparse.Namespace], Result] | None = None
    parameters: Sequence[Parameter] = ()
    seed: int | None = None
    expectations: Sequence[Expectation] = ()
    not_elsewhere: str = ""
    has_versus: bool = False
    command: Callable[[list[str]], int] | None = None
    """Instead of `run`: those that print as they go and have a command line of their own."""
    said: Sequence[str] = ()
    """What those expect, in words."""

    def judged(self, options: argparse.Namespace) -> list[Expectation]:
        """What a run with these options is judged by."""
        away = bool(getattr(options, "kubeconfig", None))
        return [each for each in self.expectations if not (away and each.at_home)]

    def expected(self) -> list[str]:
        """In words, for the list."""
        bounds = (
            f"{each.what} {'≥' if each.at_least else '≤'} {each.bound:g} {each.unit}".strip()
            for each in self.expectations
        )
        return [*bounds, *self.said]


_RECORD: Final = (
    Parameter("runs", 1, "so many runs, with a second controller in turns", least=1),
    Parameter("json", None, "write the record there"),
    Parameter("html", None, "write a page with plots there, which needs nothing else"),
)
_VERSUS: Final = Parameter(
    "versus",
    None,
    "a second controller, run in turns with ours on clusters of its own: a shell command that takes KUBECONFIG and the"
    " webhook's variables (AIOCTL_WEBHOOK_PORT, AIOCTL_CERT_DIR, AIOCTL_HEALTH_PORT, AIOCTL_METRICS_PORT)",
)
_KUBECONFIG: Final = Parameter(
    "kubeconfig",
    None,
    "an API server of yours without KServe, on this host: what the run brings is removed at its end",
)
_CLEAN: Final = Parameter("clean", False, "with --kubeconfig: first remove what an earlier run left")
_SEED: Final = "of everything that is drawn"


class _Parser(argparse.ArgumentParser):
    """Says of an option that there is not which one was meant."""

    def error(self, message: str) -> NoReturn:
        mark = "unrecognized arguments: "
        if message.startswith(mark):
            word = message.removeprefix(mark).split()[0]
            near = difflib.get_close_matches(word, self._option_string_actions, n=1)
            hint = f"did you mean {near[0]}?" if near else "--help lists what it takes"
            message = f"{word}: there is no such option; {hint}"
        self.exit(2, f"{self.prog}: {message}\n")


def parser_of(scenario: Scenario) -> argparse.ArgumentParser:
    parser = _Parser(
        allow_abbrev=False,
        prog=f"python -m bench {scenario.name}",
        description=scenario.what,
        epilog=f"Measured: {scenario.measures} The measuring is judged by: {scenario.judged_by}",
    )
    for parameter in (*parameters_of(scenario), *_RECORD):
        parameter.add(parser)
    return parser


def parameters_of(scenario: Scenario) -> list[Parameter]:
    """All but those about the record."""
    seed = [] if scenario.seed is None else [Parameter("seed", scenario.seed, _SEED)]
    elsewhere = [_KUBECONFIG, _CLEAN]
    return [*scenario.parameters, *seed, *elsewhere, *([_VERSUS] if scenario.has_versus else [])]


def command_of(scenario: Scenario, options: argparse.Namespace) -> str:
    """The command again, without names of files: those are the machine's."""
    words = ["python", "-m", "bench", scenario.name]
    for parameter in parameters_of(scenario):
        value = getattr(options, parameter.attribute)
        words += parameter.words("KUBECONFIG" if parameter is _KUBECONFIG and value else value)
    return shlex.join(words)


def once(scenario: Scenario, options: argparse.Namespace, *, command: str = "") -> tuple[Tree, Result]:
    """One run of ours, or of the other controller when its `command` is given: its record, and what to show."""
    assert scenario.run is not None, "those with a command of their own have no runs"  # noqa: S101
    options.controller_command = command
    about: Tree = {
        "scenario": scenario.name,
        "command": command_of(scenario, options),
        "controller": command or "aioctl run",
        "machine": machine.describe(),
    }
    if scenario.seed is not None:
        about["seed"] = options.seed
    began = monotonic()
    with reference.beside() as beside:
        result = scenario.run(options)
    record: Tree = {**about, **result.figures, "reference": beside.summary()}
    record["whole_run_s"] = round(monotonic() - began, 1)
    record["measuring"] = result.measuring
    record["plots"] = [plot.as_json() for plot in result.plots]
    values = [(each, each.value(record)) for each in scenario.judged(options)]
    record["expectations"] = [
        {"what": each.what, "bound": each.bound, "at_least": each.at_least, "unit": each.unit, "value": value, "met": each.met(value)}
        for each, value in values
    ]  # fmt: skip
    return record, result


def quiet_logs() -> None:
    """Tables are for people; the controllers' own logs go to files."""
    logs.configure(LogLevel.ERROR, LogFormat.CONSOLE)


def all_met(record: Mapping[str, Any]) -> bool:
    return all(each["met"] for each in record["expectations"])


def refused(scenario: Scenario, options: argparse.Namespace) -> str:
    """Why it cannot be done as asked; empty when it can."""
    if getattr(options, "kubeconfig", None) and scenario.not_elsewhere:
        return not_there(scenario)
    if options.clean and not options.kubeconfig:
        return "--clean goes with --kubeconfig: the other clusters are thrown away after each run"
    if options.kubeconfig and getattr(options, "real", False):
        return "--kubeconfig and --real exclude each other: the one is your API server, the other starts one"
    return ""


def not_there(scenario: Scenario) -> str:
    """What those say that cannot run on a given cluster."""
    return f"{scenario.name} cannot run on a cluster of yours: {scenario.not_elsewhere}"


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
