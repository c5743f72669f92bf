"""`python -m bench crds`: how long do both CRDs take on a real API server, and how large are they?

The clock runs from the first byte of `kubectl apply --server-side` until both kinds are served. Needs the programs of
`make test-real`.
"""

import argparse
import time
from pathlib import Path

from bench import machine, report
from testbed.real.build import assets
from testbed.real.cluster import running
from testbed.real.kubectl import Kubectl

FOLDER = Path(__file__).parents[1] / "deploy" / "crds"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench crds", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="fresh API servers")
    report.add_option(parser)
    options = parser.parse_args(argv)
    files = sorted(FOLDER.glob("serving.kserve.io_*.yaml"))
    found = assets(build=False)
    seconds = []
    for _ in range(options.runs):
        with running(found) as cluster:
            kubectl = Kubectl.of(found, cluster)
            began = time.perf_counter()
            kubectl.install_crds(*files)
            seconds.append(round(time.perf_counter() - began, 2))
    sizes = {path.name: path.stat().st_size for path in files}
    result = {
        "command": "python -m bench crds",
        "machine": machine.describe(),
        "seconds": seconds,
        "bytes": sizes,
    }
    rows = [("until both kinds are served", ", ".join(f"{each} s" for each in seconds))]
    report.give(
        "crds", result, options.json, [*rows, *((name, f"{size} bytes") for name, size in sizes.items())]
    )
    return 0
