"""Runs a scenario as often as asked, with a second controller in turns, and hands over what was found."""

import argparse
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from aioctl.demo.processes import StageError
from aioctl.kube.errors import KubeError
from aioctl.settings import SettingsError, load
from bench import compare, page, report, scenario, stage
from bench.scenario import CannotRun, Expectation, Result, Scenario, Tree
from testbed.real.build import NotAvailable


def execute(asked: Scenario, argv: list[str]) -> int:
    """Exit code 1 when an expectation was missed by ours, 2 when it cannot be done as asked. Raises Ended."""
    if asked.command is not None:
        if any(word.partition("=")[0] == "--kubeconfig" for word in argv):
            scenario.say(scenario.not_there(asked))
            return 2
        return asked.command(argv)
    options = scenario.parser_of(asked).parse_args(argv)
    if why_not := scenario.refused(asked, options) or _wrong_settings(options):
        scenario.say(why_not)
        return 2
    scenario.quiet_logs()
    records: list[Tree] = []
    failure = ""
    try:
        for command in turns(options):
            try:
                records.append(_one(asked, options, command))
            except (*_PLAIN, ExceptionGroup) as error:
                if not _is_plain(error):
                    raise
                failure = f"{asked.name}{f' with {command}' if command else ''}: {_told_why(error)}"
                break
    finally:
        if records:
            _hand_over(asked, records, options)
    if failure:
        scenario.say(failure)
        return 2
    ours = [record for record in records if record["controller"] == records[0]["controller"]]
    return 0 if all(scenario.all_met(record) for record in ours) else 1


def _hand_over(asked: Scenario, records: Sequence[Tree], options: argparse.Namespace) -> None:
    if len(records) > 1:
        report.give(f"{asked.name}: medians and spreads", compare.summary(_sides(records)))
    if options.json:
        report.write(records[0] if len(records) == 1 else {"runs": records}, Path(options.json))
    if options.html:
        page.write(records, Path(options.html))


_PLAIN: Final = (CannotRun, StageError, NotAvailable, KubeError, TimeoutError)
"""What happens to people: one line says it. Anything else is a fault of ours, and shows where."""


def _is_plain(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_plain, error.exceptions))
    return isinstance(error, _PLAIN)


def _told_why(error: BaseException) -> str:
    why = scenario.reason(error)
    if "failed calling webhook" in why or "conversion webhook for" in why:
        return f"{why} (the API server must reach the webhooks on this host's loopback, at localhost)"
    if "denied the request" in why:
        return f"{why} (--presets FOLDER installs others, which all controllers of the run must take)"
    return why


def _wrong_settings(options: argparse.Namespace) -> str:
    """What is wrong with the controller's variables; another controller may have names of its own."""
    if not hasattr(options, "set"):
        return ""
    try:
        _, unknown = load(stage.settings_of(options))
    except (ValueError, SettingsError) as error:
        return str(error)
    return unknown[0] if unknown and not getattr(options, "versus", None) else ""


def turns(options: argparse.Namespace) -> list[str]:
    """The controllers' commands in the order of the runs (A B A B); ours is the empty one."""
    versus = getattr(options, "versus", None)
    sides = ["", versus] if versus else [""]
    return list(islice(cycle(sides), options.runs * len(sides)))


def _one(asked: Scenario, options: argparse.Namespace, command: str) -> Tree:
    record, result = scenario.once(asked, options, command=command)
    title = f"{asked.name}: {command}" if command else asked.name
    report.give(title, [*result.rows, *_about(result, record), *_kept(asked.judged(options), record)])
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
