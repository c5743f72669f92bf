"""`python -m tests.upstream.show [case...]`: plays cases, all without arguments, and prints what no decision covers.

A line each, with both values: `<case>: <difference>: <ours> != <theirs>`. What is meant to differ goes to `decisions.py`.
"""

import logging
import sys
from concurrent.futures import ProcessPoolExecutor

import structlog

from aioctl import piped
from tests.upstream.cases import NAMES, WHY_ABSENT
from tests.upstream.decisions import EMBEDDED, undecided
from tests.upstream.play import all_differences

PROCESSES = 2


def main(asked: list[str]) -> int:
    unknown = sorted(set(asked) - set(NAMES))
    if unknown or not NAMES:
        print(f"no such case: {', '.join(unknown)}" if NAMES else WHY_ABSENT, file=sys.stderr)  # noqa: T201
        return 1
    names = asked or NAMES
    differ = 0
    with ProcessPoolExecutor(min(PROCESSES, len(names)), initializer=quiet) as pool:
        for name, found in zip(names, pool.map(_open, names), strict=True):
            differ += bool(found)
            for line, values in sorted(found.items()):
                print(f"{name}: {line}: {values}")  # noqa: T201
    print(f"{len(names) - differ} of {len(names)} cases agree")  # noqa: T201
    return 0


def quiet() -> None:
    """Nothing is logged below critical."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _open(name: str) -> dict[str, str]:
    return undecided(name, all_differences(name), others=EMBEDDED.get(name, ()))


if __name__ == "__main__":
    piped.command(lambda: main(sys.argv[1:]))
