"""What goes wrong with a template: a text that starts as Go's does, then where it happened and what was expected.

Tools and people know Go's texts (TPL-4), so they come first and are exact but for the column; what
follows in parentheses is ours: the field of the object, whose config it is, the line inside the string.
"""

from collections.abc import Callable
from typing import Final

PARSE_PREFIX: Final = "failed to parse template config: template: config:1: "
EXECUTE_PREFIX: Final = "failed to merge config: template: config:1:"
ESCAPE: Final = "where {{ is meant as text, write {{`{{`}}"
DECODE_PREFIX: Final = "failed to unmarshal config from template: "


class TemplateError(Exception):
    """A string of a config or service cannot be rendered."""


class ParseError(Exception):
    """A string is no template of the supported language; `offset` counts in the JSON text of the string."""

    def __init__(self, reason: str, offset: int, expected: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.offset = offset
        self.expected = expected


class ExecuteError(Exception):
    """A template cannot be evaluated against this service; `context` is the expression that failed."""

    def __init__(self, reason: str, context: str, offset: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.context = context
        self.offset = offset


def line_at(escaped: str, offset: int) -> int:
    """The line, from 1, of a place in the JSON text of a string, where a line break is the two characters `\\n`."""
    lines, place = 1, 0
    while place < min(offset, len(escaped)):
        if escaped[place] == "\\":
            lines += escaped[place + 1 : place + 2] == "n"
            place += 1
        place += 1
    return lines


def _place(path: str, source: str, line: int) -> str:
    owner = f" of {source}" if source else ""
    return f"in {path}{owner}, line {line}"


Source = Callable[[str], str]
"""Which config or service the value at a path came from; asked only when something is wrong."""


def parse_failure(error: ParseError, escaped: str, path: str, source: Source) -> TemplateError:
    """The error for a string that does not parse."""
    place = _place(path, source(path), line_at(escaped, error.offset))
    expected = f"; expected {error.expected}" if error.expected else ""
    return TemplateError(f"{PARSE_PREFIX}{error.reason} ({place}{expected}; {ESCAPE})")


def execute_failure(error: ExecuteError, escaped: str, path: str, source: Source) -> TemplateError:
    """The error for a template that cannot be evaluated."""
    place = _place(path, source(path), line_at(escaped, error.offset))
    return TemplateError(
        f'{EXECUTE_PREFIX}{error.offset + 1}: executing "config" at <{error.context}>: '
        f"{error.reason} ({place}; {ESCAPE})"
    )
