"""The rows of docs/upgrade.md: no release of KServe has a field that our CRDs would prune, and the page says its versions."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import tools
from testbed.real.build import NotAvailable
from tests.deploy.manifests import DEPLOY

pytestmark = pytest.mark.ship
PAGE = (DEPLOY.parent / "docs" / "upgrade.md").read_text()


def crds(version: str) -> dict[str, Any]:
    """Plural -> the CRD of a release; skips where it cannot be had."""
    try:
        files = tools.kserve_crds(version)
    except NotAvailable as error:
        pytest.skip(str(error))
    return {crd["spec"]["names"]["plural"]: crd for crd in map(load, files)}


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), yaml.CSafeLoader)


def fields(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Every path of a schema."""
    for name, part in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from fields(part, f"{prefix}{name}.")
    for key in ("items", "additionalProperties"):
        if isinstance(part := schema.get(key), Mapping):
            yield from fields(part, f"{prefix}[].")


def versions(crd: Mapping[str, Any]) -> dict[str, set[str]]:
    return {item["name"]: set(fields(item["schema"]["openAPIV3Schema"])) for item in crd["spec"]["versions"]}


OURS = {
    plural: DEPLOY / "crds" / f"serving.kserve.io_{plural}.yaml"
    for plural in ("llminferenceservices", "llminferenceserviceconfigs")
}


@pytest.fixture(scope="module")
def ours() -> dict[str, dict[str, set[str]]]:
    return {plural: versions(load(path)) for plural, path in OURS.items()}


@pytest.mark.parametrize("release", tools.KSERVE)
def test_no_field_of_a_release_is_lost(release: str, ours: dict[str, dict[str, set[str]]]) -> None:
    for plural, crd in crds(release).items():
        for version, theirs in versions(crd).items():
            assert len(theirs) > 5000
            assert sorted(theirs - ours[plural][version]) == []


@pytest.mark.parametrize("release", tools.KSERVE)
def test_the_page_names_the_versions_of_a_release(release: str) -> None:
    (row,) = (
        line
        for line in PAGE.splitlines()
        if line.startswith("| KServe ") and release.removesuffix(".0") in line
    )
    for crd in crds(release).values():
        served = [item["name"] for item in crd["spec"]["versions"] if item["served"]]
        (stored,) = (item["name"] for item in crd["spec"]["versions"] if item["storage"])
        assert f"| {', '.join(served)} ({stored}) |" in row
