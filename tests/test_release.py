"""What a release is made of, from the lock file: which packages run, their bill of materials and their licences."""

import json
import tomllib
from typing import Any

import pytest

from aioctl import __version__
from release import lock, sbom

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


def test_a_package_that_is_not_locked_is_named() -> None:
    with pytest.raises(ValueError, match="not in the lock: nosuch; run `make lock`"):
        lock.needed(lock.read(), {"nosuch"})


def test_every_licence_is_known_and_allowed() -> None:
    for name, _, licence in sbom.licences():
        parts = licence.replace("(", "").replace(")", "").replace(" OR ", " AND ").split(" AND ")
        assert set(parts) <= ALLOWED, (name, licence)


def test_the_bill_names_every_package_with_its_hashes_and_what_it_needs() -> None:
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
