"""`python -m bench worst`: how long does one object hold the event loop at most, for each field of the CRDs' schemas?

Fields are filled at their longest, widest or deepest: with as much as an API server takes (3 MiB), and with 250 kB, which may
be planned. Of fields that are the same work one is taken, or all with `--all` (34,000 a version and kind, about half a second each). Times are CPU milliseconds of the longest
stretch between two awaits.
"""

import argparse
import re
from collections import defaultdict

from aioctl import logs
from aioctl.settings import LogFormat, LogLevel
from bench import machine, report
from testbed.worst_cases import LARGEST, Case, cases, distinct
from testbed.worst_holds import of_object

_SIZES = (250 * 1000, LARGEST - 64 * 1024)
_KINDS = ("LLMInferenceService", "LLMInferenceServiceConfig")
_SHOWN = 40


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench worst", description=__doc__)
    parser.add_argument("--only", default="", help="regular expression on `field: shape`")
    parser.add_argument("--version", default="v1alpha2", choices=("v1alpha1", "v1alpha2"))
    parser.add_argument("--all", action="store_true", help="every field, not one of each kind of work")
    report.add_option(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    options = arguments(argv)
    logs.configure(LogLevel.ERROR, LogFormat.CONSOLE)
    fields: dict[str, dict[str, float]] = {}
    longest: dict[str, float] = defaultdict(float)
    for kind in _KINDS:
        every = cases(kind, options.version)
        for case in every if options.all else distinct(every):
            if re.search(options.only, case.name):
                held = _holds(case)
                fields[f"{kind} {case.name}"] = held
                for work, milliseconds in held.items():
                    longest[work] = max(longest[work], milliseconds)
    result = {
        "command": "python -m bench worst",
        "machine": machine.describe(),
        "longest_ms": dict(longest),
        "fields_ms": fields,
    }
    heaviest = sorted(fields.items(), key=lambda entry: -max(entry[1].values()))[:_SHOWN]
    rows = [(name, ", ".join(f"{work} {held} ms" for work, held in each.items())) for name, each in heaviest]
    report.give(
        "worst", result, options.json, [*rows, (f"{len(fields)} fields and shapes", str(dict(longest)))]
    )
    return 0


def _holds(case: Case) -> dict[str, float]:
    """The longest stretch of each kind of work over all sizes, in milliseconds."""
    held: dict[str, float] = defaultdict(float)
    for size in _SIZES:
        for work, seconds in of_object(case.build(size)).longest.items():
            held[work] = max(held[work], round(seconds * 1e3, 1))
    return dict(held)
