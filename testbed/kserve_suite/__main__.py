"""KServe's own suite of its controller, as released, against `aioctl run`: `python -m testbed.kserve_suite [name or part of it]`.

The suite is compiled from KServe's Go module with one file of ours in the place of another, which starts our program instead of
the Go controller. Sources and program go to the cache of the real API server's programs; nothing of KServe's stands here. Cold: six
minutes of CPU; a run takes about ten minutes on two cores. Exit code 1: a spec failed that is not listed with a reason
in `differences.py`, or a listed one passed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from aioctl import piped
from testbed.kserve_suite.differences import SPECS
from testbed.real.build import NotAvailable, assets, cache_folder, download

VERSION: Final = "v0.20.0"
MODULE: Final = "github.com/kserve/kserve"
PACKAGE: Final = "pkg/controller/v1alpha2/llmisvc"
FIXTURE: Final = f"{PACKAGE}/fixture/envtest.go"
PARTS: Final = ("go.mod", "go.sum", "pkg", "config/llmisvcconfig", "test/crds", "test/webhooks")
"""What of the module the suite needs; Go compiles nothing else of ours inside its own module cache."""
OURS: Final = Path(__file__).with_name("envtest.go")
PATIENCE: Final = "30s"
"""How long a spec waits for what it expects, as in KServe's own runs."""
DEADLINE: Final = "40m"
SETTINGS: Final = {
    "AIOCTL_METRICS_PORT": "0",
    "AIOCTL_HEALTH_PORT": "0",
    "AIOCTL_LEADER_ELECTION": "false",
}


def compiled() -> tuple[Path, Path]:
    """The suite as a program, and the sources that it reads manifests from. Raises NotAvailable."""
    kept = cache_folder() / f"kserve-suite-{VERSION}"
    program, sources = kept / "llmisvc.test", kept / "kserve"
    if program.is_file() and (sources / FIXTURE).read_bytes() == OURS.read_bytes():
        return program, sources
    go = shutil.which("go")
    if go is None:
        raise NotAvailable("KServe's suite is compiled with Go, and there is none")
    module = download(f"{MODULE}@{VERSION}")
    shutil.rmtree(kept, ignore_errors=True)
    for part in PARTS:
        copy = shutil.copytree if (module / part).is_dir() else shutil.copyfile
        (sources / part).parent.mkdir(parents=True, exist_ok=True)
        copy(module / part, sources / part)
    (sources / FIXTURE).unlink()
    shutil.copyfile(OURS, sources / FIXTURE)
    print(f"compiling the suite of KServe {VERSION} ...", flush=True)  # noqa: T201
    command = [go, "test", "-c", "-o", str(program), f"./{PACKAGE}"]
    if subprocess.run(command, cwd=sources, check=False).returncode != 0:
        raise NotAvailable("compiling KServe's suite failed; the compiler's words stand above")
    return program, sources


def run(program: Path, sources: Path, folder: Path, focus: str) -> list[Mapping[str, Any]]:
    """What became of each spec that ran, as Ginkgo reports it. Raises NotAvailable where no API server can be had."""
    report = folder / "report.json"
    command = [
        str(program), "-test.timeout", DEADLINE, "-ginkgo.no-color", f"-ginkgo.json-report={report}",
        "-test.run", "TestLLMInferenceServiceController", f"-ginkgo.focus={re.escape(focus)}",
    ]  # fmt: skip
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LLMISVC_")},
        **SETTINGS,
        "KUBEBUILDER_ASSETS": str(assets(build=True).kube_apiserver.parent),
        "SUITE_FOLDER": str(folder),
        "SUITE_CONTROLLER": str(Path(sys.executable).with_name("aioctl")),
        "SUITE_PATIENCE": PATIENCE,
        "AIOCTL_STATE_DIR": str(folder / "state"),
    }
    # Its exit code says no more than the report; with no report its words have to say why.
    subprocess.run(command, cwd=sources / PACKAGE, env=environment, check=False)
    if not report.is_file():
        raise NotAvailable("KServe's suite did not come to a report; its words stand above")
    specs: list[Mapping[str, Any]] = json.loads(report.read_text())[0]["SpecReports"]
    return [spec for spec in specs if spec["LeafNodeType"] == "It" and spec["State"] != "skipped"]


def name_of(spec: Mapping[str, Any]) -> str:
    """The full text of a spec, as Ginkgo prints it."""
    return " ".join([*spec["ContainerHierarchyTexts"], spec["LeafNodeText"]])


def verdict(specs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each spec that did not end as it should; none when all is well."""
    for spec in specs:
        name, passed = name_of(spec), spec["State"] == "passed"
        if passed and name in SPECS:
            yield f"passed, but is listed as different: {name}"
        elif not passed and name not in SPECS:
            yield f"{spec['State']}: {name}"


def main(focus: str = "") -> int:
    try:
        program, sources = compiled()
        with tempfile.TemporaryDirectory(prefix="aioctl-suite-") as folder:
            specs = run(program, sources, Path(folder), focus)
    except NotAvailable as error:
        print(f"no suite of KServe's here: {error}", file=sys.stderr)  # noqa: T201
        return 1
    wrong = list(verdict(specs))
    for line in wrong:
        print(line)  # noqa: T201
    listed = sum(name_of(spec) in SPECS for spec in specs)
    print(  # noqa: T201
        f"{len(specs)} specs of KServe {VERSION} ran, {listed} of them different on purpose, {len(wrong)} not as they should be"
    )
    return 1 if wrong or not specs else 0


if __name__ == "__main__":
    piped.command(lambda: main(*sys.argv[1:2]))
