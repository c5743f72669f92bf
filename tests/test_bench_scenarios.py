"""The bench's scenarios: all that were asked for are there, say of themselves what they must, and are judged by ratios."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import figures, reference, running, scenario, stage
from bench.registry import SCENARIOS
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, at, in_units

WHOLE = list(SCENARIOS.values())


def named(each: Scenario) -> str:
    return each.name


def test_nothing_that_was_promised_is_missing() -> None:
    assert {
        "storm", "wave", "restart", "steady", "flap", "list-convert", "burst-convert", "rotation",
        "crash", "faults", "scale", "takeover", "memory", "plan", "convert", "strangers", "worst", "crds",
    } <= set(SCENARIOS)  # fmt: skip


@pytest.mark.parametrize("each", WHOLE, ids=named)
def test_a_scenario_says_what_it_does_expects_and_how_its_measuring_is_judged(each: Scenario) -> None:
    assert len(each.what.split()) > 5
    assert len(each.measures.split()) > 3
    assert len(each.judged_by.split()) > 5
    assert each.expected() or each.name == "crds"
    assert (each.run is None) != (each.command is None)


@pytest.mark.parametrize("each", WHOLE, ids=named)
def test_no_bound_is_a_time(each: Scenario) -> None:
    assert all(isinstance(bound.unit, Unit) for bound in each.expectations)


def test_no_figure_of_the_document_is_judged_by_a_time() -> None:
    assert all(isinstance(figure.unit, Unit) for figure in figures.FIGURES)
    assert not {"s", "ms", "us"} & set(Unit)


@pytest.mark.parametrize("each", [each for each in WHOLE if each.run is not None], ids=named)
def test_the_command_of_a_record_is_the_one_that_runs_it_again(each: Scenario) -> None:
    parser = scenario.parser_of(each)
    options = parser.parse_args(["--json", "/somewhere/of/mine.json", "--runs", "2"])
    assert scenario.command_of(each, options) == f"python -m bench {each.name}"
    if any(parameter.name == "services" for parameter in each.parameters):
        given = ["--services", "7", "--kubeconfig", "/somewhere/of/mine"]
        said = scenario.command_of(each, parser.parse_args(given))
        assert said == f"python -m bench {each.name} --services 7 --kubeconfig KUBECONFIG"


@pytest.mark.parametrize("each", [each for each in WHOLE if each.not_elsewhere], ids=named)
def test_what_cannot_run_on_a_given_cluster_says_why_not(
    each: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    assert running.execute(each, ["--kubeconfig", "config"]) == 2
    assert each.not_elsewhere in capsys.readouterr().err


def test_the_list_has_every_scenario_and_every_tool(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    shown = capsys.readouterr().out
    for name in (*SCENARIOS, "all", "sweep", "compare"):
        assert f"python -m bench {name} " in shown


def test_an_unknown_name_gets_the_list_and_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["stormy"]) == 2
    said = capsys.readouterr().err
    assert "python -m bench storm " in said
    assert "stormy: there is no such scenario or tool; did you mean storm?" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--services", "0"], "argument --services: 0: at least 1"),
        (["--services", "many"], "argument --services: 'many' is not a whole number"),
        (["--gateway-delay", "nan"], "argument --gateway-delay: nan: at least 0"),
        (["--servces", "3"], "--servces: there is no such option; did you mean --services?"),
        (["--clean"], "--clean goes with --kubeconfig"),
        (["--set", "AIOCTL_WORKRS=3"], "AIOCTL_WORKRS is not a setting of aioctl"),
        (["--set", "AIOCTL_WORKERS=0"], "AIOCTL_WORKERS='0'"),
        (["--kubeconfig", "/no/such/file"], "kubeconfig /no/such/file: no such file"),
    ],
)
def test_a_word_that_cannot_be_is_named_with_its_cure(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = running.execute(SCENARIOS["storm"], words)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("each", [each for each in WHOLE if each.run is not None], ids=named)
def test_no_number_of_a_scenario_may_be_less_than_makes_sense(each: Scenario) -> None:
    free = {"seed", "profile", "keep-log", "presets"}
    numbers = [
        parameter
        for parameter in each.parameters
        if parameter.name not in free
        and (parameter.kind in (int, float) or isinstance(parameter.default, int | float))
        and not isinstance(parameter.default, bool)
    ]
    assert [parameter.name for parameter in numbers if parameter.least is None] == []


def test_a_run_that_cannot_go_on_is_told_in_a_line_and_what_was_measured_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = iter([Result({"lost": 0, "took_s": 0.5, "size": 3}, [("size", "3")])])

    def once_only(_: argparse.Namespace) -> Result:
        for result in runs:
            return result
        raise ExceptionGroup("of tasks", [scenario.CannotRun("the cluster has gone")])

    file = tmp_path / "record.json"
    asked = replace(SMALL, run=once_only)
    assert running.execute(asked, ["--runs", "2", "--json", str(file)]) == 2
    assert "small: the cluster has gone" in capsys.readouterr().err
    assert json.loads(file.read_text())["size"] == 3


def test_a_fault_of_ours_keeps_its_trace() -> None:
    def faulty(_: argparse.Namespace) -> Result:
        raise ExceptionGroup("of tasks", [KeyError("of ours")])

    with pytest.raises(ExceptionGroup):
        running.execute(replace(SMALL, run=faulty), [])


def small(options: argparse.Namespace) -> Result:
    return Result({"lost": 0, "took_s": 0.5, "size": options.size}, [("size", str(options.size))])


SMALL = Scenario(
    name="small",
    what="a number",
    measures="it",
    judged_by="nobody",
    run=small,
    parameters=[Parameter("size", 3, "of the number")],
    seed=7,
    expectations=[
        Expectation("lost", at("lost"), 0),
        Expectation("time", in_units(at("took_s")), 100, Unit.WORK_UNITS),
        Expectation("rate", at("size"), 3, at_least=True),
        Expectation("what is not there", at("nothing"), 1),
    ],
)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """Of a run beside which a unit takes 10 ms."""
    monkeypatch.setattr(reference.Reference, "summary", lambda _: {"unit_s": 0.01, "units": 5, "spread": 1.0})
    return scenario.once(SMALL, scenario.parser_of(SMALL).parse_args([]))[0]


def test_a_time_is_judged_by_the_work_unit_beside_it(record: Mapping[str, Any]) -> None:
    judged = {each["what"]: (each["value"], each["met"]) for each in record["expectations"]}
    assert judged == {
        "lost": (0, True),
        "time": (50, True),
        "rate": (3, True),
        "what is not there": (None, False),
    }
    assert not scenario.all_met(record)


def test_a_bound_of_clusters_of_its_own_judges_no_run_elsewhere() -> None:
    lost = SMALL.expectations[0]
    asked = replace(SMALL, expectations=[lost, replace(lost, what="cost", at_home=True)])
    options = scenario.parser_of(SMALL).parse_args([])
    assert [each.what for each in asked.judged(options)] == ["lost", "cost"]
    options.kubeconfig = "somebody's"
    assert [each.what for each in asked.judged(options)] == ["lost"]
    assert [each["what"] for each in scenario.once(asked, options)[0]["expectations"]] == ["lost"]


def test_a_record_says_what_it_is_and_nothing_of_the_machine_s_folders(record: Mapping[str, Any]) -> None:
    assert (record["scenario"], record["seed"], record["command"]) == ("small", 7, "python -m bench small")
    assert set(record["machine"]) == {
        "date", "cpu", "cores", "memory_gb", "kernel", "python", "load_average",
    }  # fmt: skip


def test_a_second_controller_runs_in_turns() -> None:
    options = argparse.Namespace(runs=3, versus="theirs")
    assert running.turns(options) == ["", "theirs"] * 3
    assert running.turns(argparse.Namespace(runs=2)) == ["", ""]


def test_the_unit_is_the_same_work_each_time() -> None:
    assert reference.unit() == reference.unit()


def test_variables_are_taken_as_names_and_values() -> None:
    storm = SCENARIOS["storm"]
    options = scenario.parser_of(storm).parse_args(["--workers", "2", "--set", "AIOCTL_RESYNC=5", "A=b=c"])
    assert stage.settings_of(options) == {"AIOCTL_WORKERS": "2", "AIOCTL_RESYNC": "5", "A": "b=c"}
    with pytest.raises(ValueError, match="--set RESYNC: it takes NAME=VALUE"):
        stage.settings_of(scenario.parser_of(storm).parse_args(["--set", "RESYNC"]))
