"""What still differs from the recordings of today's KServe, case by case: one file for each case in `open/`, sorted lines.

A line is one of `tests.golden.compare.differences`: an object and the path of a field in it, an event, a refusal or a
warning; never a pattern. A case without a file agrees. The test of a case fails when a difference is not in its file, and
also when a line of its file is no difference any more. So who closes some runs

    python -m tests.upstream.regenerate [case...]

looks at what `git diff --stat tests/upstream/open` says (lines should only go) and commits the files with the work. After a
rebase with conflicts in them, run it again for these cases. What is meant to differ for ever stands, with its reason, in
`decisions.py` and in no file.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

FOLDER = Path(__file__).parent / "open"


def stored(name: str) -> list[str]:
    """The open lines of a case."""
    path = FOLDER / f"{name}.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def store(name: str, lines: Iterable[str]) -> None:
    """Writes them, or removes the file when there are none."""
    path, wanted = FOLDER / f"{name}.txt", sorted(lines)
    FOLDER.mkdir(exist_ok=True)
    if wanted:
        path.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def listed() -> set[str]:
    """The cases that have a file."""
    return {path.stem for path in FOLDER.glob("*.txt")}


def judged(name: str, found: Mapping[str, str]) -> list[str]:
    """Complaints: differences that are not listed, and listed ones that are gone."""
    known = set(stored(name))
    new = [f"new: {line}: {values}" for line, values in sorted(found.items()) if line not in known]
    gone = [f"gone (regenerate): {line}" for line in sorted(known - found.keys())]
    return new + gone
