"""The recorded answer keys in ../shared/data: third-party data that is never copied into this repository.

Tests that need it are skipped, with the reason, in a checkout that stands alone.
"""

import json
import pickle
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from testbed.recorded_yaml import load_all

ROOT: Final = Path(__file__).resolve().parents[1].parent / "shared" / "data"
UPSTREAM: Final = ROOT / "upstream"
"""Recorded from KServe at aaac4e294 (21 August 2026)."""
_AT_THE_TOP: Final = re.compile(r"^[^ \n]", re.MULTILINE)
_ONE_BELOW: Final = re.compile(r"^  (\S.*?):?\s*$", re.MULTILINE)


def vectors(name: str, root: Path = ROOT) -> list[dict[str, Any]]:
    """The rows of vectors/<name>.jsonl below the root; skips the test when the file is not there."""
    path = root / "vectors" / f"{name}.jsonl"
    if not path.is_file():
        pytest.skip(f"recorded vectors are not here: {path.relative_to(ROOT.parents[1])}")
    return [json.loads(line) for line in path.read_text().splitlines()]


@cache
def _parsed(path: Path) -> bytes:
    """The documents of a file, so that each caller has its own; many tests of one process read the same files."""
    return pickle.dumps(list(load_all(path.read_text())))


def listed(path: Path, part: str) -> list[str]:
    """The keys of a mapping at the top of a recorded file, read off its lines: to choose cases by before they are parsed."""
    _, _, rest = path.read_text().partition(f"\n{part}:\n")
    end = _AT_THE_TOP.search(rest)
    return _ONE_BELOW.findall(rest, 0, end.start() if end else len(rest))


def documents(pattern: str) -> dict[str, list[Any]]:
    """The YAML files that match, by name without suffix; skips the test when there are none."""
    found = {path.stem: pickle.loads(_parsed(path)) for path in sorted(ROOT.glob(pattern))}  # noqa: S301  ours
    if not found:
        pytest.skip(f"recorded data is not here: shared/data/{pattern}")
    return found
