"""What `aioctl status --watch` shows of a fleet that is larger than the terminal."""

from io import StringIO

import pytest
from rich.console import Console

from aioctl.tool_commands import fitting

HEADER, SUMMARY = "NAME   READY", "9 services: 9 Migrated; 9 ready"
ITEMS = [f"llm-{number}  True" for number in range(9)]
TABLE = "\n".join([HEADER, *ITEMS, SUMMARY, "not known: no access"]) + "\n"


def shown(height: int, text: str = TABLE, items: int = len(ITEMS), width: int = 60) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height)
    return fitting(text, items, console).plain.splitlines()


def test_all_where_there_is_room() -> None:
    assert shown(12) == TABLE.splitlines()


@pytest.mark.parametrize("height", [5, 8, 11])
def test_the_summary_stays_and_what_is_left_out_is_counted(height: int) -> None:
    lines = shown(height)
    kept = height - 4
    more = f"... {len(ITEMS) - kept} more (-l chooses)"
    assert lines == [HEADER, *ITEMS[:kept], more, SUMMARY, "not known: no access"]


def test_a_long_line_takes_the_rows_that_it_is_wrapped_to() -> None:
    wordy = TABLE.replace("True\nllm-1", "True " + "word " * 20 + "\nllm-1")
    assert len(shown(11, wordy)) == len(shown(11)) - 1
    assert shown(11, wordy)[-2:] == [SUMMARY, "not known: no access"]


def test_a_tree_has_no_summary() -> None:
    assert shown(3, items=0) == TABLE.splitlines()
