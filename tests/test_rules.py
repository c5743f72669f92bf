"""docs/rules.md is the ledger of the rules: every id that is cited stands there, and every rule is cited and tested."""

import re
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
LEDGER = HERE / "docs" / "rules.md"
ROW = re.compile(r"^\| ([A-Z]+-\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ID = re.compile(r"(?<!AIO-)\b([A-Z]{2,})-(\d+)\b")  # AIO-MIG-010 is a code of docs/codes.md, no rule
CODE = ("aioctl", "bench", "deploy")
SUFFIXES = (".py", ".yaml", ".md")

RULES = {
    match[1]: (match[3], re.findall(r"`([^`]+)`", match[4])) for match in ROW.finditer(LEDGER.read_text())
}
FAMILIES = {rule.rsplit("-", 1)[0] for rule in RULES}


def cited(text: str) -> set[str]:
    """Ids of rules in a text; other things of that shape, such as SHA-256, belong to no family."""
    return {f"{family}-{number}" for family, number in ID.findall(text) if family in FAMILIES}


def citations(*folders: str) -> dict[str, set[str]]:
    """File -> the ids it cites."""
    files = (path for folder in folders for path in (HERE / folder).rglob("*") if path.suffix in SUFFIXES)
    return {str(path.relative_to(HERE)): found for path in files if (found := cited(path.read_text()))}


def test_the_ledger_has_rows_and_no_id_twice() -> None:
    rows = [match[1] for match in ROW.finditer(LEDGER.read_text())]
    assert len(rows) > 50
    assert len(rows) == len(set(rows))


def test_every_cited_id_stands_in_the_ledger() -> None:
    unknown = {name: found - RULES.keys() for name, found in citations(*CODE, "tests", "docs").items()}
    assert {name: found for name, found in unknown.items() if found} == {}


def test_every_rule_is_cited_by_code() -> None:
    assert RULES.keys() - set().union(*citations(*CODE).values()) == set()


def test_every_rule_has_a_source_and_is_named_by_its_tests() -> None:
    incomplete = [rule for rule, (source, tests) in RULES.items() if not (source and tests)]
    named = {test: cited((HERE / test).read_text()) for _, tests in RULES.values() for test in tests}
    unnamed = [
        (rule, test) for rule, (_, tests) in RULES.items() for test in tests if rule not in named[test]
    ]
    assert (incomplete, unnamed) == ([], [])


def test_nobody_cites_what_the_repository_does_not_hold() -> None:
    outside = re.compile(r"\bspec [1-9]0\b|design,?\s+([Ss]ection|[Rr]ule)\b|\.\./shared|\bissue \d+\b")
    helper = {"testbed/shared_data.py", "tests/test_rules.py"}
    files = (path for folder in (*CODE, "tests", "testbed", "docs") for path in (HERE / folder).rglob("*"))
    citing = {
        str(path.relative_to(HERE))
        for path in files
        if path.suffix in SUFFIXES and outside.search(path.read_text())
    }
    assert citing - helper == set()
