"""`python -m bench growth`: two days of services that come and go, in virtual time: does the process grow?

Every ten virtual minutes three services are created, migrate, are edited and deleted. The second half of the time must not
leave more in any container, nor more memory, than the first.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Final

from bench import bar
from testbed.growth import ROUND, grown, play
from testbed.logs import silent

HOURS: Final = 48.0


def main(argv: list[str]) -> int:
    """0: it does not grow; 1: it does."""
    parser = argparse.ArgumentParser(prog="python -m bench growth", description=__doc__)
    parser.add_argument("--hours", type=float, default=HOURS, help="virtual ones")
    parser.add_argument("--untraced", action="store_true", help="containers only: a third of the time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")
    args = parser.parse_args(argv)
    silent()
    rounds = max(4, round(args.hours * 3600 / ROUND))
    began, cpu = time.perf_counter(), time.process_time()
    lived: list[int] = []
    with bar.shown("rounds", lambda: len(lived), rounds):
        samples = play(rounds, traced=not args.untraced, told=lived.append)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    middle, end = samples[rounds // 2 - 1], samples[-1]
    wrong = grown(middle, end, rounds=rounds - rounds // 2)
    entries = [sum(sample.entries.values()) for sample in (middle, end)]
    print(
        f"{rounds} rounds, {args.hours:g} virtual hours in {seconds:.0f} s, {cpu:.0f} s of CPU: {entries[0]} entries of"
        f" {len(middle.entries)} containers in the middle, {entries[1]} at the end;"
        f" {middle.traced / 1e6:.2f} and {end.traced / 1e6:.2f} MB"
    )
    print(*[f"  grew: {line}" for line in wrong], f"{len(wrong)} grew", sep="\n")
    if args.json:
        result = {
            "hours": args.hours,
            "rounds": rounds,
            "seconds": round(seconds, 1),
            "cpu": round(cpu, 1),
            "entries": entries,
            "traced": [middle.traced, end.traced],
            "grew": wrong,
        }
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if wrong else 0
