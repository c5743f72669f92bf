"""The bench's page in a headless Chromium, light and dark: every plot is drawn, and nothing is asked of anybody."""

from pathlib import Path

import pytest

from bench import page
from bench.report import Plot
from tests.page.chromium import executable, tab
from tests.page.test_browser import CONTRASTS, SCREENSHOTS, WIDE
from tests.test_bench_reports import HOSTILE, run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        executable() is None, reason="no chromium on the path (Debian: apt-get install chromium)"
    ),
]
PLOTS = [
    Plot(
        "Services by state", "seconds", "services", [0, 1, 2], {"Initial": [9, 4, 0], "Migrated": [0, 5, 9]}
    ),
    Plot(
        HOSTILE,
        "services",
        "seconds",
        [100, 1000],
        {"processes": [0.1, None], HOSTILE: [None, 0.2]},
        is_log=True,
    ),
    Plot("Nothing", "seconds", "ms", [], {}),
]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_plot_is_drawn(dark: bool, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    plots = [plot.as_json() for plot in PLOTS]
    missed = {"what": HOSTILE, "bound": 1, "at_least": False, "unit": "x", "value": 2.5, "met": False}
    page.write([run(10, 20, plots=plots, expectations=[missed]), run(11, 20, plots=plots)], file)
    async with tab() as shown:
        await shown.look(**WIDE, dark=dark)
        await shown.open(file.as_uri())
        assert await shown.until("document.querySelectorAll('canvas').length === 4")
        assert await shown.run("[...document.querySelectorAll('figure')].length") == 6
        assert await shown.run("document.body.innerText.includes('nothing was seen')")
        poor = await shown.run(CONTRASTS)
        await shown.screenshot(SCREENSHOTS / f"report-{'dark' if dark else 'light'}.png", whole=True)
        assert shown.errors == []
    assert poor["poor"] == {}
    assert poor["looked"] > 20
