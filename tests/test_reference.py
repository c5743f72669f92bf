"""docs/reference.md is a promise: commands, metrics, conditions, reasons and annotations on it are those of the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
from prometheus_client.metrics import MetricWrapperBase

from aioctl.api import conditions, names
from aioctl.cli import main
from aioctl.engine.queue import WorkQueue
from aioctl.metrics.page import Metrics
from aioctl.metrics.services import FAMILIES
from aioctl.plan.migration import Reason, State
from testbed.virtual_time import VirtualClock, virtual_time
from tests.reference_tables import regenerated

PAGE = (Path(__file__).parent.parent / "docs" / "reference.md").read_text()


def section(title: str) -> str:
    """The text below a heading, up to the next of the same level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference.md has no section {title!r}"
    return found[1]


def rows(title: str) -> dict[str, list[str]]:
    """First column (in backquotes) -> the other cells of the section's tables."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(title).splitlines()
        if line.startswith("| `")
    ]
    return {first.strip("`"): rest for first, *rest in cells}


def commands(group: click.Group, path: str = "aioctl") -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, those of groups below too."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_and_option_is_listed() -> None:
    listed = rows("Command line")
    expected = {}
    for name, command in commands(main):
        options = [
            opt
            for parameter in command.params
            if isinstance(parameter, click.Option)
            for opt in parameter.opts
        ]
        expected[name] = sorted(options)
    assert {name: sorted(re.findall(r"`(-[^`]+)`", cells[0])) for name, cells in listed.items()} == expected


def test_every_metric_is_listed_with_type_and_labels() -> None:
    metrics = Metrics()
    families = {
        family._name: (family._type, ", ".join(family._labelnames))
        for family in metrics.registry._collector_to_names
        if isinstance(family, MetricWrapperBase)
    }
    expected = {
        f"{name}_total" if type_ == "counter" else name: [type_, labels]
        for name, (type_, labels) in families.items()
    }
    # Collectors of several families.
    expected["process_cpu_seconds_total"] = ["counter", ""]
    for name in (
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    ):
        expected[name] = ["gauge", ""]
    expected["workqueue_unfinished_work_seconds"] = ["gauge", "name"]
    expected["workqueue_longest_running_processor_seconds"] = ["gauge", "name"]
    # Rendered beside the registry.
    expected |= {name: ["gauge", ", ".join(labels)] for name, (_, labels) in FAMILIES.items()}
    listed = {name: cells[:2] for name, cells in rows("Metrics").items()}
    assert listed == expected


@virtual_time
async def test_nothing_is_on_the_page_that_is_not_listed() -> None:
    metrics = Metrics()
    metrics.queue.watch(WorkQueue(clock=VirtualClock()))
    shown = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in metrics.registry.collect()
    }
    about = b"".join(metrics.services.pieces()).decode()
    shown |= set(re.findall(r"^# TYPE (\S+) gauge$", about, re.MULTILINE))
    assert shown == set(rows("Metrics"))


def test_every_condition_type_is_listed() -> None:
    types = {
        value
        for name, value in vars(conditions).items()
        if name.isupper()
        and name.endswith(("READY", "COMBINED", "MIGRATION", "DEGRADED", "COMPATIBLE", "FORM_CURRENT"))
    }
    assert set(rows("Conditions")) == types


def test_every_migration_state_and_reason_is_listed() -> None:
    listed = set(rows("Migration states and reasons"))
    assert listed == {state.value for state in State} | {reason.value for reason in Reason}


def test_the_tables_that_follow_from_code_are_those_of_the_code() -> None:
    assert regenerated(PAGE) == PAGE, "run python -m tests.reference_tables"


def test_every_annotation_that_is_read_or_written_is_listed() -> None:
    keys = {
        names.MIGRATED,
        names.MIGRATED_MERGED_SPELLING,
        names.MIGRATION,
        names.MIGRATION_STRATEGY,
        names.POD_FORM,
        names.FORM_INPUTS,
        names.FORM_TEMPLATE,
        names.FORM_SENT,
        names.GIVEN,
        names.GIVEN_PODS,
        names.PROBE,
        names.ENABLE_AUTH,
        names.STOP,
        names.CRITICALITY,
        names.CERTIFICATE_EXPIRY,
    }
    assert keys <= set(rows("Annotations, labels and finalizers"))
