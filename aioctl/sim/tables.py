"""The Table answers that `kubectl get` prints: name, the kind's printer columns, age.

JSON paths are the two shapes our columns use: dotted fields and one filter by condition type.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from aioctl.sim.records import Record
from aioctl.sim.resources import Version

_FILTER: Final = re.compile(r"^(?P<field>[^\[]+)\[\?\(@\.(?P<key>\w+)=='(?P<value>[^']*)'\)\]$")

_PART: Final = re.compile(r"(?:\[[^\[\]]*+\]|[^.])++")


def _dig(obj: Any, path: str) -> Any:
    for part in _PART.findall(path):
        if match := _FILTER.match(part):
            items = obj.get(match["field"]) if isinstance(obj, dict) else None
            found = [item for item in items or () if item.get(match["key"]) == match["value"]]
            obj = found[0] if found else None
        else:
            obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def age(created: str, now: datetime) -> str:
    """As kubectl shortens it: seconds up to 2 minutes, then minutes, hours, days."""
    if not created:
        return "<unknown>"
    started = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    seconds = max(int((now - started).total_seconds()), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def table(
    records: Sequence[Record],
    version: Version,
    revision: str,
    now: datetime,
    metadata: dict[str, object] | None = None,
) -> bytes:
    """A meta.k8s.io/v1 Table with metadata-only objects in its rows."""
    columns = [("Name", "string", "metadata.name"), *version.columns]
    definitions = [{"name": name, "type": kind, "format": ""} for name, kind, _ in columns]
    definitions[0]["format"] = "name"
    rows = []
    for record in records:
        obj = record.decode()
        cells = [_dig(obj, path) for _, _, path in columns]
        rows.append(
            {
                "cells": [*cells, age(obj["metadata"].get("creationTimestamp", ""), now)],
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": obj["metadata"],
                },
            }
        )
    return msgspec.json.encode(
        {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata or {"resourceVersion": revision},
            "columnDefinitions": [*definitions, {"name": "Age", "type": "string", "format": ""}],
            "rows": rows,
        }
    )
