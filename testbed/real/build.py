"""Brings a kube-apiserver, an etcd and other people's CRDs: from KUBEBUILDER_ASSETS, or built once from Go modules.

The controllers that make a whole cluster of them are built from Go modules, too. Binaries and CRDs go to a cache folder
outside the repo (AIOCTL_TEST_CACHE, else ~/.cache/aioctl). Cold: about four minutes on two cores; afterwards nothing.
`python -m testbed.real.build [whole]` does it ahead of the tests and fails with a plain sentence where neither assets nor
Go exist.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aioctl import piped

KUBERNETES: Final = "v1.34.1"
HERE: Final = Path(__file__).parent
_KUBERNETES_FLAGS: Final = (
    f"-s -w -X k8s.io/component-base/version.gitVersion={KUBERNETES}"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
)


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program that is built from a Go module of this folder, which pins every version."""

    module: str
    package: str
    folder: str = f"kubernetes-{KUBERNETES}"
    """Where in the cache it is kept: it names the version."""
    ldflags: str = "-s -w"


def _kubernetes(name: str) -> GoProgram:
    return GoProgram("kube-apiserver", f"k8s.io/kubernetes/cmd/{name}", ldflags=_KUBERNETES_FLAGS)


ISTIOD: Final = "v0.0.0-20260827124520-eed52ebb66ad"
ENVOY_GATEWAY: Final = "v1.9.1"
GO_PROGRAMS: Final = {
    "etcd": GoProgram("etcd", "go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kubectl": _kubernetes("kubectl"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kwok": GoProgram("kwok", "sigs.k8s.io/kwok/cmd/kwok", "kwok-v0.8.0"),
    "lws": GoProgram("lws", "sigs.k8s.io/lws/cmd", "lws-v0.6.2"),
    "istiod": GoProgram("istiod", "istio.io/istio/pilot/cmd/pilot-discovery", f"istiod-{ISTIOD}"),
    "envoy-gateway": GoProgram(
        "envoy-gateway", "github.com/envoyproxy/gateway/cmd/envoy-gateway", f"envoy-gateway-{ENVOY_GATEWAY}"
    ),
}
API_SERVER: Final = ("etcd", "kube-apiserver", "kubectl")
"""What every test on a real server needs."""
TEST_REAL: Final = (*API_SERVER, "kube-controller-manager")
"""What `make test-real` needs: scaling is tested with the real HorizontalPodAutoscaler controller."""
GATEWAYS: Final = ("istiod", "envoy-gateway")
"""What `make test-gateways` needs beside the API server."""
WHOLE_CLUSTER: Final = ("kube-controller-manager", "kube-scheduler", "kwok", "lws", "istiod")
"""What makes a cluster without containers of it, a gateway controller included."""
CRD_SOURCES: Final = {
    "sigs.k8s.io/gateway-api@v1.4.1": (
        "config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml",
        "config/crd/standard/gateway.networking.k8s.io_gateways.yaml",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "sigs.k8s.io/gateway-api-inference-extension@v1.1.0": (
        "config/crd/bases/inference.networking.k8s.io_inferencepools.yaml",
        "config/crd/bases/inference.networking.x-k8s.io_inferencepools.yaml",
    ),
    "sigs.k8s.io/gateway-api-inference-extension@v0.5.1": (
        "config/crd/bases/inference.networking.x-k8s.io_inferencemodels.yaml",
    ),
    "sigs.k8s.io/lws@v0.6.2": ("config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml",),
    "istio.io/api@v1.24.2": ("kubernetes/customresourcedefinitions.gen.yaml",),
}

SCHEMA_SOURCES: Final = {
    "sigs.k8s.io/gateway-api@v1.5.1": (
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        "config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml",
    ),
    "sigs.k8s.io/gateway-api-inference-extension@v1.5.0": (
        "config/crd/bases/inference.networking.k8s.io_inferencepools.yaml",
    ),
    "github.com/kedacore/keda/v2@v2.18.0": ("config/crd/bases/keda.sh_scaledobjects.yaml",),
}
"""Read when our own CRDs are generated; KEDA's is installed where a test is about KEDA, the rest never."""
GATEWAY_CRD_SOURCES: Final = {
    "sigs.k8s.io/gateway-api@v1.6.0": tuple(
        f"config/crd/standard/gateway.networking.k8s.io_{plural}.yaml"
        for plural in (
            "backendtlspolicies",
            "gatewayclasses",
            "gateways",
            "grpcroutes",
            "httproutes",
            "listenersets",
            "referencegrants",
            "tcproutes",
            "tlsroutes",
            "udproutes",
        )
    ),
}
"""What istiod watches: it waits for what it does not find. Envoy Gateway does without, and without CRDs of its own."""
WEBHOOK_SOURCES: Final = {"sigs.k8s.io/lws@v0.6.2": ("config/webhook/manifests.yaml",)}
"""What LeaderWorkerSet's controller does at admission: without it pods do not know their place in a group."""
STAGE_SOURCES: Final = {
    "sigs.k8s.io/kwok@v0.8.0": (
        "kustomize/stage/node/fast/node-initialize.yaml",
        "kustomize/stage/pod/fast/pod-ready.yaml",
        "kustomize/stage/pod/fast/pod-complete.yaml",
        "kustomize/stage/pod/fast/pod-delete.yaml",
    ),
}
"""How kwok plays nodes and pods: each is ready at once."""


class NotAvailable(Exception):
    """No API server can be had here; the text says what is missing and how to get it."""


@dataclass(frozen=True, slots=True)
class Assets:
    """Paths of the programs, and the CRD files of other projects: those to install, and those only read."""

    kube_apiserver: Path
    etcd: Path
    kubectl: Path | None
    crds: tuple[Path, ...]
    schemas: tuple[Path, ...]


def cache_folder() -> Path:
    return Path(os.environ.get("AIOCTL_TEST_CACHE") or Path.home() / ".cache" / "aioctl")


def assets(*, build: bool) -> Assets:
    """The programs and CRDs; builds what is missing if asked to. Raises NotAvailable."""
    crds = module_files(CRD_SOURCES, "crds", build=build)
    schemas = module_files(SCHEMA_SOURCES, "schemas", build=build)
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        folder = Path(given)
        for name in ("kube-apiserver", "etcd"):
            if not (folder / name).is_file():
                raise NotAvailable(f"KUBEBUILDER_ASSETS={given} holds no {name}")
        return Assets(
            folder / "kube-apiserver", folder / "etcd", _optional(folder / "kubectl"), crds, schemas
        )
    etcd, kube_apiserver, kubectl = (program(name, build=build) for name in API_SERVER)
    return Assets(kube_apiserver, etcd, kubectl, crds, schemas)


def program(name: str, *, build: bool) -> Path:
    """One of GO_PROGRAMS from the cache; builds it first if asked to. Raises NotAvailable."""
    folder = cache_folder() / GO_PROGRAMS[name].folder
    if not (folder / name).is_file():
        if not build:
            target = "test-real" if name in TEST_REAL else "test-gateways" if name in GATEWAYS else "e2e"
            raise NotAvailable(f"no {name} in the cache; `make {target}` builds it (needs Go)")
        _build(name, folder)
    return folder / name


def stages(*, build: bool) -> tuple[Path, ...]:
    """The files that kwok reads. Raises NotAvailable."""
    return module_files(STAGE_SOURCES, "stages", build=build)


def gateway_crds(*, build: bool) -> tuple[Path, ...]:
    """The CRDs that gateway controllers want, Gateway API's in the version that they want. Raises NotAvailable."""
    return module_files(GATEWAY_CRD_SOURCES, "gateway-crds", build=build)


def webhooks(*, build: bool) -> tuple[Path, ...]:
    """The webhook configurations of LeaderWorkerSet's controller. Raises NotAvailable."""
    return module_files(WEBHOOK_SOURCES, "webhooks", build=build)


def _optional(path: Path) -> Path | None:
    return path if path.is_file() else None


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise NotAvailable("neither KUBEBUILDER_ASSETS nor Go is here: set the one or install the other")
    return go


def _build(name: str, folder: Path) -> None:
    found = GO_PROGRAMS[name]
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.unfinished"
    print(f"building {name} ({found.package}) from Go modules ...", file=sys.stderr, flush=True)  # noqa: T201
    command = [_go(), "build", "-trimpath", "-ldflags", found.ldflags, "-o", str(unfinished), found.package]
    done = subprocess.run(
        command, cwd=HERE / found.module, env={**os.environ, "CGO_ENABLED": "0"}, check=False
    )
    if done.returncode != 0:
        raise NotAvailable(f"building {name} failed; the compiler's words stand above")
    unfinished.rename(folder / name)


def module_files(sources: Mapping[str, tuple[str, ...]], kind: str, *, build: bool) -> tuple[Path, ...]:
    """Module -> files of it, each from the cache folder's part `kind`, fetched if asked to. Raises NotAvailable."""
    folder = cache_folder() / kind
    found: list[Path] = []
    for module, files in sources.items():
        kept = folder / module.replace("/", "_")
        copies = [kept / Path(file).parent.name / Path(file).name for file in files]
        if not all(copy.is_file() for copy in copies):
            if not build:
                raise NotAvailable(
                    f"the {kind} of {module} are not in the cache; `make test-real` fetches them (needs Go)"
                )
            source = download(module)
            for file, copy in zip(files, copies, strict=True):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / file, copy)
        found += copies
    return tuple(found)


def download(module: str) -> Path:
    done = subprocess.run(
        [_go(), "mod", "download", "-json", module], capture_output=True, text=True, check=False, cwd=HERE
    )
    if done.returncode != 0:
        raise NotAvailable(f"go mod download {module} failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return Path(json.loads(done.stdout)["Dir"])


def main(arguments: Sequence[str]) -> int:
    """Builds what `make test-real` needs; with `whole`, all of a cluster without containers; with `gateways`, those.

    With `--only-cached` nothing is built: it succeeds where all of it is there.
    """
    build = "--only-cached" not in arguments
    wanted = {
        *TEST_REAL,
        *(WHOLE_CLUSTER if "whole" in arguments else ()),
        *(GATEWAYS if "gateways" in arguments else ()),
    }
    try:
        found = assets(build=build)
        for name in sorted(wanted - set(API_SERVER)):
            program(name, build=build)
        if "whole" in arguments:
            stages(build=build)
            webhooks(build=build)
        if {"whole", "gateways"} & set(arguments):
            gateway_crds(build=build)
    except NotAvailable as error:
        print(f"no real cluster here: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(f"kube-apiserver and etcd in {found.kube_apiserver.parent}, {len(found.crds)} CRD files")  # noqa: T201
    return 0


if __name__ == "__main__":
    piped.command(lambda: main(sys.argv[1:]))
