"""Runs a scenario as often as asked, with a second controller in turns, and hands over what was found."""

import argparse
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from bench import compare, page, report, scenario
from bench.scenario import Expectation, Result, Scenario, Tree


def execute(asked: Scenario, argv: list[str]) -> int:
    """Exit code 1 when an expectation was missed by ours, 2 when it cannot be done as asked."""
    if asked.command is not None:
        if "--kubeconfig" in argv:
            scenario.say(f"{asked.name} cannot run on a cluster of yours: {asked.not_elsewhere}")
            return 2
        return asked.command(argv)
    options = scenario.parser_of(asked).parse_args(argv)
    if why_not := scenario.refused(asked, options):
        scenario.say(why_not)
        return 2
    scenario.quiet_logs()
    records = [_one(asked, options, command) for command in turns(options)]
    if len(records) > 1:
        report.give(f"{asked.name}: medians and spreads", compare.summary(_sides(records)))
    if options.json:
        report.write(records[0] if len(records) == 1 else {"runs": records}, Path(options.json))
    if options.html:
        page.write(records, Path(options.html))
    ours = [record for record in records if record["controller"] == records[0]["controller"]]
    return 0 if all(scenario.all_met(record) for record in ours) else 1


def turns(options: argparse.Namespace) -> list[str]:
    """The controllers' commands in the order of the runs (A B A B); ours is the empty one."""
    versus = getattr(options, "versus", None)
    sides = ["", versus] if versus else [""]
    return list(islice(cycle(sides), options.runs * len(sides)))


def _one(asked: Scenario, options: argparse.Namespace, command: str) -> Tree:
    record, result = scenario.once(asked, options, command=command)
    title = f"{asked.name}: {command}" if command else asked.name
    report.give(title, [*result.rows, *_about(result, record), *_kept(asked.expectations, record)])
    return record


def _sides(records: Sequence[Tree]) -> Mapping[str, Sequence[Tree]]:
    sides: dict[str, list[Tree]] = {}
    for record in records:
        sides.setdefault(record["controller"], []).append(record)
    return sides


def _about(result: Result, record: Mapping[str, Any]) -> list[report.Row]:
    """How far the numbers can be trusted."""
    load = record["reference"]
    rows = [
        (
            "reference load",
            f"a unit took {load['unit_s'] * 1e3:.2f} ms of CPU ({load['units']} units, slow by quick {load['spread']})",
        )
    ]
    if result.measuring:
        rows.append(("the measuring", "; ".join(_told(result.measuring))))
    return rows


def _told(measuring: Mapping[str, Any]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {value}" for name, value in measuring.items()]


def _kept(expectations: Sequence[Expectation], record: Mapping[str, Any]) -> list[report.Row]:
    return [
        (f"expected: {each.what}", f"{each.shown(found['value'])}{'' if found['met'] else '  MISSED'}")
        for each, found in zip(expectations, record["expectations"], strict=True)
    ]
