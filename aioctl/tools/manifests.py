"""Manifests that the command line names: files, folders, standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aioctl.tools.access import Exit, ToolError
from aioctl.yaml_text import documents


def read(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """(file, object) of each document of a file, of the YAML and JSON files of a folder, or of standard input (`-`).

    Lists are taken apart, as `kubectl get -o yaml` writes them. Each object has a `metadata` whose names are texts. Raises ToolError with one sentence that names the file.
    """
    return [(str(path), one) for path in _files(file) for one in _objects(path)]


def _files(file: Path) -> list[Path]:
    """Of a folder those that kubectl takes."""
    if not file.is_dir():
        return [file]
    return sorted(path for ending in ("yaml", "yml", "json") for path in file.glob(f"*.{ending}"))


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode()
        found = [one for one in documents(text) if one is not None]
    except UnicodeDecodeError as error:
        raise ToolError(f"{path}: is no text in UTF-8", Exit.USAGE) from error
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror or error}", Exit.USAGE) from error
    except ValueError as error:
        raise ToolError(f"{path}: {error}", Exit.USAGE) from error
    yield from (obj for one in found for obj in _taken_apart(path, one))


def _taken_apart(path: Path, one: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(one, dict):
        raise ToolError(f"{path}: holds a document that is no object", Exit.USAGE)
    if said := _unnamed(one):
        raise ToolError(f"{path}: {one.get('kind')}: {said}", Exit.USAGE)
    items = one.get("items")
    if str(one.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            yield from _taken_apart(path, item)
    else:
        yield one


def _unnamed(obj: dict[str, Any]) -> str:
    """What of its names is no text; the API server could not read the object either."""
    for field in ("apiVersion", "kind"):
        if not isinstance(obj.get(field, ""), str):
            return f"{field} is {obj[field]!r}, not a text"
    metadata = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        return "metadata is no object"
    for field in ("name", "namespace"):
        if not isinstance(metadata.get(field) or "", str):
            return f"metadata.{field} is {metadata[field]!r}, not a text: put it in quotes"
    return ""
