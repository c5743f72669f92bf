"""`python -m bench soak`: everything at once for so many minutes, and then the laws must hold.

The minutes are virtual: users, gateway, processes that die and misfortunes act on the embedded cluster as fast as the machine
can compute it, about 3 s of CPU a minute. A soak that fails prints the line that replays it.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Final

from bench import bar
from testbed.logs import silent
from testbed.soak import play

MINUTES, SERVICES = 5.0, 12
_MOST_LINES: Final = 20


def main(argv: list[str]) -> int:
    """0: all laws held; 1: some did not."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="virtual ones; 30 for a night's soak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--services", type=int, default=SERVICES, help="at most so many at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")
    args = parser.parse_args(argv)
    silent()
    began, cpu = time.perf_counter(), time.process_time()
    lived = [0.0]
    with bar.shown("virtual minutes", lambda: lived[-1] // 60, math.ceil(args.minutes)):
        report = play(args.minutes * 60, seed=args.seed, services=args.services, told=lived.append)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    deeds = ", ".join(f"{what} {count}" for what, count in sorted(report.deeds.items()))
    print(
        f"{args.minutes:g} virtual minutes in {seconds:.0f} s, {cpu:.0f} s of CPU: {deeds}; {report.writes} writes"
    )
    if report.broken:
        print(
            f"FAILED python -m bench soak --minutes {args.minutes:g} --seed {args.seed} --services {args.services}"
        )
        print(*[f"    {line}" for line in report.broken[:_MOST_LINES]], sep="\n")
    print(f"{report.services} services at the end, {len(report.broken)} laws broken")
    if args.json:
        result = {
            "minutes": args.minutes,
            "seed": args.seed,
            "seconds": round(seconds, 1),
            "cpu": round(cpu, 1),
            "deeds": dict(report.deeds),
            "writes": report.writes,
            "broken": list(report.broken),
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if report.broken else 0
