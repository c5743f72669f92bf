"""What a release is made of, from the lock file: which packages run, their bill of materials and their licences."""

import json
import os
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aioctl import __version__
from release import lock, publication, sbom

RUN = lock.needed(lock.read(), lock.wanted("run"))
DEV = {
    lock.normalized(entry.split(">")[0].split("=")[0])
    for entry in tomllib.loads((lock.REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]["dev"]
}
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0",
}  # fmt: skip
"""What may stand in an image under Apache-2.0."""


def test_what_runs_is_what_is_asked_for_and_what_that_asks_for() -> None:
    assert {"aiohttp", "yarl", "multidict", "pydantic-core"} <= RUN.keys()
    # Direct ones of development, and what only they ask for.
    assert not RUN.keys() & (DEV | {"pluggy", "execnet", "iniconfig", "sortedcontainers", "mypy-extensions"})
    assert all(package.hashes for package in RUN.values())


def test_the_lock_is_read_before_anything_is_installed() -> None:
    """As in the image's first stage: no packages, and none of ours on the path."""
    words = [sys.executable, "-I", "-S", str(lock.REPOSITORY / "release" / "lock.py"), "run"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(package.text for package in RUN.values())


def test_a_package_that_is_not_locked_is_named() -> None:
    with pytest.raises(ValueError, match="not in the lock: nosuch; run `make lock`"):
        lock.needed(lock.read(), {"nosuch"})


@pytest.fixture
def extras_installed() -> None:
    """What a package says of itself is read from what is installed."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra aioctl[otel] is not installed")


def test_every_licence_is_known_and_allowed(extras_installed: None) -> None:
    for name, _, licence in sbom.licences():
        parts = licence.replace("(", "").replace(")", "").replace(" OR ", " AND ").split(" AND ")
        assert set(parts) <= ALLOWED, (name, licence)


def test_the_bill_names_every_package_with_its_hashes_and_what_it_needs(extras_installed: None) -> None:
    bill = sbom.bill()
    components = {component["name"]: component for component in bill["components"]}
    assert components.keys() == sbom.run_time().keys()
    for name, package in sbom.run_time().items():
        component = components[name]
        assert component["purl"] == component["bom-ref"] == f"pkg:pypi/{name}@{package.version}"
        (reference,) = component["externalReferences"]
        assert {entry["content"] for entry in reference["hashes"]} == set(package.hashes)
        assert component["licenses"]
    depends: dict[str, list[str]] = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert depends.keys() == {component["purl"] for component in components.values()} | {
        f"pkg:pypi/aioctl@{__version__}"
    }
    assert components["yarl"]["purl"] in depends[components["aiohttp"]["purl"]]
    assert components["aiohttp"]["purl"] in depends[f"pkg:pypi/aioctl@{__version__}"]


def test_the_same_lock_makes_the_same_bill(monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Any:
        return json.loads(json.dumps(sbom.bill()))

    assert made() == made()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert made()["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"


def test_the_changes_of_a_version_are_its_section() -> None:
    text = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0 - 2026-01-01\n\n### Added\n\n- this\n\n## 1.1.0\n\n- that\n"
    assert publication.changes("1.2.0", text) == "### Added\n\n- this\n"
    assert publication.changes("1.1.0", text) == "- that\n"
    with pytest.raises(publication.NoChangesError, match=r"no section `## 2\.0\.0`"):
        publication.changes("2.0.0", text)


def test_the_plugin_starts_the_release_of_its_own_version(tmp_path: Path) -> None:
    """Installed already: nothing is fetched. The archive is the same bytes each time."""
    archive = publication.plugin(tmp_path)
    first = archive.read_bytes()
    assert publication.plugin(tmp_path).read_bytes() == first
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    folder = tmp_path / "cache" / "kubectl-aioctl" / __version__
    (folder / "bin").mkdir(parents=True)
    (folder / "ready").touch()
    program = folder / "bin" / "kubectl-aioctl"
    program.write_text('#!/bin/sh\necho "started with $*"\n')
    program.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, str(tmp_path / "kubectl-aioctl"), "status", "-A"], env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    assert done.stdout == "started with status -A\n"
    assert os.access(tmp_path / "kubectl-aioctl", os.X_OK)
