"""`python -m tests.upstream.regenerate [case...]`: plays the cases (all without arguments) and writes what is still open.

See `open_list.py`. Prints how many cases agree, and the open lines by kind of object and by condition.
"""

import logging
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

import structlog

from tests.upstream import open_list
from tests.upstream.cases import NAMES, WHY_ABSENT
from tests.upstream.decisions import undecided
from tests.upstream.play import all_differences

PROCESSES = 2


def main(asked: list[str]) -> int:
    unknown = sorted(set(asked) - set(NAMES))
    if unknown or not NAMES:
        print(f"no such case: {', '.join(unknown)}" if NAMES else WHY_ABSENT, file=sys.stderr)  # noqa: T201
        return 1
    names = asked or NAMES
    with ProcessPoolExecutor(min(PROCESSES, len(names)), initializer=quiet) as pool:
        for name, lines in zip(names, pool.map(_open_lines, names), strict=True):
            open_list.store(name, lines)
    for gone in open_list.listed() - set(NAMES):
        open_list.store(gone, {})
    print(summary(NAMES))  # noqa: T201
    return 0


def quiet() -> None:
    """Nothing is logged below critical."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _open_lines(name: str) -> dict[str, str]:
    return undecided(name, all_differences(name))


def summary(names: Iterable[str]) -> str:
    """The state of the whole list as text."""
    lines = {name: open_list.stored(name) for name in names}
    kinds = Counter(_group(line) for found in lines.values() for line in found)
    conditions = Counter(
        line.partition(" status.conditions.")[2].partition(".")[0]
        for found in lines.values()
        for line in found
        if " status.conditions." in line
    )
    agree = sum(not found for found in lines.values())
    rows = [f"{agree} of {len(lines)} cases agree; {kinds.total()} open lines"]
    rows += [f"{count:7} {group}" for group, count in kinds.most_common()]
    rows += [f"{count:7} condition {type_}" for type_, count in conditions.most_common()]
    return "\n".join(rows)


def _group(line: str) -> str:
    """`deployments`, `events ours`, `refused` and so on."""
    first, _, rest = line.partition(" ")
    if first == "event":
        side, _, text = rest.partition(" ")
        return f"event {side}: {text.split(':')[0]}"
    return first.rpartition("/")[0] if "/" in first else first


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
