"""The reference load: a fixed piece of Python work, done in turns while a scenario runs, so that figures of time become ratios.

Machines differ by three times from day to day, so no bound is in seconds: a time is divided by the CPU time that one unit took
beside it in the same run. A unit is a few JSON round trips of a fixed object and a SHA-256 of a fixed buffer, about a
millisecond. `python -m bench.reference` does one every fifth of a second (half a hundredth of a processor) until its standard
input ends, and prints the seconds of each as one line of JSON.
"""

import hashlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import thread_time
from typing import Any, Final

from aioctl import piped
from bench.machine import quantile

_PAUSE: Final = 0.2
_FEWEST: Final = 5
"""Units of any run, however short."""
_ROUND_TRIPS: Final = 3
_OBJECT: Final = {
    f"key-{number}": {"name": f"value-{number}", "number": number * 1.5, "list": [*range(8)]}
    for number in range(60)
}
_BUFFER: Final = bytes(range(256)) * 1024


@dataclass
class Reference:
    """What the units beside a run took; `seconds` is filled when the run is over."""

    seconds: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """In seconds of CPU. `spread`: the slow ones by the quick ones; far from 1 the machine was not the same throughout."""
        low, middle, high = (quantile(self.seconds, share) for share in (0.1, 0.5, 0.9))
        return {
            "unit_s": middle,
            "units": len(self.seconds),
            "spread": round(high / low, 2) if low else None,
        }


def unit() -> str:
    """The work. Its result is of no interest, but returned, so that nothing can leave it out."""
    text = ""
    for _ in range(_ROUND_TRIPS):
        text = json.dumps(json.loads(json.dumps(_OBJECT)))
    return hashlib.sha256(_BUFFER + text.encode()).hexdigest()


def timed() -> float:
    """Seconds of CPU of one unit."""
    began = thread_time()
    unit()
    return thread_time() - began


@contextmanager
def beside() -> Iterator[Reference]:
    """A process of its own does a unit after the other while inside."""
    reference = Reference()
    command = [sys.executable, "-m", "bench.reference"]
    # In a group of its own: a terminal's Ctrl-C is for the run, which ends it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0) as child:
        try:
            yield reference
        finally:
            said, _ = child.communicate()
        reference.seconds += json.loads(said)


def _until_told() -> Sequence[float]:
    unit()  # the first finds nothing warm
    seconds = [timed()]
    while not select.select([sys.stdin], [], [], _PAUSE)[0]:
        seconds.append(timed())
    while len(seconds) < _FEWEST:
        seconds.append(timed())
    return seconds


def main() -> None:
    print(json.dumps([round(each, 7) for each in _until_told()]), flush=True)


if __name__ == "__main__":
    piped.command(main)
