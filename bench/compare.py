"""`python -m bench compare A.json B.json`: two records of a scenario against each other, figure by figure.

Quoted are the medians over each side's runs, their ratio, and its spread: the least and the greatest ratio of two runs that
stood beside each other. Times are divided by the work unit of their own run first, so that a machine that had become slower
does not count. With `--turns N` both commands are run anew so often, in turns (A B A B), each in its folder, and the files
are written again.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench import machine, report

Record = Mapping[str, Any]

_NOT_COMPARED: Final = frozenset(
    {"machine", "plots", "measuring", "expectations", "settings", "seed", "seconds", "whole_run_s"}
)
_TIME: Final = re.compile(r"(^|_)(s|ms|us|seconds|p50|p99|max)($|_)")
"""Names of figures that are times: those of conversions have no unit in theirs."""
_COUNTED_AT_ONCE: Final = frozenset({"max_in_flight"})


@dataclass(frozen=True, slots=True)
class Ratio:
    """One figure of both sides. `low` and `high` are of neighbours; equal where there was one run each."""

    name: str
    a: float
    b: float
    ratio: float
    low: float
    high: float
    by_unit: bool


def ratios(first: Sequence[Record], second: Sequence[Record]) -> list[Ratio]:
    """Of every number that all records have and that is not 0 throughout, in the order of the first record."""
    sides = [[dict(numbers(record)) for record in side] for side in (first, second)]
    everywhere = [name for name in sides[0][0] if all(name in found for side in sides for found in side)]
    made = (_ratio(name, *sides) for name in everywhere)
    return [each for each in made if each is not None]


def _ratio(
    name: str, first: Sequence[Mapping[str, float]], second: Sequence[Mapping[str, float]]
) -> Ratio | None:
    by_unit = is_time(name) and all("reference unit_s" in found for found in (*first, *second))

    def value(found: Mapping[str, float]) -> float:
        return found[name] / found["reference unit_s"] if by_unit else found[name]

    a, b = ([value(found) for found in side] for side in (first, second))
    if not median(a):
        return None
    beside = [theirs / ours for ours, theirs in zip(a, b, strict=False) if ours]
    whole = median(b) / median(a)
    shown_a, shown_b = (median(found[name] for found in side) for side in (first, second))
    low, high = min(beside, default=whole), max(beside, default=whole)
    return Ratio(name, shown_a, shown_b, whole, low, high, by_unit)


def is_time(name: str) -> bool:
    """By its last word, or by the one that has the unit before a `per_service`; the unit itself is none."""
    last = name.rpartition(" ")[2]
    return name != "reference unit_s" and last not in _COUNTED_AT_ONCE and bool(_TIME.search(last))


def numbers(record: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a record by its path."""
    if isinstance(record, Mapping):
        for name, below in record.items():
            if path or name not in _NOT_COMPARED:
                yield from numbers(below, f"{path} {name}".strip())
    elif isinstance(record, int | float) and not isinstance(record, bool):
        yield path, float(record)


def runs_of(file: Path) -> list[Record]:
    """A file's runs. Raises OSError, and ValueError when it is no record of the bench."""
    found = json.loads(file.read_text("utf-8"))
    runs = found.get("runs", [found]) if isinstance(found, dict) else []
    if not runs or not all(isinstance(run, dict) and {"command", "machine"} <= run.keys() for run in runs):
        raise ValueError(f"{file} is no record of the bench: write one with --json")
    return runs


def of_first_controller(runs: Sequence[Record]) -> list[Record]:
    """Of a file that was made with `--versus` the runs of ours: medians over both would be of neither."""
    return [run for run in runs if run.get("controller") == runs[0].get("controller")]


def summary(sides: Mapping[str, Sequence[Record]]) -> list[report.Row]:
    """For people, after several runs: of one controller medians, of two ratios."""
    names = list(sides)
    first, last = sides[names[0]], sides[names[-1]]
    if len(names) == 1:
        found = [dict(numbers(record)) for record in first]
        shared = [name for name in found[0] if all(name in each for each in found) and _is_short(name)]
        return [(name, _spread([each[name] for each in found])) for name in shared]
    about = ("A and B", f"{names[0]} and {names[-1]}; ratios are B by A, least to greatest of neighbours")
    return [about] + [
        (
            each.name,
            f"{each.a:.4g} and {each.b:.4g}: {each.ratio:.2f} ({each.low:.2f} to {each.high:.2f}) times",
        )
        for each in ratios(first, last)
        if _is_short(each.name)
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def _is_short(name: str) -> bool:
    """Not one of the many calls by verb and resource."""
    return "by_resource" not in name and "by_verb" not in name and " calls " not in name


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench compare", description=__doc__)
    parser.add_argument("a", type=Path, metavar="A.json")
    parser.add_argument("b", type=Path, metavar="B.json")
    parser.add_argument("--all", action="store_true", help="calls by verb and resource, too")
    parser.add_argument("--turns", type=int, default=0, metavar="N", help="run both anew, in turns")
    for side in "ab":
        parser.add_argument(
            f"--in-{side}",
            type=Path,
            default=Path(),
            metavar="FOLDER",
            help=f"a checkout where {side.upper()} is run",
        )
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """2 when a file is no record."""
    options = arguments(argv)
    try:
        sides = [runs_of(options.a), runs_of(options.b)]
        if options.turns:
            sides = _again(options, [side[0]["command"] for side in sides])
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    sides = [of_first_controller(side) for side in sides]
    print(f"A: {options.a.name}, {len(sides[0])} runs of {sides[0][0]['command']}")
    print(f"B: {options.b.name}, {len(sides[1])} runs of {sides[1][0]['command']}")
    for line in differences(*sides):
        print(line)
    Console(width=140).print(table([each for each in ratios(*sides) if options.all or _is_short(each.name)]))
    return 0


def differences(first: Sequence[Record], second: Sequence[Record]) -> list[str]:
    """What is not the same on both sides beside the figures: each may be why they differ."""
    lines = []
    for what, of in _CIRCUMSTANCES.items():
        a, b = (sorted({str(of(record)) for record in side}) for side in (first, second))
        if a != b:
            lines.append(f"not the same {what}: A {', '.join(a)}; B {', '.join(b)}")
    return lines


def _machine(record: Record) -> str:
    return machine.words({**record["machine"], "date": ""}).removesuffix(", ")


_CIRCUMSTANCES: Final[Mapping[str, Callable[[Record], Any]]] = {
    "scenario": lambda record: record.get("scenario"),
    "command": lambda record: record["command"],
    "controller": lambda record: record.get("controller"),
    "seed": lambda record: record.get("seed"),
    "cluster": lambda record: record.get("on"),
    "machine": _machine,
    "day": lambda record: record["machine"]["date"],
}


def table(found: Sequence[Ratio]) -> Table:
    made = Table(
        "figure",
        "median A",
        "median B",
        "B by A",
        "spread",
        "",
        title="medians; * by the work unit of its run",
    )
    for each in found:
        row = (f"{each.a:.4g}", f"{each.b:.4g}", f"{each.ratio:.2f}", f"{each.low:.2f} to {each.high:.2f}")
        made.add_row(each.name, *row, "*" if each.by_unit else "")
    return made


def _again(options: argparse.Namespace, commands: Sequence[str]) -> list[list[Record]]:
    """Both sides' commands in turns. Raises ValueError when one gives no record."""
    if options.turns < 0:
        raise ValueError(f"--turns {options.turns}: at least one, or none to compare what is there")
    for asked in commands:
        if "--kubeconfig" in asked:
            raise ValueError(
                f"{asked}: its cluster is not in the record; run it by hand, and compare the files"
            )
    found: list[list[Record]] = [[], []]
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as folder:
        for turn in range(options.turns):
            for side, place in enumerate((options.in_a, options.in_b)):
                file = Path(folder) / f"{side}-{turn}.json"
                words = shlex.split(commands[side])[3:]  # without `python -m bench`
                command = [sys.executable, "-m", "bench", *words, "--json", str(file)]
                # The folder's own packages come first, whatever is installed.
                environment = {**os.environ, "PYTHONPATH": str(place.resolve())}
                subprocess.run(command, cwd=place, env=environment, check=False)
                if not file.exists():
                    raise ValueError(f"turn {turn + 1}: {commands[side]} gave no record in {place}")
                found[side] += runs_of(file)
    for file, runs in zip((options.a, options.b), found, strict=True):
        report.write({"runs": runs}, file)
    return found
