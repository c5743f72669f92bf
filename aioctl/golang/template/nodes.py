"""The syntax tree of a template, and its text again.

`str` of a template is a template that parses to the same tree: trimming and comments are gone, the text they left is
there. Offsets (in the JSON text of the string) are for error texts only and do not count in comparisons.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    value: bool
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "true" if self.value else "false"


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal integer."""

    value: int
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class RawString:
    """Text between backquotes."""

    value: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"`{self.value}`"


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`: the root, or what `with` chose."""

    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Path:
    """`.A.B.C`."""

    names: tuple[str, ...]
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x`, `$x.A.B`, or `$` for the root; `name` with its dollar sign."""

    name: str
    names: tuple[str, ...] = ()
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return self.name + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True, slots=True)
class Nil:
    """`nil`: only an argument."""

    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function; only the first word of a command calls it with arguments."""

    name: str
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Command:
    """A function with its operands, or one operand."""

    words: tuple["Operand", ...]
    at: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands joined by `|`: each value is the last operand of the next. The result may be kept in variables."""

    commands: tuple[Command, ...]
    at: int = field(default=0, compare=False)
    variables: tuple[str, ...] = ()
    """Two only in `range`: key and value."""
    assigns: bool = False
    """The variable is there already (`=`, not `:=`)."""

    def __str__(self) -> str:
        kept = f"{', '.join(self.variables)} {'=' if self.assigns else ':='} " if self.variables else ""
        return kept + " | ".join(str(command) for command in self.commands)


Operand = Boolean | Number | RawString | Dot | Path | Variable | Nil | Function | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """Characters outside actions; never empty, never beside another Text."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """`{{ pipe }}`: the value is printed, unless it is kept in a variable."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Branch:
    """`if` (keeps the dot), `with` (the value becomes the dot) or `range` (each element becomes it in turn)."""

    keyword: str
    pipe: Pipe
    then: tuple["Node", ...]
    otherwise: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True)
class Leave:
    """`break` or `continue`, inside a range."""

    keyword: str


Node = Text | Action | Branch | Leave


@dataclass(frozen=True, slots=True)
class Template:
    """One string of an object, parsed."""

    nodes: tuple[Node, ...]

    def __str__(self) -> str:
        return _printed(self.nodes)


_BETWEEN_BRACES: Final = re.compile(r"(?<=\{)(?=\{)")
_NOTHING: Final = " {{- /* */}}"
"""A comment that eats the blank before it: parts two braces of a text, which would start an action."""


def _printed(nodes: Iterable[Node]) -> str:
    printed = ""
    for node in nodes:
        if isinstance(node, Text):
            printed += _BETWEEN_BRACES.sub(_NOTHING, node.text)
        else:
            # A brace at the end of the text before must not become part of the delimiter.
            printed += (" {{- " if printed.endswith("{") else "{{ ") + _action(node)
    return printed


def _action(node: Action | Branch | Leave) -> str:
    """What follows the opening delimiter, to the closing one of the whole construct."""
    if isinstance(node, Action):
        return f"{node.pipe} }}}}"
    if isinstance(node, Leave):
        return f"{node.keyword} }}}}"
    text = f"{node.keyword} {node.pipe} }}}}{_followed(_printed(node.then))}"
    if node.otherwise:
        text += f"else }}}}{_followed(_printed(node.otherwise))}"
    return f"{text}end }}}}"


def _followed(inner: str) -> str:
    """The inside of a branch, with the opening delimiter of what ends it."""
    return inner + (" {{- " if inner.endswith("{") else "{{ ")
