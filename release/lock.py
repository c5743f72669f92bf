"""What the lock file says of each package, and which of them a purpose needs.

Imports the standard library only: the image's first stage runs it before anything is installed.
`python release/lock.py run` prints the part of the lock that the program runs with, hashes and all, `build` what builds it; further words are extras.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

REPOSITORY: Final = Path(__file__).resolve().parent.parent
LOCK: Final = REPOSITORY / "requirements.lock"
_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


class Package(NamedTuple):
    """One package of the lock. `text` is its part of the file, `via` the packages that ask for it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    """SHA-256 of every file that may be installed, in hexadecimal."""
    via: frozenset[str]
    text: str


def read(lock: Path = LOCK) -> dict[str, Package]:
    """Name -> package. Raises ValueError for a line that is none of a lock."""
    found = {}
    for text in re.split(r"^(?=[A-Za-z0-9])", lock.read_text(), flags=re.MULTILINE):
        if not text.strip() or text.startswith("#"):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)(?: ; ([^\\\n]+?))?(?: \\)?\n", text)
        if match is None:
            raise ValueError(f"{lock.name}: {text.splitlines()[0]!r} pins no package")
        name = normalized(match[1])
        via = re.findall(r"^    #(?: via)? +([A-Za-z0-9._-]+)", text, flags=re.MULTILINE)
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", text))
        found[name] = Package(
            name, match[2], match[3] or "", hashes, frozenset(map(normalized, via)) - {"via"}, text
        )
    return found


def normalized(name: str) -> str:
    """As PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(packages: Mapping[str, Package], wanted: Iterable[str]) -> dict[str, Package]:
    """These and all that they ask for, in order of the lock. Raises ValueError for one that is not locked."""
    names = set(wanted)
    if missing := names - packages.keys():
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}; run `make lock`")
    while more := {name for name, package in packages.items() if package.via & names} - names:
        names |= more
    return {name: package for name, package in packages.items() if name in names}


def wanted(purpose: str) -> set[str]:
    """The packages that pyproject.toml asks for: `run` the program's, `build` the build system's, else those of an extra."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    asked = {
        "run": project["project"]["dependencies"],
        "build": project["build-system"]["requires"],
        **project["project"].get("optional-dependencies", {}),
    }[purpose]
    return {normalized(_NAME.match(entry)[0]) for entry in asked}  # type: ignore[index]


def extras() -> tuple[str, ...]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return tuple(project.get("optional-dependencies", {}))


def main(*purposes: str) -> None:
    names = set().union(*map(wanted, purposes))
    print("".join(package.text for package in needed(read(), names).values()), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
