"""Records as one page that needs nothing else: figures, what was expected, and plots, light or dark as the reader has it."""

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench import compare, machine

_HERE: Final = Path(__file__).parent / "report_page"
_UPLOT: Final = Path(__file__).resolve().parents[1] / "aioctl" / "serving" / "page"
"""The operators' page ships it already, with its licence."""


def write(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(records), encoding="utf-8")


def render(records: Sequence[Mapping[str, Any]]) -> str:
    """The whole page. What stands in the records is text there, whatever it is."""
    parts = {
        "title": html.escape(str(records[0]["scenario"])),
        "licence": html.escape((_UPLOT / "LICENSE.uplot").read_text("utf-8")),
        "styles": (_UPLOT / "uplot.css").read_text("utf-8") + (_HERE / "report.css").read_text("utf-8"),
        "uplot": (_UPLOT / "uplot.js").read_text("utf-8"),
        "script": (_HERE / "report.js").read_text("utf-8"),
        "runs": "".join(_run(number, record, len(records)) for number, record in enumerate(records)),
        "plots": _inert(json.dumps([record["plots"] for record in records])),
    }
    page = (_HERE / "report.html").read_text("utf-8")
    # One pass over the template: what is put in is not looked at again.
    pieces = page.split("{{")
    filled = (f"{parts[name]}{rest}" for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))
    return pieces[0] + "".join(filled)


def _inert(text: str) -> str:
    """JSON that cannot end the script element that it stands in."""
    return text.replace("<", "\\u003c")


def _run(number: int, record: Mapping[str, Any], of: int) -> str:
    which = f"Run {number + 1} of {of}: " if of > 1 else ""
    figures = [(name, f"{value:.6g}") for name, value in compare.numbers(record) if "seconds" not in name]
    unit = record["reference"]
    about = [
        ("controller", record["controller"]),
        (
            "machine",
            f"{machine.words(record['machine'])}; load average before the run {record['machine']['load_average']:.1f}",
        ),
        ("a work unit took", f"{unit['unit_s'] * 1e3:.2f} ms; slow ones by quick ones {unit.get('spread')}"),
        (
            "the measuring",
            "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in record["measuring"].items()),
        ),
    ]
    return (
        f"<section><h2>{html.escape(which + str(record['command']))}</h2>"
        f"<div class='about'>{_table(about)}</div>{_expected(record['expectations'])}<div class='plots' data-run='{number}'></div>"
        f"<details><summary>Figures</summary>{_table(figures)}</details></section>"
    )


def _expected(expectations: Sequence[Mapping[str, Any]]) -> str:
    lines = []
    for each in expectations:
        value = "no result" if each["value"] is None else f"{each['value']:.4g} {each['unit']}"
        bound = f"{'≥' if each['at_least'] else '≤'} {each['bound']:g}"
        state = "met" if each["met"] else "missed"
        cells = (each["what"], value, bound, state)
        row = "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells)
        lines.append(f"<tr class='{state}'>{row}</tr>")
    return (
        f"<table><tr><th>Expected</th><th>found</th><th>bound</th><th></th></tr>{''.join(lines)}</table>"
        if lines
        else ""
    )


def _table(rows: Sequence[tuple[str, Any]]) -> str:
    lines = (
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(str(value))}</td></tr>" for name, value in rows
    )
    return f"<table>{''.join(lines)}</table>"
