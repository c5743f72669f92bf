"""`python -m bench all`: every run behind docs/benchmarks.md, one after the other, each in a process of its own; then the
figures, judged, and the table in the document written anew.

About twenty minutes, for a machine that does nothing else; how long is told at the start, from what each run took last time. It
needs the programs that `make test-real` builds, or builds them.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench import ending, figures, machine, report
from bench.documents import between

_ROOT: Final = Path(__file__).resolve().parents[1]
_BEGIN, _END = "<!-- figures: written by `python -m bench all` -->", "<!-- end of figures -->"

_UNPACED: Final = "--rate 0 --stagger 0"
_HUNDRED: Final = "storm --services 100 --one-core --look-every 30 --set AIOCTL_SERVICE_SERIES=500 --rate 0"
"""As the storm of a thousand services in `memory`, with which it is compared."""
RUNS: Final[Mapping[str, str]] = {
    "plan": "plan",
    "convert": "convert",
    "real": "storm --real --services 60 --one-core --quiet 60",
    "real-unpaced": f"storm --real --services 60 --one-core {_UNPACED}",
    "burst": "storm --services 300 --readers 720",
    "stagger-100": f"{_HUNDRED} --stagger 0.1",
    "scale-100": f"{_HUNDRED} --stagger 0",
    "memory": "memory --services 1000 --one-core",
    "strangers": "strangers",
    "wave": "wave",
    "update": "update --one-core --services 20",
    "restart": "restart --services 150",
    "steady": "steady",
    "flap": "flap",
    "fight": "fight",
    "list-convert": "list-convert --services 150",
    "burst-convert": "burst-convert --services 100",
    "rotation": "rotation",
    "takeover": "takeover",
}
"""By name: what comes after `python -m bench`."""
JUDGED_BY_THEMSELVES: Final = (
    "wave", "update", "restart", "steady", "flap", "fight", "list-convert", "burst-convert", "rotation", "takeover",
)  # fmt: skip
"""Runs whose figures are what their scenario expects."""
_UNKNOWN: Final = 60.0
"""Seconds of a run that was never recorded."""
_STORMS: Final = ("storm", "convert")
"""Scenarios that know --first-on-core."""


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench all", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=RUNS, help="these runs; older results serve for the rest"
    )
    parser.add_argument("--results", type=Path, default=_ROOT / "bench" / "results", metavar="FOLDER")
    parser.add_argument("--document", type=Path, default=_ROOT / "docs" / "benchmarks.md", metavar="FILE")
    parser.add_argument(
        "--judge-only", action="store_true", help="run nothing, judge the results that are there"
    )
    parser.add_argument(
        "--first-on-core",
        action="store_true",
        help="on a machine busy with other things (needs root); such numbers are provisional",
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Exit code 1 when a figure was missed or a run gave no result."""
    options = arguments(argv)
    names = [] if options.judge_only else list(options.only or RUNS)
    lasts = {name: _took(options.results / f"{name}.json") for name in names}
    for number, name in enumerate(names):
        print(
            f"-- {number + 1} of {len(names)}, {left([lasts[each] for each in names[number:]])}", flush=True
        )
        _run(name, options.results, first=options.first_on_core)
    results = _read(options.results)
    verdicts = [*figures.judge(results), *figures.expected(results, JUDGED_BY_THEMSELVES)]
    written = f"{_circumstances(results)}\n\n{figures.markdown(verdicts)}"
    options.document.write_text(between(options.document.read_text("utf-8"), _BEGIN, _END, written), "utf-8")
    report.give("figures", [_row(verdict) for verdict in verdicts])
    return 0 if all(verdict.good for verdict in verdicts) else 1


def left(lasts: Sequence[float | None]) -> str:
    """For people, from what the runs took last time, in seconds; of None that is not known."""
    unknown = sum(last is None for last in lasts)
    minutes = sum(_UNKNOWN if last is None else last for last in lasts) / 60
    without = f" ({unknown} of them without a record of last time)" if unknown else ""
    return f"about {minutes:.0f} minutes left{without}"


def _took(file: Path) -> float | None:
    """Seconds of the run whose record that is."""
    if not file.exists():
        return None
    seconds: float | None = json.loads(file.read_text("utf-8")).get("whole_run_s")
    return seconds


def _run(name: str, folder: Path, *, first: bool) -> None:
    """An old result must not stand for a run that failed, so it goes first."""
    file = folder / f"{name}.json"
    file.unlink(missing_ok=True)
    words = shlex.split(RUNS[name])
    extra = ["--first-on-core"] if first and words[0] in _STORMS else []
    print(f"-- {name}: python -m bench {shlex.join([*words, *extra])}", flush=True)
    # Relative: the result names its command, and no folder of this machine.
    target = os.path.relpath(file)
    ending.child([sys.executable, "-m", "bench", *words, *extra, "--json", target])


def _read(folder: Path) -> dict[str, Any]:
    files = ((name, folder / f"{name}.json") for name in RUNS)
    return {name: json.loads(file.read_text("utf-8")) for name, file in files if file.exists()}


def _circumstances(results: Mapping[str, Any]) -> str:
    """What the numbers were taken on; more than one line where the runs differ."""
    seen: dict[str, list[str]] = {}
    for name, result in results.items():
        about = result["machine"]
        seen.setdefault(machine.words(about), []).append(f"{name} {about['load_average']:.1f}")
    return "\n".join(
        f"{words}; load average before each run: {', '.join(runs)}." for words, runs in seen.items()
    )


def _row(verdict: figures.Comparison) -> report.Row:
    figure = verdict.figure
    sign = ">=" if figure.at_least else "<="
    return (
        figure.what,
        f"{verdict.shown}  ({sign} {figure.bound:g})  {'' if verdict.good else verdict.verdict.strip('*').upper()}",
    )
