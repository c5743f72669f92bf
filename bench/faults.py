"""`python -m bench faults`: a fleet is created while each misfortune of a catalogue happens for a minute, alone and in pairs.

No service may be lost, none moved back, no request lost for nothing. Printed are the controller's writes, tried and taken,
against those of a good day, and the virtual seconds from the end of the misfortune to the last write. The whole takes as many
CPU seconds as 211 fleets; `--share 3/8` plays the third of eight shares of it.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from bench import machine
from bench.lives import processes
from testbed.crashes import said
from testbed.misfortunes import MISFORTUNES, Report, play

MOST_TAKEN: Final = 1.5
MOST_TRIED: Final = 8.0
"""Writes against those of a good day. What is refused for a minute is tried again, less and less often."""


def main(argv: list[str]) -> int:
    """0: every fleet came through; 1: one did not."""
    args = arguments(argv)
    tries = chosen(args)
    began = time.perf_counter()
    run = partial(_fleet, services=args.services, seed=args.seed, busy=args.busy)
    found: list[dict[str, Any]] = []
    with processes(args.processes, _fleet, seed=args.seed) as pool:
        calm = pool.submit(_fleet, (), services=args.services, seed=args.seed).result()
        if calm.broke:
            print(f"a good day broke off: {calm.broke}")
            return 1
        print(f"good day: {calm.taken} writes; {len(tries)} fleets to play", flush=True)
        for which, report in zip(tries, pool.map(run, tries), strict=True):
            found.append(_told(which, report, calm, args))
    seconds = time.perf_counter() - began
    failed = sum(bool(each["wrong"]) for each in found)
    recoveries = [each["recovery"] for each in found if each["recovery"] is not None]
    recovery = (
        f"; recovery {statistics.median(recoveries):.0f} s in the median, {max(recoveries):.0f} s at most"
        if recoveries
        else ""
    )
    print(
        f"{len(tries)} fleets of {args.services} in {seconds:.0f} s, {machine.children_cpu():.0f} s of CPU:"
        f" {failed} failed{recovery}"
    )
    if args.json:
        result = {
            "cpu": round(machine.children_cpu(), 1),
            "fleets": len(tries),
            "failed": failed,
            "seconds": round(seconds, 1),
            "recovery": max(recoveries, default=None),
            "each": found,
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if failed else 0


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=__doc__)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of creation")
    parser.add_argument(
        "--only", action="append", choices=list(MISFORTUNES), help="these at once; may be repeated"
    )
    parser.add_argument("--alone", action="store_true", help="no pairs")
    parser.add_argument(
        "--share",
        type=_share,
        default=(1, 1),
        metavar="K/N",
        help="the K-th of N shares of about the same size; all N together are the whole catalogue, one of them is a sample",
    )
    parser.add_argument(
        "--busy", action="store_true", help="as on a machine that is slow and stands still at times"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")
    return parser.parse_args(argv)


def chosen(args: argparse.Namespace) -> list[tuple[str, ...]]:
    """What is to happen to each fleet."""
    if args.only:
        return [tuple(args.only)]
    pairs = [] if args.alone else combinations(MISFORTUNES, 2)
    share, shares = args.share
    return [*((name,) for name in MISFORTUNES), *pairs][share - 1 :: shares]


def _share(text: str) -> tuple[int, int]:
    """K and N. Raises ArgumentTypeError for what is no share."""
    share, sign, shares = text.partition("/")
    # int() takes signs, blanks and underscores, which nobody means here.
    if sign and share.isdecimal() and shares.isdecimal() and 1 <= int(share) <= int(shares):
        return int(share), int(shares)
    raise argparse.ArgumentTypeError(f"{text!r} is no share: write 3/8 for the third of eight")


def _told(which: Sequence[str], report: Report, calm: Report, args: argparse.Namespace) -> dict[str, Any]:
    """Prints a line about the fleet, and what is wrong with it; returns both for the record."""
    wrong = judge(report, calm)
    name = " + ".join(which)
    tried, taken = report.tried / calm.tried, report.taken / calm.taken
    print(
        f"{name}: broke off"
        if report.broke
        else f"{name}: {tried:.2f} of the writes tried, {taken:.2f} taken, at rest after {report.recovery:.0f} s",
        flush=True,
    )
    if wrong:
        only = " ".join(f"--only {name!r}" for name in which)
        busy = " --busy" if args.busy else ""
        replay = f"python -m bench faults --services {args.services} --seed {args.seed}{busy} {only}"
        print(f"  FAILED {replay}", *[f"    {line}" for line in wrong], sep="\n", flush=True)
    return {
        "misfortunes": list(which),
        "tried": round(tried, 3),
        "taken": round(taken, 3),
        "recovery": None if report.broke else report.recovery,
        "wrong": wrong,
    }


def judge(report: Report, calm: Report) -> list[str]:
    """What is wrong with it."""
    if report.broke:
        return [f"broke off: {report.broke}"]
    wrong = [f"lost: {name}" for name in report.lost]
    wrong += [f"moved back: {move}" for move in report.moved_back]
    if report.requests:
        wrong.append(f"requests lost for nothing: {report.requests:g}")
    if report.tried > MOST_TRIED * calm.tried:
        wrong.append(f"{report.tried} writes tried, {calm.tried} on a good day")
    if report.taken > MOST_TAKEN * calm.taken:
        wrong.append(f"{report.taken} writes taken, {calm.taken} on a good day")
    return wrong


def _fleet(which: Sequence[str], *, services: int, seed: int, busy: bool = False) -> Report:
    """Its report, also when it broke off: what is raised in a process of a pool does not always survive the way back."""
    try:
        return play(which, services=services, seed=seed, busy=busy)
    except Exception as error:  # noqa: BLE001  any at all is a finding
        return Report((), (), 0.0, 0, 0, 0.0, broke=said(error))
