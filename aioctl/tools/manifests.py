"""Manifests that the command line names: files, folders, standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aioctl.tools.access import Exit, ToolError
from aioctl.yaml_text import documents


def read(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """(file, object) of each document of a file, of the YAML files of a folder, or of standard input (`-`).

    Raises ToolError with one sentence that names the file.
    """
    return [(str(path), one) for path in _files(file) for one in _objects(path)]


def _files(file: Path) -> list[Path]:
    return sorted([*file.glob("*.yaml"), *file.glob("*.yml")]) if file.is_dir() else [file]


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        found = [one for one in documents(text) if one is not None]
    except (OSError, ValueError) as error:
        raise ToolError(f"{path}: {' '.join(str(error).split())}", Exit.USAGE) from error
    for one in found:
        if not isinstance(one, dict):
            raise ToolError(f"{path}: holds a document that is no object", Exit.USAGE)
        yield one
