"""`python -m tests.upstream.show case...`: plays cases and prints each open difference with both values, `ours != theirs`."""

import sys

from tests.upstream.cases import NAMES
from tests.upstream.decisions import undecided
from tests.upstream.play import all_differences
from tests.upstream.regenerate import quiet


def main(asked: list[str]) -> int:
    if not asked or set(asked) - set(NAMES):
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 1
    quiet()
    for name in asked:
        for line, values in sorted(undecided(name, all_differences(name)).items()):
            print(f"{name}: {line}: {values}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
