"""`python -m tests.model`: explores the migration as far as the limits allow and says how far that was.

Ends with status 1 and a story when a law is broken. Two other long checks run instead when asked for: `--orders 1000`, that a
real controller ends in one status in whatever order it learns the same facts, and `--storms 1000`, that it ends where it
should after all kinds of bad luck at once.
"""

import argparse
import sys
from collections import Counter
from functools import partial

from aioctl import piped
from testbed.logs import silent
from testbed.virtual_time import run_virtual
from tests.model.explore import Report
from tests.model.orders import ILL, MIXED, WELL, told
from tests.model.side_by_side import EXPLORERS, explored
from tests.model.storm import weather

FLEET = 100
"""Services in one simulated cluster."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.model", description="Model checker of the pool migration."
    )
    parser.add_argument(
        "profiles",
        nargs="*",
        metavar="profile",
        help=f"of {', '.join(EXPLORERS)}; default: all",
    )
    parser.add_argument(
        "--states", type=int, default=100_000, help="at most so many in each profile; 0: no limit"
    )
    parser.add_argument("--seconds", type=float, default=0.0, help="at most so many in all; 0: no limit")
    parser.add_argument(
        "--orders", type=int, default=0, help="instead: tell a real controller facts in so many orders"
    )
    parser.add_argument(
        "--storms", type=int, default=0, help="instead: so many random histories of a real controller"
    )
    parser.add_argument("--processes", type=int, default=1, help="so many profiles side by side")
    given = parser.parse_args()
    silent()
    if given.storms:
        return _storms(given.storms)
    if given.orders:
        return _orders(given.orders)
    chosen = given.profiles or list(EXPLORERS)
    unknown = [name for name in chosen if name not in EXPLORERS]
    if unknown:
        parser.error(f"unknown profile {', '.join(unknown)}; there are {', '.join(EXPLORERS)}")
    if given.processes < 1:
        parser.error("--processes: at least 1")
    reports = []
    for name, report in explored(
        chosen, states=given.states, seconds=given.seconds, processes=given.processes
    ):
        reports.append(report)
        _say(f"{name}: {report}")
        if report.violation is not None:
            _say(str(report.violation))
    _say(_sum(reports))
    return int(any(report.violation is not None for report in reports))


def _orders(number: int) -> int:
    """Every order to a service of its own, on the simulated cluster; one status has to come of them."""
    worst = 1
    for name, facts in {"well": WELL, "ill": ILL, "mixed": MIXED}.items():
        ends: Counter[bytes] = Counter()
        for done in range(0, number, FLEET):
            fleet = min(FLEET, number - done)
            ends.update(run_virtual(told, facts, fleet, done).values())
        worst = max(worst, len(ends))
        _say(f"{name}: {number:,} orders end in {len(ends)} different statuses")
        for end, often in ends.items() if len(ends) > 1 else ():
            _say(f"  {often:,} times: {end.decode()}")
    return int(worst > 1)


def _storms(number: int) -> int:
    """Half of them with a user that meddles."""
    bad = 0
    for seed in range(number):
        meddling = seed % 2 == 1
        end = run_virtual(partial(weather, seed, meddling=meddling))
        problems = end.problems(meddling=meddling)
        bad += bool(problems)
        if problems:
            _say(f"storm {seed}: {'; '.join(problems)}")
    _say(f"{number:,} storms, {bad} ended badly")
    return int(bad > 0)


def _sum(reports: list[Report]) -> str:
    states = sum(report.states for report in reports)
    transitions = sum(report.transitions for report in reports)
    broken = sum(report.violation is not None for report in reports)
    return f"in all: {states:,} states, {transitions:,} transitions, {broken} broken laws"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    piped.command(main)
