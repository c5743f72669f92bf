"""What our CRDs are generated from, for the test that compares and for whoever raises a version.

`python -m testbed.real.schemas FOLDER` writes them into FOLDER (deploy/crds) by the command that users have.
"""

import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Final

from aioctl.crdgen.command import crds
from testbed.real.build import Assets
from testbed.real.build import assets as find_assets
from testbed.real.cluster import RealCluster, running

CORE, AUTOSCALING = "/openapi/v3/api/v1", "/openapi/v3/apis/autoscaling/v2"
GATEWAY: Final = "gateway.networking.k8s.io_httproutes.yaml"
POOL: Final = "inference.networking.k8s.io_inferencepools.yaml"
SCALED_OBJECT: Final = "keda.sh_scaledobjects.yaml"


def arguments(assets: Assets, cluster: RealCluster, output: Path) -> list[str]:
    """The arguments of `aioctl crds` that make the CRDs in that folder."""
    files = {
        "--openapi": openapi(cluster, CORE),
        "--openapi-autoscaling": openapi(cluster, AUTOSCALING),
        "--http-route": _named(f"standard/{GATEWAY}", assets.schemas),
        "--http-route-experimental": _named(f"experimental/{GATEWAY}", assets.schemas),
        "--pool": _named(POOL, assets.schemas),
        "--scaled-object": _named(SCALED_OBJECT, assets.schemas),
        "--output": output,
    }
    return [part for option, path in files.items() for part in (option, str(path))]


def openapi(cluster: RealCluster, path: str) -> Path:
    """An OpenAPI document, as the API server gives it."""
    request = urllib.request.Request(  # noqa: S310  an address of ours
        cluster.server + path,
        headers={"Authorization": f"Bearer {cluster.token}", "Accept": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(cluster.ca_file))
    kept = cluster.folder / f"{path.strip('/').replace('/', '-')}.json"
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
        kept.write_bytes(answer.read())
    return kept


def _named(name: str, paths: tuple[Path, ...]) -> Path:
    return next(path for path in paths if path.as_posix().endswith(f"/{name}"))


def main(output: Path) -> None:
    assets = find_assets(build=True)
    with running(assets) as cluster:
        crds.main(arguments(assets, cluster, output), standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
