"""What says which tests come first names files that are there; those that share a cluster on a real server stay together."""

import ast
from pathlib import Path

from tests.fast_order import DEAREST_FIRST
from tests.real_groups import LONGEST_FIRST, SHARED, group_of

ROOT = Path(__file__).resolve().parents[1]
SESSION_FIXTURE = "installation"


def asks_for(fixture: str, path: Path) -> bool:
    """Whether a test or fixture of the file takes that fixture."""
    return any(
        fixture in (argument.arg for argument in node.args.args)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and (node.name.startswith("test_") or node.decorator_list)
    )


def test_every_name_is_there() -> None:
    assert [path for path in (*SHARED, *DEAREST_FIRST) if not (ROOT / path).exists()] == []
    assert [
        name for name in LONGEST_FIRST if name not in SHARED.values() and not (ROOT / name).is_file()
    ] == []


def test_who_asks_for_the_shared_installation_is_in_its_group_and_nobody_else() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): asks_for(SESSION_FIXTURE, path)
        for path in (ROOT / "tests" / "real_install").glob("test_*.py")
    }
    assert {path for path, asks in found.items() if asks} == {
        path for path in found if group_of(path) == SESSION_FIXTURE
    }
    assert set(found.values()) == {True, False}
