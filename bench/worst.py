"""`python -m bench worst`: how long does one object hold the event loop at most, for each field of the CRDs' schemas?

Fields are filled at their longest, widest or deepest: with as much as an API server takes (3 MiB), and with 250 kB, which may
be planned. Of fields that are the same work one is taken (`testbed.worst_cases.distinct` says which), or all with `--all`
(34,000 a version and kind). Times are CPU milliseconds of the longest stretch between two awaits; a case of more than 40 is
played three times and the least counts, for the machine's own pauses are in none of them. One line a case, as it goes.
"""

import argparse
import gc
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from aioctl import logs
from aioctl.settings import LogFormat, LogLevel
from bench import machine, report
from testbed.worst_cases import LARGEST, Case, cases, distinct
from testbed.worst_holds import of_object

_SIZES: Final = (250 * 1000, LARGEST - 64 * 1024)
_KINDS: Final = ("LLMInferenceService", "LLMInferenceServiceConfig")
_VERSIONS: Final = ("v1alpha1", "v1alpha2")
_SHOWN: Final = 20
_LOOKED_AT: Final = 40.0
"""Milliseconds from which a case is played again."""
_TRIES: Final = 3


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench worst", description=__doc__)
    parser.add_argument("--only", default="", help="regular expression on `version kind field: shape`")
    parser.add_argument("--all", action="store_true", help="every field, not one of each kind of work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the record there")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    options = arguments(argv)
    logs.configure(LogLevel.ERROR, LogFormat.CONSOLE)
    gc.freeze()  # as the program does once its caches are filled
    started = monotonic()
    fields: dict[str, dict[str, float]] = {}
    longest: dict[str, float] = defaultdict(float)
    for name, case in _chosen(options):
        held = fields[name] = _holds(case)
        print(f"{max(held.values()):6.1f} ms  {max(held, key=held.__getitem__):<13} {name}", file=sys.stderr)
        for work, milliseconds in held.items():
            longest[work] = max(longest[work], milliseconds)
    seconds = round(monotonic() - started)
    result = {
        "command": "python -m bench worst",
        "machine": machine.describe(),
        "seconds": seconds,
        "longest_ms": dict(longest),
        "fields_ms": fields,
    }
    heaviest = sorted(fields.items(), key=lambda entry: -max(entry[1].values()))[:_SHOWN]
    rows = [(name, ", ".join(f"{work} {held} ms" for work, held in each.items())) for name, each in heaviest]
    total = f"{len(fields)} fields and shapes in {seconds} s"
    report.give("worst", [*rows, (total, str(dict(longest)))])
    if options.json:
        report.write(result, options.json)
    return 0


def _chosen(options: argparse.Namespace) -> Iterator[tuple[str, Case]]:
    for version in _VERSIONS:
        for kind in _KINDS:
            every = cases(kind, version)
            for case in every if options.all else distinct(every):
                name = f"{version} {kind} {case.name}"
                if re.search(options.only, name):
                    yield name, case


def _holds(case: Case) -> dict[str, float]:
    """The longest stretch of each kind of work over all sizes, in milliseconds."""
    held = _played(case)
    for _ in range(_TRIES - 1):
        if max(held.values()) < _LOOKED_AT:
            break
        again = _played(case)
        held = {work: min(milliseconds, again[work]) for work, milliseconds in held.items()}
    return held


def _played(case: Case) -> dict[str, float]:
    held: dict[str, float] = defaultdict(float)
    for size in _SIZES:
        for work, seconds in of_object(case.build(size)).longest.items():
            held[work] = max(held[work], round(seconds * 1e3, 1))
    return dict(held)
