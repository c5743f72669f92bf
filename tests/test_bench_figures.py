"""The figures of the bench: judged against their bounds, and shown where people read them."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from bench import all as everything
from bench import figures, scenario
from bench.figures import Comparison, Figure
from bench.registry import SCENARIOS


def test_every_figure_belongs_to_a_run() -> None:
    judged = {figure.run for figure in figures.FIGURES} | set(everything.JUDGED_BY_THEMSELVES)
    assert judged == set(everything.RUNS) - {"scale-100"}


def test_every_run_is_a_scenario_with_options_that_it_has() -> None:
    for words in map(shlex.split, everything.RUNS.values()):
        scenario.parser_of(SCENARIOS[words[0]]).parse_args(words[1:])


def test_what_scenarios_expect_stands_in_the_table_too() -> None:
    one = {"what": "lost", "bound": 0, "unit": "", "at_least": False, "value": 2, "met": False}
    found = figures.expected({"wave": {"expectations": [one]}}, ["wave", "flap"])
    assert figures.markdown(found).splitlines()[2:] == [
        "| wave: lost | wave | ≤ 0 | 2 | **missed** |",
        "| flap: all that it expects | flap | ≤ 0 | no result | not measured |",
    ]


def test_a_time_stands_beside_its_judgement_and_is_not_judged_without_a_work_unit() -> None:
    times = {"fresh": {"plan": {"median_ms": 1.5}}, "settled": {"plan": {"median_ms": 12.0}}}
    measured = {"plan": {**times, "reference": {"unit_s": 0.001}}}
    fresh, settled = [each for each in figures.judge(measured) if each.figure.run == "plan"]
    assert (fresh.shown, fresh.verdict) == ("1.5 units (1.5 ms)", "met")
    assert (settled.shown, settled.verdict) == ("12 units (12 ms)", "**missed**")
    fresh, _ = [each for each in figures.judge({"plan": times}) if each.figure.run == "plan"]
    assert (fresh.shown, fresh.verdict) == ("no work unit in that run (1.5 ms)", "not judged")
    assert not fresh.good


@pytest.mark.parametrize(
    ("value", "at_least", "good"),
    [(5, False, True), (5.001, False, False), (4, False, True), (4.999, True, False), (5, True, True), (None, True, False)],
)  # fmt: skip
def test_a_figure_is_good_up_to_its_bound_and_missed_without_a_value(
    value: float | None, at_least: bool, good: bool
) -> None:
    verdict = Comparison(Figure("what", "run", lambda _: 0.0, 5, at_least=at_least), value)
    assert verdict.good is good


def test_runs_that_gave_nothing_leave_their_figures_missed() -> None:
    verdicts = figures.judge({})
    assert len(verdicts) == len(figures.FIGURES)
    assert not any(verdict.good for verdict in verdicts)


def test_figures_that_compare_two_runs_need_both() -> None:
    def storm(seconds: float, cpu: float, unit: float = 0.001) -> dict[str, Any]:
        return {"migrated": {"all_s": seconds}, "cpu_s_per_service": cpu, "reference": {"unit_s": unit}}

    results = {
        "stagger-100": storm(5.1, 0),
        # The machine was half as fast, so that everything took twice as long.
        "scale-100": storm(8, 0.2, unit=0.002),
        "memory": storm(1, 0.119),
    }
    found = {verdict.figure.what: verdict for verdict in figures.judge(results)}
    longer = found["100 services: longer for a stagger of 100 ms"]
    assert longer.value == pytest.approx(1100)
    assert not longer.good
    growth = found["CPU per service, 1,000 against 100 services"]
    assert growth.value == pytest.approx(19)
    assert growth.good
    del results["scale-100"]
    found = {verdict.figure.what: verdict for verdict in figures.judge(results)}
    assert found["CPU per service, 1,000 against 100 services"].value is None


def test_how_long_it_takes_is_told_from_the_last_time(tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text('{"whole_run_s": 270.0}')
    (tmp_path / "old.json").write_text("{}")
    lasts = [everything._took(tmp_path / f"{name}.json") for name in ("new", "old", "none")]
    assert lasts == [270.0, None, None]
    assert everything.left(lasts[:1] * 2) == "about 9 minutes left"
    assert everything.left(lasts) == "about 6 minutes left (2 of them without a record of last time)"


def test_the_table_in_the_document_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    text = (Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md").read_text("utf-8")
    document.write_text(text, "utf-8")
    options = ["--judge-only", "--results", str(tmp_path), "--document", str(document)]
    assert everything.main(options) == 1
    written = document.read_text("utf-8")
    assert written.count("no result") == len(figures.FIGURES) + len(everything.JUDGED_BY_THEMSELVES)
    assert written.partition("<!-- figures")[0] == text.partition("<!-- figures")[0]
    assert written.partition("<!-- end")[2] == text.partition("<!-- end")[2]
    assert everything.main(options) == 1
    assert document.read_text("utf-8") == written


def test_a_paced_fleet_is_judged_by_what_it_took_beyond_its_pacing() -> None:
    """120 pools at 20 a second and the gateway's second are the same on any machine."""
    result = {
        "services": 60,
        "settings": {},
        "migrated": {"count": 60, "all_s": 9.0},
        "reference": {"unit_s": 0.002},
    }
    found = {verdict.figure.what: verdict for verdict in figures.judge({"real": result})}
    assert found["the same: until all are migrated, beyond the pacing"].value == pytest.approx(1000)
