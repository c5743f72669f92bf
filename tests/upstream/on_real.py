"""`python -m tests.upstream.on_real [world|case...]`: plays worlds on real API servers, one after another; all of them without
arguments, and of a world whose cases are named only those.

Prints when each is done, and what no decision covers; see `tests.upstream.show` for the embedded cluster.
"""

import sys
import tempfile
import time
from pathlib import Path

import anyio

from aioctl import piped
from testbed.real.build import assets
from testbed.real.cluster import running
from tests.upstream.cases import NAMES, case, names_of
from tests.upstream.decisions import REAL, undecided
from tests.upstream.play import from_recording
from tests.upstream.real import SERVER_OPTIONS, WORLDS, play
from tests.upstream.show import quiet


def main(asked: list[str]) -> int:
    if not NAMES or set(asked) - {*WORLDS, *NAMES}:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return 1
    quiet()
    chosen = {
        world: [name for name in names_of(world) if not asked or {world, name} & {*asked}] for world in WORLDS
    }
    return max(_world(world, names) for world, names in chosen.items() if names)


def _world(world: str, names: list[str]) -> int:
    """1 for a difference that is not decided, or a write of the second program; 0 for none."""
    started = time.monotonic()
    cases = [case(name) for name in names]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(assets(build=False), audit=True, gogc=200, options=SERVER_OPTIONS.get(world, ())) as cluster,
    ):
        played = anyio.run(play, world, cases, cluster, Path(folder))
    differ = 0
    for each in cases:
        found = undecided(each.name, from_recording(each, played.states[each.name]), others=REAL)
        differ += bool(found)
        for line, values in sorted(found.items()):
            print(f"{each.name}: {line}: {values}")  # noqa: T201
    again = played.changed + played.sent
    for line in again:
        print(f"{world}: the second program wrote: {line}")  # noqa: T201
    took = time.monotonic() - started
    print(f"{world}: {len(cases) - differ} of {len(cases)} cases agree, {took:.0f} s")  # noqa: T201
    return int(bool(differ or again))


if __name__ == "__main__":
    piped.command(lambda: main(sys.argv[1:]))
