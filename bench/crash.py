"""`python -m bench crash`: does a fleet end the same wherever its controller is killed?

Every scenario of `testbed.catalogue` is lived through once, and then once more for each of its API writes and each way to die at
it: before the write, after it, and after it with the answer lost. The end must be the same, and 10 virtual minutes
bring no further write. A plan that fails prints the line that replays it.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from bench import machine
from bench.lives import processes
from testbed.catalogue import catalogue
from testbed.crashes import Crash, End, Mode, play, verdict

_MOST_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Tried:
    """One plan and what is wrong with its end."""

    scenario: str
    crash: Crash
    wrong: Sequence[str]


def main(argv: list[str]) -> int:
    """0: every plan ended as it has to; 1: some did not; 2: no such scenario."""
    parser = argparse.ArgumentParser(prog="python -m bench crash", description=__doc__)
    parser.add_argument("--scenario", action="append", help="one scenario by name; may be repeated")
    parser.add_argument("--write", type=int, help="only the crash at this write, counted from 1")
    parser.add_argument("--mode", choices=[mode.value for mode in Mode], help="only this way to die")
    parser.add_argument("--list", action="store_true", help="print the scenarios' names and stop")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")
    args = parser.parse_args(argv)
    known = catalogue()
    if args.list:
        print("\n".join(known))
        return 0
    names = args.scenario or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)} (see --list)")
    modes = [Mode(args.mode)] if args.mode else list(Mode)
    began = time.perf_counter()
    failed, plans, uncrashed = 0, 0, 0
    with processes(args.processes, _try) as pool:
        # All plans are handed out at once: no process waits for the last one of a scenario.
        lives = []
        for name, writes, later in pool.map(_whole, names):
            crashes = [Crash(write, mode) for write in _writes(writes, args.write) for mode in modes]
            lives.append((name, writes, later, pool.map(_try, [name] * len(crashes), crashes, chunksize=4)))
        for name, writes, later, tries in lives:
            uncrashed += bool(later)
            print(
                f"{name}: {writes} writes",
                *[f"  written at rest: {line}" for line in later],
                sep="\n",
                flush=True,
            )
            for tried in tries:
                plans += 1
                failed += bool(tried.wrong)
                if tried.wrong:
                    print(_line(tried), flush=True)
    seconds = time.perf_counter() - began
    cpu = machine.children_cpu()
    print(f"{plans} plans of {len(names)} scenarios in {seconds:.0f} s, {cpu:.0f} s of CPU: {failed} failed")
    if args.json:
        result = {
            "scenarios": len(names),
            "plans": plans,
            "failed": failed,
            "seconds": round(seconds, 1),
            "cpu": round(cpu, 1),
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if failed or uncrashed else 0


def _writes(made: int, only: int | None) -> Iterator[int]:
    """Those to die at."""
    yield from range(1, made + 1) if only is None else [only]


def _whole(name: str) -> tuple[str, int, Sequence[str]]:
    end = _uncrashed(name)
    return name, end.writes, end.later


@cache
def _uncrashed(name: str) -> End:
    """The end that all others have to reach; found once a process."""
    return play(catalogue()[name])


def _try(name: str, crash: Crash) -> Tried:
    return Tried(name, crash, verdict(catalogue()[name], _uncrashed(name), crash))


def _line(tried: Tried) -> str:
    replay = (
        f"python -m bench crash --scenario {tried.scenario!r} --write {tried.crash.write}"
        f" --mode {tried.crash.mode.value}"
    )
    more = len(tried.wrong) - _MOST_LINES
    shown = [f"    {line}" for line in tried.wrong[:_MOST_LINES]]
    return "\n".join([f"  FAILED {replay}", *shown, *([f"    and {more} more"] if more > 0 else [])])
