"""What still differs from the recordings of today's KServe, case by case: one file for each case in `open/`, sorted lines.

A line is one of `tests.golden.compare.differences`: an object and the path of a field in it, an event, a refusal or a
warning; never a pattern. A digest of the two values may follow. A case without a file agrees. The test of a case fails when a
difference is not in its file, when a line of its file is no difference any more, and when its values are others. So who closes some runs

    python -m tests.upstream.regenerate [case...]

looks at what `git diff --stat tests/upstream/open` says (lines should only go) and commits the files with the work. After a
rebase with conflicts in them, run it again for these cases. What is meant to differ for ever stands, with its reason, in
`decisions.py` and in no file.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from zlib import crc32

FOLDER = Path(__file__).parent / "open"
_MARK: Final = "  #"


def stored(name: str) -> dict[str, str]:
    """The open lines of a case, each with the digest of the values that it differs by; '' where none was written."""
    path = FOLDER / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {line: digest for line, _, digest in (line.partition(_MARK) for line in lines)}


def store(name: str, found: Mapping[str, str]) -> None:
    """Writes differences (line -> the two values), or removes the file when there are none."""
    path = FOLDER / f"{name}.txt"
    FOLDER.mkdir(exist_ok=True)
    if found:
        lines = [f"{line}{_digest(values)}\n" for line, values in sorted(found.items())]
        path.write_text("".join(lines), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _digest(values: str) -> str:
    """As it stands behind a line; empty where the line says all, as that of an event."""
    return f"{_MARK}{crc32(values.encode()):08x}" if values else ""


def listed() -> set[str]:
    """The cases that have a file."""
    return {path.stem for path in FOLDER.glob("*.txt")}


def judged(name: str, found: Mapping[str, str]) -> list[str]:
    """Complaints: differences that are not listed, listed ones that are gone, and values that are others than listed."""
    known = stored(name)
    new = [f"new: {line}: {found[line]}" for line in sorted(found.keys() - known.keys())]
    gone = [f"gone (regenerate): {line}" for line in sorted(known.keys() - found.keys())]
    changed = [
        f"changed: {line}: {found[line]}"
        for line in sorted(known.keys() & found.keys())
        if known[line] and f"{_MARK}{known[line]}" != _digest(found[line])
    ]
    return new + gone + changed
