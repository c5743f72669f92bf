"""`python -m bench faults`: a fleet is created while each misfortune of a catalogue happens for a minute, alone and in pairs.

No service may be lost, none moved back, no request lost for nothing. Printed are the controller's writes, tried and taken,
against those of a good day, and the virtual seconds from the end of the misfortune to the last write.
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

from bench import machine
from bench.lives import processes
from testbed.crashes import said
from testbed.misfortunes import MISFORTUNES, Report, play

MOST_TAKEN, MOST_TRIED = 1.5, 8.0
"""Writes against those of a good day. What is refused for a minute is tried again, less and less often."""


def main(argv: list[str]) -> int:
    """0: every fleet came through; 1: one did not."""
    parser = argparse.ArgumentParser(prog="python -m bench faults", description=__doc__)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of creation")
    parser.add_argument(
        "--only", action="append", choices=list(MISFORTUNES), help="these at once; may be repeated"
    )
    parser.add_argument("--alone", action="store_true", help="no pairs")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each N-th of them, a sample")
    parser.add_argument(
        "--busy", action="store_true", help="as on a machine that is slow and stands still at times"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")
    args = parser.parse_args(argv)
    tries: list[tuple[str, ...]] = [tuple(args.only)] if args.only else [(name,) for name in MISFORTUNES]
    if not args.only and not args.alone:
        tries += combinations(MISFORTUNES, 2)
    tries = tries[:: args.every]
    began = time.perf_counter()
    run = partial(_fleet, services=args.services, seed=args.seed, busy=args.busy)
    failed, recoveries = 0, []
    with processes(args.processes, _fleet, seed=args.seed) as pool:
        calm = pool.submit(_fleet, (), services=args.services, seed=args.seed).result()
        if calm.broke:
            print(f"a good day broke off: {calm.broke}")
            return 1
        print(f"good day: {calm.taken} writes", flush=True)
        for which, report in zip(tries, pool.map(run, tries), strict=True):
            wrong = judge(report, calm)
            failed += bool(wrong)
            name = " + ".join(which)
            tried, taken = report.tried / calm.tried, report.taken / calm.taken
            if report.broke:
                print(f"{name}: broke off", flush=True)
            else:
                recoveries.append(report.recovery)
                print(
                    f"{name}: {tried:.2f} of the writes tried, {taken:.2f} taken,"
                    f" at rest after {report.recovery:.0f} s",
                    flush=True,
                )
            if wrong:
                arguments = " ".join(f"--only {name!r}" for name in which)
                busy = " --busy" if args.busy else ""
                replay = (
                    f"python -m bench faults --services {args.services} --seed {args.seed}{busy} {arguments}"
                )
                print(f"  FAILED {replay}", *[f"    {line}" for line in wrong], sep="\n", flush=True)
    seconds = time.perf_counter() - began
    print(
        f"{len(tries)} fleets of {args.services} in {seconds:.0f} s, {machine.children_cpu():.0f} s of CPU: {failed} failed;"
        f" recovery {statistics.median(recoveries):.0f} s in the median, {max(recoveries):.0f} s at most"
    )
    if args.json:
        result = {
            "cpu": round(machine.children_cpu(), 1),
            "fleets": len(tries),
            "failed": failed,
            "seconds": round(seconds, 1),
            "recovery": max(recoveries),
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if failed else 0


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
