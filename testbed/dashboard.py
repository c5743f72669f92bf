"""Draws the panels of the shipped Grafana dashboard from a real Prometheus: `python -m testbed.dashboard docs/dashboard.svg`.

A demo runs for a minute and a half; each query of the dashboard is then asked for that time, and its series are drawn as
Grafana would lay them out. Plain SVG: a browser shows it, and nobody has to have Grafana.
"""

import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

import anyio

from aioctl.demo import processes
from testbed import tools
from testbed.observed import DEPLOY, Observed, fleet, observed

SECONDS: Final = 90.0
SERVICES, HELD = 60, 3
WAVES: Final = 6
"""The fleet comes in so many parts, so that the curves show something."""
COLUMN, ROW = 50, 26
"""Pixels of a unit of the dashboard's grid."""
COLOURS: Final = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777", "#000000")
MARGIN, HEAD, LEGEND = 44, 22, 13
LEGENDS: Final = 4
"""Series that a panel's legend names."""


class Series(NamedTuple):
    name: str
    points: list[tuple[float, float]]


async def record(prometheus: Path) -> dict[int, list[Series]]:
    """Panel -> what its queries said over the demo."""
    with tempfile.TemporaryDirectory(prefix="aioctl-dashboard-") as name:
        async with observed(Path(name), prometheus, gateway_delay=2.0) as demo, demo.controller():
            await processes.install_presets(demo.client)
            began = time.time()
            services = fleet(SERVICES, HELD)
            size = math.ceil(SERVICES / WAVES)
            for wave in _parts(services, size):
                await demo.create(list(wave))
                await anyio.sleep(SECONDS / WAVES)
            return {panel["id"]: await _series(demo, panel, began) for panel in dashboard()}


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def _series(demo: Observed, panel: Any, began: float) -> list[Series]:
    found = []
    for target in panel["targets"]:
        expression = target["expr"].replace("$__rate_interval", "15s")
        expression = expression.replace("$job", "aioctl").replace("$namespace", ".*")
        data = await demo.ask(
            "query_range", query=expression, start=str(began), end=str(time.time()), step="2"
        )
        for item in data["result"]:
            name = target["legendFormat"]
            for label, value in item["metric"].items():
                name = name.replace(f"{{{{{label}}}}}", value)
            points = [(at - began, float(value)) for at, value in item["values"]]
            found.append(Series(name, [point for point in points if math.isfinite(point[1])]))
    return [series for series in found if series.points]


def dashboard() -> list[Any]:
    panels: list[Any] = json.loads((DEPLOY / "dashboard" / "aioctl.json").read_text())["panels"]
    return panels


def drawn(panels: Sequence[Any], data: dict[int, list[Series]]) -> str:
    """The whole picture."""
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{24 * COLUMN}" height="{height}" fill="#f4f5f5"/>',
    ]
    for panel in panels:
        place = panel["gridPos"]
        x, y, width, tall = (
            place[key] * size for key, size in (("x", COLUMN), ("y", ROW), ("w", COLUMN), ("h", ROW))
        )
        parts.append(f'<g transform="translate({x + 3} {y + 3})">')
        parts.append(f'<rect width="{width - 6}" height="{tall - 6}" fill="#fff" stroke="#ddd"/>')
        parts.append(f'<text x="8" y="15" font-weight="bold">{escape(panel["title"])}</text>')
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "short")
        draw = _figures if panel["type"] == "stat" else _curves
        parts += draw(data[panel["id"]], width - 6, tall - 6, unit)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _figures(series: list[Series], width: int, height: int, unit: str) -> Iterator[str]:
    """The last value of each."""
    step = (width - 16) / max(len(series), 1)
    for number, one in enumerate(series):
        x = 8 + step * (number + 0.5)
        yield f'<text x="{x:.0f}" y="62" font-size="22" text-anchor="middle" fill="{_colour(number)}">{_amount(one.points[-1][1], unit)}</text>'
        yield f'<text x="{x:.0f}" y="{height - 10}" text-anchor="middle">{escape(one.name)}</text>'


def _curves(series: list[Series], width: int, height: int, unit: str) -> Iterator[str]:
    shown = sorted(series, key=lambda one: -max(value for _, value in one.points))
    named = min(len(shown), LEGENDS)
    left, right, top = MARGIN, width - 8, HEAD + 4
    bottom = height - 18 - LEGEND * math.ceil(named / 2)
    if not shown:
        yield f'<text x="{width / 2:.0f}" y="{height / 2:.0f}" text-anchor="middle" fill="#888">nothing to show</text>'
        return
    most = max(max(value for _, value in one.points) for one in shown) * 1.05 or 1.0
    for part in (0, 0.5, 1):
        y = bottom - (bottom - top) * part
        yield f'<path d="M{left} {y:.0f}H{right}" stroke="#eee"/><text x="{left - 4}" y="{y + 4:.0f}" text-anchor="end" fill="#666">{_amount(most * part, unit)}</text>'
    length = max(one.points[-1][0] for one in shown) or 1.0
    for seconds in (0, 30, 60, 90):
        x = left + (right - left) * min(seconds / length, 1)
        yield f'<text x="{min(x, right - 8):.0f}" y="{bottom + 12}" text-anchor="middle" fill="#666">{seconds} s</text>'
    for number, one in enumerate(shown):
        path = " ".join(
            f"{left + (right - left) * at / length:.0f},{bottom - (bottom - top) * value / most:.0f}"
            for at, value in one.points
        )
        yield f'<polyline points="{path}" fill="none" stroke="{_colour(number)}" stroke-width="1.5"/>'
        if number < named:
            x = left + (number % 2) * (right - left) / 2
            y = bottom + 26 + (number // 2) * LEGEND
            yield f'<text x="{x:.0f}" y="{y:.0f}" fill="{_colour(number)}">{escape(one.name[: 2 * (right - left) // 23])}</text>'


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _amount(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    if unit == "s" and value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g}" + {"s": " s", "ops": "/s", "d": " d"}.get(unit, "")


def main(path: Path) -> None:
    data = anyio.run(record, tools.find("prometheus"))
    path.write_text(drawn(dashboard(), data))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
