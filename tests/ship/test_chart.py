"""The charts without a cluster: linted, the same objects as kustomize renders, bad values refused by name.

What follows from other files (values.yaml, README, versions) is compared in tests/deploy/test_charts.py, without Helm.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.manifests import DEPLOY
from tests.ship.charts import CONTROLLER, CRDS, VALUES, Helm, HelmError, by_name, loaded

pytestmark = pytest.mark.ship
GUARDED = ["network-policy", "monitoring", "metrics-auth"]
SAME = {
    "base": ("kserve", ["--set=createNamespace=true"], []),
    "overlays/cert-manager": ("kserve", ["--set=createNamespace=true,certificate.mode=cert-manager"], []),
    "overlays/beside-kserve": ("kserve", [f"--values={CONTROLLER}/ci/beside-kserve-values.yaml"], []),
    "overlays/openshift": ("opendatahub", [f"--values={CONTROLLER}/ci/openshift-values.yaml"], []),
    "base with every component": (
        "kserve",
        ["--set=createNamespace=true", f"--values={CONTROLLER}/ci/guarded-values.yaml"],
        GUARDED,
    ),
}
"""Folder below deploy -> the namespace, what says the same to the chart, the components on top of the base."""
MODES = {"overlays/cert-manager": "cert-manager", "overlays/openshift": "openshift"}


def kustomized(kubectl: Path, folder: Path) -> list[Any]:
    done = subprocess.run(
        [str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    return loaded(done.stdout)


def with_components(tmp_path: Path, components: list[str]) -> Path:
    """A copy of deploy/ with an overlay of these."""
    copied = shutil.copytree(
        DEPLOY, tmp_path / "deploy", symlinks=True, ignore=shutil.ignore_patterns("charts")
    )
    overlay = copied / "overlays" / "ours"
    overlay.mkdir()
    text = {"resources": ["../../base"], "components": [f"../../components/{name}" for name in components]}
    (overlay / "kustomization.yaml").write_text(json.dumps(text))
    return overlay


@pytest.fixture(scope="module")
def crds(helm: Helm) -> Callable[[str, str], list[Any]]:
    """What the chart of the CRDs renders for a certificate's mode and a namespace; costly, so once for each."""

    @cache
    def rendered(mode: str, namespace: str) -> list[Any]:
        return helm.template(CRDS, f"--set=certificate.mode={mode}", namespace=namespace)

    return rendered


@pytest.mark.parametrize("folder", SAME)
def test_the_charts_render_what_kustomize_renders(
    helm: Helm, crds: Callable[[str, str], list[Any]], kubectl: Path, tmp_path: Path, folder: str
) -> None:
    namespace, arguments, components = SAME[folder]
    place = with_components(tmp_path, components) if components else DEPLOY / folder
    wanted = by_name(kustomized(kubectl, place))
    rendered = by_name(
        [
            *crds(MODES.get(folder, "self"), namespace),
            *helm.template(CONTROLLER, *arguments, namespace=namespace),
        ]
    )
    assert sorted(rendered) == sorted(wanted)
    for name, item in wanted.items():
        assert rendered[name] == item, name


def test_the_presets_are_those_of_kustomize(helm: Helm, kubectl: Path) -> None:
    plain = by_name(helm.template(CONTROLLER))
    rendered = by_name(helm.template(CONTROLLER, "--set=presets.enabled=true"))
    presets = {name: item for name, item in rendered.items() if name not in plain}
    for item in presets.values():
        annotations = item["metadata"].pop("annotations")
        assert annotations["helm.sh/hook"] == "post-install,post-upgrade"
    assert presets == by_name(kustomized(kubectl, DEPLOY / "presets"))


@pytest.mark.parametrize("chart", [CONTROLLER, CRDS], ids=lambda chart: chart.name)
def test_lint_finds_nothing(helm: Helm, chart: Path) -> None:
    values = [f"--values={path}" for path in VALUES] if chart == CONTROLLER else [""]
    for given in values:
        said = helm("lint", "--strict", str(chart), *filter(None, [given]))
        assert "[ERROR]" not in said
        assert "[WARNING]" not in said


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("replicas=0", "replicas"),
        ("certificate.mode=own", "certificate/mode"),
        ("settings.AIOCTL_WORKER=2", "AIOCTL_WORKER"),
        ("image.digest=latest", "image/digest"),
        ("networkpolicy.enabled=true", "networkpolicy"),
        ("presets.updated=true", "updated"),
        ("monitoring.serviceMonitor.interval=often", "interval"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(helm: Helm, given: str, named: str) -> None:
    with pytest.raises(HelmError, match=named):
        helm.template(CONTROLLER, f"--set={given}")


def test_packages_hold_no_more_than_the_objects(helm: Helm, tmp_path: Path) -> None:
    """Helm 3 and 4 refuse to store a release above 1 MiB; packages are stored with it."""
    for chart in (CONTROLLER, CRDS):
        helm("package", str(chart), f"--destination={tmp_path}")
    (package,) = tmp_path.glob("aioctl-[0-9]*.tgz")
    names = subprocess.run(["tar", "tzf", str(package)], capture_output=True, text=True, check=True).stdout
    files = names.splitlines()
    assert "aioctl/files/base/cluster-role.yaml" in files
    assert "aioctl/charts/presets/files/config-llm-template.yaml" in files
    assert [
        name for name in files if name.endswith((".py", ".pyc", "kustomization.yaml")) or "/ci/" in name
    ] == []
