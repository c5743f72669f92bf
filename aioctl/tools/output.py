"""How a list is printed: `-o table|wide|json|yaml|name`. Field names of json and yaml are a promise; columns are not."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import click
import yaml


class Output(StrEnum):
    """The values of `-o`."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table. `wide`: shown with `-o wide` only. `field`: the item's field; `.` leads into objects."""

    title: str
    field: str
    wide: bool = False


def listing(
    items: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    output: Output,
    *,
    name: str,
    kind: str,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """The items as text. `name`: the field that `-o name` prints; `kind`: what json and yaml call the list.

    `extra` are further fields of the document of json and yaml.
    """
    if output in (Output.JSON, Output.YAML):
        return document({"kind": kind, **(extra or {}), "items": list(items)}, output)
    if output is Output.NAME:
        return "".join(f"{item[name]}\n" for item in items)
    shown = [column for column in columns if output is Output.WIDE or not column.wide]
    return table([column.title for column in shown], [[cell(item, c.field) for c in shown] for item in items])


def document(value: Mapping[str, Any], output: Output) -> str:
    """One object as json or yaml."""
    if output is Output.JSON:
        return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True))


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Plain aligned columns, the last one as it is; nothing at all for no rows."""
    if not rows:
        return ""
    every = [titles, *rows]
    widths = [max(len(row[place]) for row in every) for place in range(len(titles))]
    lines = ("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in every)
    return "".join(f"{line.rstrip()}\n" for line in lines)


def cell(item: Mapping[str, Any], field: str) -> str:
    """One value as a cell; empty where it is absent, one line whatever it holds."""
    found: Any = item
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, list):
        return ",".join(map(str, found))
    return "" if found is None else " ".join(str(found).split())


def coloured(text: str, colour: str) -> str:
    """In colour on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    return click.style(text, fg=colour) if uses_colour() else text


def uses_colour() -> bool:
    """True on a terminal without NO_COLOR."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
