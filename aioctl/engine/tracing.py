"""Spans around what the program does, for whoever asked for traces; without, a call that does nothing.

What records them is set once at the start (`aioctl/tracing.py`), as the clock of a process is: a tracer handed through every
constructor would be in everybody's way for something that is off.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from typing import Final, Protocol

__all__ = ["Kind", "Span", "Tracer", "span", "use"]


class Kind(Enum):
    """Which side of a call a span is, if it is one."""

    INTERNAL = "internal"
    CLIENT = "client"
    SERVER = "server"


class Span(Protocol):
    """What is recorded."""

    def set(self, name: str, value: str | int) -> None:
        """One more attribute, named as OpenTelemetry's conventions have it."""
        ...


class Tracer(Protocol):
    """Records spans; the one that is open where another begins is its parent."""

    def span(
        self, name: str, kind: Kind, attributes: Mapping[str, str | int], carrier: Mapping[str, str] | None
    ) -> AbstractContextManager[Span]:
        """`carrier`: headers with the caller's trace context, which is then the parent."""
        ...


class _Nothing:
    def set(self, name: str, value: str | int) -> None:
        """Nobody records it."""


_NOTHING: Final[AbstractContextManager[Span]] = nullcontext(_Nothing())
_NO_ATTRIBUTES: Final[Mapping[str, str | int]] = {}
_tracer: Tracer | None = None


def use(tracer: Tracer | None) -> None:
    """From now on spans are recorded by this one, or by nobody."""
    global _tracer  # noqa: PLW0603  see the module
    _tracer = tracer


def span(
    name: str,
    kind: Kind = Kind.INTERNAL,
    attributes: Mapping[str, str | int] = _NO_ATTRIBUTES,
    carrier: Mapping[str, str] | None = None,
) -> AbstractContextManager[Span]:
    """Around a stretch of work; an exception that leaves it is recorded with it."""
    if _tracer is None:
        return _NOTHING
    return _tracer.span(name, kind, attributes, carrier)
