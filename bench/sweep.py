"""`python -m bench sweep workers=1,4,16 pool_stagger=0,0.1`: a scenario under every combination of settings, as a table.

A name is that of an AIOCTL_* variable without its prefix, in small letters; values are separated by commas. `--document`
writes the table between the lines that mark its place there, as in docs/operations.md.
"""

import argparse
import itertools
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

from aioctl.settings import Settings, SettingsError, load, variable_of
from bench import compare, ending, machine, report
from bench.documents import between
from bench.registry import SCENARIOS
from bench.scenario import parser_of

BEGIN, END = "<!-- sweep: written by `python -m bench sweep` -->", "<!-- end of sweep -->"
_SCENARIO: Final = "storm --services 40 --rate 0"
"""Without the limit on pools, which would hide what the settings do; a combination takes about half a minute."""
Combination = tuple[tuple[str, str], ...]
COLUMNS: Final[tuple[tuple[str, str], ...]] = (
    ("all migrated", "migrated all_s"),
    ("creation to migrated, p99", "migrated p99_s"),
    ("CPU per service", "cpu_s_per_service"),
    ("API calls per service", "calls_per_service without_events"),
    ("conversions per service", "conversions per_service"),
)
"""Title and path of the figure."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench sweep", description=__doc__)
    parser.add_argument("settings", nargs="+", metavar="NAME=VALUE,VALUE", help="for example workers=1,4,16")
    parser.add_argument(
        "--scenario",
        default=_SCENARIO,
        help=f"with its options in one word; {_SCENARIO!r} unless another is given",
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=1,
        help="runs of each combination, in turns; medians stand in the table",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all records there")
    parser.add_argument("--document", type=Path, metavar="FILE", help="write the table into that document")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """1 when a run gave no record, 2 for settings that there are not."""
    options = arguments(argv)
    try:
        combinations = combined(options.settings)
        _possible(options, combinations)
    except (ValueError, OSError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 2
    hint = "; a storm of 40 takes about half a minute" if options.scenario == _SCENARIO else ""
    print(f"-- {options.repeats * len(combinations)} runs{hint}", file=sys.stderr)
    found: dict[Combination, list[Mapping[str, Any]]] = {each: [] for each in combinations}
    for _ in range(options.repeats):
        for number, each in enumerate(combinations, 1):
            print(f"-- {number} of {len(combinations)}: {named(each)}", file=sys.stderr, flush=True)
            found[each] += _run(options.scenario, each)
    if options.json:
        runs = [{**run, "swept": dict(each)} for each, runs in found.items() for run in runs]
        report.write({"runs": runs}, options.json)
    text = table(found)
    if options.document:
        written = f"{_circumstances(options)}\n\n{text}"
        document = options.document.read_text("utf-8")
        options.document.write_text(between(document, BEGIN, END, written), "utf-8")
    print(text)
    return 0 if all(found.values()) else 1


def _possible(options: argparse.Namespace, combinations: Sequence[Combination]) -> None:
    """Before the first run, for the last one may come hours later. Raises ValueError, OSError, SettingsError."""
    if options.repeats < 1:
        raise ValueError(f"--repeats {options.repeats}: at least one")
    name, *words = shlex.split(options.scenario) or [""]
    if name not in SCENARIOS or not any(each.name == "set" for each in SCENARIOS[name].parameters):
        able = [each.name for each in SCENARIOS.values() if any(p.name == "set" for p in each.parameters)]
        raise ValueError(f"--scenario {name}: it takes no settings; these do: {', '.join(able)}")
    parser_of(SCENARIOS[name]).parse_args(words)
    for combination in combinations:
        load({variable_of(field): value for field, value in combination})
    if options.document:
        between(options.document.read_text("utf-8"), BEGIN, END, "")


def combined(words: Sequence[str]) -> list[Combination]:
    """Every combination of the values. Raises ValueError for a name that is no setting, or one without a value."""
    axes: list[list[tuple[str, str]]] = []
    for word in words:
        name, sign, values = word.partition("=")
        if name not in Settings.model_fields:
            raise ValueError(f"{name}: there is no such setting; docs/reference.md has them all")
        if not sign or not all(values.split(",")):
            raise ValueError(f"{word}: it takes values separated by commas, as in {name}=1,4")
        axes.append([(name, value) for value in values.split(",")])
    return list(itertools.product(*axes))


def named(combination: Combination) -> str:
    return " ".join(f"{name}={value}" for name, value in combination)


def table(found: Mapping[Combination, Sequence[Mapping[str, Any]]]) -> str:
    """Markdown, a line a combination: medians, and of times how many times those of the first line they are."""
    names = [name for name, _ in next(iter(found))]
    settings = [f"`{variable_of(name)}`" for name in names]
    lines = [
        f"| {' | '.join([*settings, *(title for title, _ in COLUMNS)])} |",
        f"|{'---|' * (len(names) + len(COLUMNS))}",
    ]
    numbers = {each: [dict(compare.numbers(run)) for run in runs] for each, runs in found.items()}
    base = next(iter(numbers.values()))
    for combination, runs in numbers.items():
        cells = [_cell(runs, base, path) for _, path in COLUMNS]
        lines.append(f"| {' | '.join([*(value for _, value in combination), *cells])} |")
    return "\n".join(lines)


def _cell(runs: Sequence[Mapping[str, float]], base: Sequence[Mapping[str, float]], path: str) -> str:
    values = [run[path] for run in runs if path in run]
    if not values:
        return "no result"
    if not compare.is_time(path):
        return f"{median(values):.3g}"
    first = [_in_units(run, path) for run in base if path in run]
    by_first = (
        f" ({median(_in_units(run, path) for run in runs) / median(first):.2f} x)"
        if first and median(first)
        else ""
    )
    return f"{median(values):.3g} s{by_first}"


def _in_units(run: Mapping[str, float], path: str) -> float:
    """Of the reference load in the same run, for the machine may have become slower between two."""
    return run[path] / run["reference unit_s"]


def _run(scenario: str, combination: Combination) -> list[Mapping[str, Any]]:
    """Its record; none when it gave none, which the table then says."""
    with tempfile.TemporaryDirectory(prefix="aioctl-bench-") as folder:
        file = Path(folder) / "run.json"
        variables = [f"{variable_of(name)}={value}" for name, value in combination]
        words = [*shlex.split(scenario), "--set", *variables, "--json", str(file)]
        ending.child([sys.executable, "-m", "bench", *words])
        return compare.runs_of(file) if file.exists() else []


def _circumstances(options: argparse.Namespace) -> str:
    words = shlex.join(["python", "-m", "bench", "sweep", *options.settings, "--scenario", options.scenario])
    runs = f", medians of {options.repeats} runs" if options.repeats > 1 else ""
    about = machine.describe()
    return f"`{words}`{runs} on {machine.words(about)}, load average {about['load_average']:.1f} at the end:"
