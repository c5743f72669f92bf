"""How a scenario tells its result: a table for people on standard error, JSON for the record."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, str]


def add_option(parser: argparse.ArgumentParser) -> None:
    """`--json FILE`, the same for every scenario."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as JSON")


def give(title: str, result: dict[str, Any], path: Path | None, rows: Sequence[Row]) -> None:
    """Prints the table and writes the file, if one is wanted."""
    table = Table(title=title, show_header=False)
    for name, value in rows:
        table.add_row(name, value)
    Console(width=140).print(table, highlight=False)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
