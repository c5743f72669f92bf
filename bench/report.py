"""How a scenario tells its result: a table for people on standard error, JSON for the record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines over one axis. All lines have as many values as `x`; None is a gap."""

    title: str
    x: str
    y: str
    values: Sequence[float]
    lines: Mapping[str, Sequence[float | None]]
    is_log: bool = False
    """Of the x axis."""

    def as_json(self) -> dict[str, Any]:
        lines = {name: list(values) for name, values in self.lines.items()}
        return {
            "title": self.title,
            "x": self.x,
            "y": self.y,
            "values": list(self.values),
            "lines": lines,
            "log": self.is_log,
        }


SHARES: Final = "% that took at most so long"


def quantiles(title: str, unit: str, samples: Mapping[str, Sequence[float]]) -> Plot:
    """Distributions side by side: what share of the samples is at most so much."""
    shares = [*range(0, 100, 2), 99, 99.9, 100]
    lines = {
        name: [round(ordered[min(len(ordered) - 1, int(share / 100 * len(ordered)))], 5) for share in shares]
        for name, found in samples.items()
        if (ordered := sorted(found))
    }
    return Plot(title, SHARES, unit, shares, lines)


def give(title: str, rows: Sequence[Row]) -> None:
    """Prints the table."""
    table = Table(title=title, show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    Console(width=140, stderr=True).print(table, highlight=False)


def write(record: Any, path: Path) -> None:
    """The record as JSON. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
