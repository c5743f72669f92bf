"""`python -m bench crds`: how long do both CRDs take on a real API server, and how large are they?

The clock runs from the first byte of `kubectl apply --server-side` until both kinds are served. Needs the programs of
`make test-real`.
"""

import argparse
import time
from pathlib import Path
from typing import Final

from bench.scenario import Parameter, Result, Scenario
from testbed.real.build import assets
from testbed.real.cluster import running
from testbed.real.kubectl import Kubectl

FOLDER: Final = Path(__file__).parents[1] / "deploy" / "crds"


def run(options: argparse.Namespace) -> Result:
    files = sorted(FOLDER.glob("serving.kserve.io_*.yaml"))
    found = assets(build=False)
    seconds = []
    for _ in range(options.servers):
        with running(found) as cluster:
            kubectl = Kubectl.of(found, cluster)
            began = time.perf_counter()
            kubectl.install_crds(*files)
            seconds.append(round(time.perf_counter() - began, 2))
    sizes = {path.name: path.stat().st_size for path in files}
    rows = [("until both kinds are served", ", ".join(f"{each} s" for each in seconds))]
    return Result(
        {"seconds": seconds, "bytes": sizes},
        [*rows, *((name, f"{size} bytes") for name, size in sizes.items())],
    )


SCENARIO: Final = Scenario(
    name="crds",
    what="both CRDs are applied to fresh API servers with kubectl, until their kinds are served",
    measures="seconds of each, and the files' bytes.",
    judged_by="several fresh servers; the spread between them is printed.",
    run=run,
    parameters=[Parameter("servers", 3, "fresh API servers", least=1)],
    not_elsewhere="it installs CRDs, which a cluster with services must not lose and get anew",
)
