"""What a check finds: one line, its grade, and the code that leads to the cure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aioctl.tools.checks.codes import CHECK, GROUPS
from aioctl.tools.codes import Code


class Grade(StrEnum):
    """How bad it is. A warning asks nobody to act now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """What it stands on could not be read: nothing is said of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `code` None: nothing is known to be wrong, and `found` says what was looked at."""

    group: str
    grade: Grade
    found: str
    code: Code | None = None

    def as_data(self) -> dict[str, Any]:
        """The fields that `-o json` promises."""
        return {
            "group": self.group,
            "grade": self.grade.value,
            "code": self.code.code if self.code else "",
            "found": self.found,
            "cure": self.code.cure if self.code else "",
            "page": self.code.page if self.code else "",
        }


def bad(code: str, found: str, grade: Grade = Grade.FAILED) -> Finding:
    """Somebody has to act."""
    return Finding(code.split("-")[1], grade, found, CHECK[code])


def warn(code: str, found: str) -> Finding:
    """To be known, and not to be acted on now."""
    return bad(code, found, Grade.WARNING)


def fine(group: str, found: str) -> Finding:
    """What was seen and is well."""
    return Finding(group, Grade.OK, found)


def unknown(group: str, resources: Sequence[str]) -> Finding:
    """The line of a group that nobody could look at as a whole."""
    return Finding(group, Grade.UNKNOWN, f"{GROUPS[group]}: {', '.join(resources)} could not be read")


def title(group: str) -> Finding:
    """The line of a group in which nothing is wrong."""
    return Finding(group, Grade.OK, GROUPS[group])
