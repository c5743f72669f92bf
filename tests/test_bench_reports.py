"""What the bench hands over: ratios of two records, the table of a sweep, and the page."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import compare, page, report, sweep
from bench.compare import ratios
from bench.documents import between
from bench.report import Plot

MACHINE = {
    "date": "2026-01-01",
    "cpu": "a processor",
    "cores": 2,
    "memory_gb": 8.0,
    "kernel": "6",
    "python": "3.11",
    "load_average": 0.5,
}


def run(seconds: float, calls: float, unit: float = 0.001, **more: Any) -> dict[str, Any]:
    return {
        "scenario": "storm",
        "command": "python -m bench storm",
        "controller": "aioctl run",
        "machine": MACHINE,
        "migrated": {"all_s": seconds},
        "calls_per_service": {"without_events": calls},
        "reference": {"unit_s": unit, "units": 9},
        "measuring": {"observations_missed": 0},
        "plots": [],
        "expectations": [],
        **more,
    }


def test_ratios_are_of_medians_and_their_spread_is_of_neighbours() -> None:
    first = [run(10, 20), run(20, 20), run(12, 20)]
    second = [run(15, 10), run(20, 10), run(18, 30)]
    found = {each.name: each for each in ratios(first, second)}
    took = found["migrated all_s"]
    assert (took.a, took.b) == (12, 18)
    assert [took.ratio, took.low, took.high] == pytest.approx([1.5, 1.0, 1.5])
    assert took.by_unit
    calls = found["calls_per_service without_events"]
    assert (calls.ratio, calls.low, calls.high, calls.by_unit) == (0.5, 0.5, 1.5, False)


def test_a_machine_that_became_slower_does_not_make_a_controller_slower() -> None:
    found = {each.name: each for each in ratios([run(10, 20)], [run(30, 20, unit=0.003)])}
    assert found["migrated all_s"].ratio == pytest.approx(1)
    assert found["reference unit_s"].ratio == pytest.approx(3)


def test_what_is_nothing_or_not_everywhere_is_not_compared() -> None:
    names = [each.name for each in ratios([run(10, 0, only_here=5)], [run(10, 20)])]
    assert names == ["migrated all_s", "reference unit_s", "reference units"]


@pytest.mark.parametrize(
    ("name", "is_time"),
    [
        ("migrated all_s", True),
        ("cpu_s_per_service", True),
        ("plan median_ms", True),
        ("conversions p99", True),
        ("conversions max_in_flight", False),
        ("services", False),
        ("memory_mb peak", False),
        ("reference unit_s", False),
    ],
)
def test_times_are_known_by_their_names(name: str, is_time: bool) -> None:
    assert compare.is_time(name) is is_time


def test_two_files_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    report.write(run(10, 20), files[0])
    report.write({"runs": [run(20, 20), run(22, 20)]}, files[1])
    assert compare.main([str(file) for file in files]) == 0
    shown = capsys.readouterr().out
    assert "b.json, 2 runs" in shown
    assert re.search(r"migrated all_s\W+10\W+21\W+2\.10\W+2\.00 to 2\.00", shown)


def test_a_file_that_is_no_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.json"
    file.write_text("[1]")
    assert compare.main([str(file), str(file)]) == 2
    assert "a.json is no record of the bench" in capsys.readouterr().err


def test_several_runs_are_summed_up() -> None:
    rows = dict(compare.summary({"aioctl run": [run(10, 20), run(12, 20), run(30, 20)]}))
    assert rows["migrated all_s"] == "12 (10 to 30)"
    both = dict(compare.summary({"aioctl run": [run(10, 20)], "other": [run(20, 20)]}))
    assert both["migrated all_s"] == "10 and 20: 2.00 (2.00 to 2.00) times"


def test_a_sweep_takes_every_combination() -> None:
    assert [sweep.named(each) for each in sweep.combined(["workers=1,4", "pool_stagger=0,0.1"])] == [
        "workers=1 pool_stagger=0",
        "workers=1 pool_stagger=0.1",
        "workers=4 pool_stagger=0",
        "workers=4 pool_stagger=0.1",
    ]


@pytest.mark.parametrize(
    ("word", "why"),
    [("worker=1", "worker: there is no such setting"), ("workers", "it takes values"), ("workers=1,", "it takes values")],
)  # fmt: skip
def test_a_sweep_refuses_what_is_no_setting(word: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sweep.main([word]) == 2
    assert why in capsys.readouterr().err


def test_the_table_of_a_sweep_has_medians_and_times_by_the_first_line() -> None:
    one, four = sweep.combined(["workers=1,4"])
    found: dict[sweep.Combination, list[Mapping[str, Any]]] = {
        one: [run(10, 20), run(12, 20), run(11, 20)],
        four: [run(5.5, 21), run(16.5, 21, unit=0.003)],
    }
    lines = sweep.table(found).splitlines()
    assert lines[0].startswith("| `AIOCTL_WORKERS` | all migrated |")
    assert lines[2].startswith("| 1 | 11 s (1.00 x) | no result | no result | 20 |")
    assert lines[3].startswith("| 4 | 11 s (0.50 x) | no result | no result | 21 |")


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    assert between("a [ old ] b", "[", "]", "new") == "a [\nnew\n] b"
    with pytest.raises(ValueError, match="the document lacks"):
        between("a [ old", "[", "]", "new")


def test_a_distribution_is_made_of_its_samples() -> None:
    plot = report.quantiles("t", "s", {"a": [3.0, 1.0, 2.0], "nothing": []})
    assert dict(plot.lines) == {"a": [1.0] * 17 + [2.0] * 17 + [3.0] * 19}
    assert len(plot.values) == 53


HOSTILE = "</script><script>alert(1)</script>"


def test_the_page_has_everything_in_it_and_asks_nobody() -> None:
    plot = Plot(HOSTILE, "seconds", "services", [0, 1], {"Migrated": [0, None]}).as_json()
    made = page.render([run(10, 20, plots=[plot]), run(11, 20, command=HOSTILE)])
    assert "alert(1)</script>" not in made
    assert "Run 2 of 2: &lt;/script&gt;" in made
    assert "{{" not in re.sub(r"<script>.*?</script>|<style>.*?</style>", "", made, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href)=["'](?!data:,)""", made)
    assert "prefers-color-scheme: dark" in made
    (plots,) = re.findall(r'<script type="application/json" id="plots">(.*?)</script>', made, re.DOTALL)
    assert json.loads(plots)[0][0]["title"] == HOSTILE
    assert "Permission is hereby granted" in made


def test_two_records_say_what_is_not_the_same() -> None:
    other = run(10, 20, seed=2, machine={**MACHINE, "cores": 8}, command="python -m bench storm --seed 2")
    assert compare.differences([run(1, 1)], [run(2, 2)]) == []
    said = compare.differences([run(10, 20, seed=1)], [other])
    assert [line.partition(":")[0] for line in said] == [
        "not the same command",
        "not the same seed",
        "not the same machine",
    ]
    assert "A 2 cores" in said[-1]
    assert "B 8 cores" in said[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["workers=0"], "AIOCTL_WORKERS='0'"),
        (["workrs=1"], "workrs: there is no such setting"),
        (["workers=1", "--repeats", "0"], "--repeats 0: at least one"),
        (["workers=1", "--scenario", "crash"], "--scenario crash: it takes no settings"),
        (["workers=1", "--document", "README.md"], "the document lacks the lines"),
    ],
)
def test_a_sweep_finds_what_cannot_be_before_its_first_run(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep.main(words) == 2
    assert said in capsys.readouterr().err


def test_of_two_controllers_in_a_file_the_first_is_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, both = tmp_path / "one.json", tmp_path / "both.json"
    report.write(run(10, 20), one)
    report.write({"runs": [run(20, 20), run(90, 20, controller="theirs")]}, both)
    assert compare.main([str(one), str(both)]) == 0
    said = capsys.readouterr().out
    assert "B: both.json, 1 runs" in said
    assert "2.00" in said
