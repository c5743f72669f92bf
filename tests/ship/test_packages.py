"""Wheel and source distribution: the same bytes from two builds, and from each other; installed without the repository."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

from aioctl import __version__
from aioctl.sim import fleet
from release import lock

pytestmark = pytest.mark.ship
PARTS = ("aioctl", "deploy/presets", "deploy/base", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
EPOCH = "1700000000"


def build(tree: Path, kind: str, into: Path) -> Path:
    """The only file that hatchling makes of the tree; what it was made with, the lock says."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)],
        cwd=tree, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH}, check=True, capture_output=True,
    )  # fmt: skip
    (made,) = into.iterdir()
    return made


def copied(place: Path, *, moment: float) -> Path:
    """The sources, with other times and in another folder."""
    for part in PARTS:
        source, target = lock.REPOSITORY / part, place / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    for path in place.rglob("*"):
        os.utime(path, (moment, moment))
    return place


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return (
        copied(tmp_path_factory.mktemp("one") / "src", moment=1.6e9),
        copied(tmp_path_factory.mktemp("two") / "elsewhere", moment=1.7e9),
    )


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_two_builds_are_the_same_bytes(trees: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    one, other = (build(tree, kind, tmp_path / tree.name) for tree in trees)
    assert one.name == other.name
    assert __version__ in one.name
    assert digest(one) == digest(other)


def test_the_source_distribution_makes_the_same_wheel(trees: tuple[Path, Path], tmp_path: Path) -> None:
    source = build(trees[0], "sdist", tmp_path / "sdist")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (tree,) = (tmp_path / "unpacked").iterdir()
    assert digest(build(tree, "wheel", tmp_path / "again")) == digest(
        build(trees[0], "wheel", tmp_path / "first")
    )


def test_the_wheel_works_without_the_repository(trees: tuple[Path, Path], tmp_path: Path) -> None:
    """Beside the packages that are installed here; tests/ship/test_image.py installs those from the lock as well."""
    wheel = build(trees[0], "wheel", tmp_path / "dist")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"aioctl", f"aioctl-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)  # noqa: S202  our own
    ours = Path(os.path.realpath(next(path for path in sys.path if path.endswith("site-packages"))))
    for entry in ours.iterdir():
        # Everything but the development install of this repository.
        if "aioctl" not in entry.name and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    python = tmp_path / "venv" / "bin" / "python"
    (tmp_path / "service.yaml").write_text(yaml.safe_dump(fleet.services(1)[0]))
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    def say(*arguments: str) -> str:
        done = subprocess.run(
            [str(python), *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )  # fmt: skip
        return done.stdout

    assert say("-c", "import aioctl; print(aioctl.__file__)").startswith(str(site))
    assert __version__ in say("-m", "aioctl", "--version")
    # The presets come with it.
    assert "InferencePool" in say("-m", "aioctl", "render", "-f", "service.yaml")
