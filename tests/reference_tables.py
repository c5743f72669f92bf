"""The tables of docs/reference.md that follow from code. `python -m tests.reference_tables` writes them anew."""

import re
from pathlib import Path

from aioctl.api.bounds import BOUNDS
from aioctl.plan.migration import RULES, MigrationFacts

PAGE = Path(__file__).parent.parent / "docs" / "reference.md"


def migration_rules() -> str:
    """The rules of the migration in order: when, state, reason, and what somebody has to do."""
    lines = ["| | When | State | Reason | What somebody has to do |", "|---|---|---|---|---|"]
    lines += [
        f"| {number} | {rule.when} | `{rule.state}` | `{rule.reason}` | {rule.cure(MigrationFacts(), False)} |"
        for number, rule in enumerate(RULES, 1)
    ]
    return "\n".join(lines)


def bounds_of_fields() -> str:
    """The bounds of single fields; the two workloads have the same."""
    lines = ["| Field | At most | Why |", "|---|---|---|"]
    lines += [
        f"| `{bound.path.removeprefix('spec.')}` | {bound.most:,} {bound.unit} | {bound.why} |"
        for bound in BOUNDS
        if not bound.path.startswith("spec.prefill.")
    ]
    return "\n".join(lines)


TABLES = {"migration-rules": migration_rules, "bounds": bounds_of_fields}
"""Name of a table's marks on the page -> what makes it."""


def regenerated(page: str) -> str:
    """The page with every table made anew. Raises ValueError for a table that has no marks on the page."""
    for name, table in TABLES.items():
        begin, end = f"<!-- table {name} -->\n", f"\n<!-- end {name} -->"
        pattern = re.compile(f"(?<={re.escape(begin)}).*?(?={re.escape(end)})", re.DOTALL)
        page, count = pattern.subn(table().replace("\\", r"\\"), page)
        if count != 1:
            raise ValueError(f"the marks of table {name} stand {count} times on {PAGE}")
    return page


if __name__ == "__main__":
    PAGE.write_text(regenerated(PAGE.read_text()))
