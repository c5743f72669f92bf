"""Programs of others that judge what ships: Helm and actionlint from their Go modules, Prometheus from the path.

`python -m testbed.tools` builds what is missing into the cache folder of the real API server's programs (cold: about five
minutes of two cores, once) and says of everything it cannot have why. Nothing fails for that: its tests are then skipped
with the same words.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

from aioctl import piped
from testbed.real.build import NotAvailable, cache_folder, module_files


class GoTool(NamedTuple):
    """`go install package@version`; the module is checked against Go's checksum database."""

    package: str
    version: str
    ldflags: str = "-s -w"


GO_TOOLS: Final = {
    "helm": GoTool(
        "helm.sh/helm/v4/cmd/helm", "v4.3.2", "-s -w -X helm.sh/helm/v4/internal/version.version=v4.3.2"
    ),
    "actionlint": GoTool("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12"),
}
KSERVE: Final = ("v0.16.0", "v0.17.0", "v0.19.0", "v0.20.0")
"""Releases whose CRDs are compared with ours. The module proxy does not have v0.18.0."""
PACKAGES: Final = {"prometheus": "prometheus", "promtool": "prometheus", "chromium": "chromium"}
"""Program -> Debian's package that has it."""


def find(name: str) -> Path:
    """The program. Raises NotAvailable with what is missing and how to get it."""
    if (tool := GO_TOOLS.get(name)) is not None:
        path = _place(name, tool)
        if path.is_file():
            return path
        raise NotAvailable(f"no {name} in the cache; `python -m testbed.tools` builds it (needs Go)")
    found = shutil.which(name)
    if found is None:
        raise NotAvailable(f"no {name} on the path; it is in Debian's package {PACKAGES[name]}")
    return Path(found)


def build(name: str) -> Path:
    """A Go tool, built if need be, at the lowest priority. Raises NotAvailable."""
    tool = GO_TOOLS[name]
    path = _place(name, tool)
    if path.is_file():
        return path
    go = shutil.which("go")
    if go is None:
        raise NotAvailable(f"no {name}: there is no Go to build it with")
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"building {name} {tool.version} from Go modules ...", file=sys.stderr, flush=True)  # noqa: T201
    command = ["nice", go, "install", "-trimpath", "-ldflags", tool.ldflags, f"{tool.package}@{tool.version}"]
    environment = {**os.environ, "GOBIN": str(path.parent), "CGO_ENABLED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        raise NotAvailable(
            f"no {name}: go install {tool.package}@{tool.version}: {done.stderr.strip()[-300:]}"
        )
    return path


def kserve_crds(version: str, *, build: bool = False) -> tuple[Path, ...]:
    """The full CRDs of both kinds in a release of KServe. Raises NotAvailable."""
    names = tuple(
        f"config/crd/full/llmisvc/serving.kserve.io_{plural}.yaml"
        for plural in ("llminferenceservices", "llminferenceserviceconfigs")
    )
    return module_files({f"github.com/kserve/kserve@{version}": names}, "kserve", build=build)


def _place(name: str, tool: GoTool) -> Path:
    return cache_folder() / f"{name}-{tool.version}" / name


def main() -> int:
    for name in GO_TOOLS:
        try:
            print(f"{name}: {build(name)}")  # noqa: T201
        except NotAvailable as error:
            print(error)  # noqa: T201
    for version in KSERVE:
        try:
            print(f"CRDs of KServe {version}: {kserve_crds(version, build=True)[0].parent}")  # noqa: T201
        except NotAvailable as error:
            print(error)  # noqa: T201
    for name in PACKAGES:
        try:
            print(f"{name}: {find(name)}")  # noqa: T201
        except NotAvailable as error:
            print(error)  # noqa: T201
    return 0


if __name__ == "__main__":
    piped.command(main)
