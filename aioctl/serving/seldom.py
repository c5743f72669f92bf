"""Lines of the log that a stranger can cause: one at a time, with the number of those that were left out."""

from collections.abc import Callable
from time import monotonic
from typing import Any, Final

PAUSE: Final = 10.0
"""Seconds between two lines of one kind."""


class Seldom:
    """Says `event` at most once in `pause` seconds, whoever causes it; the next line counts what was not said."""

    def __init__(
        self,
        say: Callable[..., Any],
        event: str,
        *,
        pause: float = PAUSE,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._say = say
        self._event = event
        self._pause = pause
        self._clock = clock
        self._next = 0.0
        self._left_out = 0

    def say(self, **fields: Any) -> None:
        now = self._clock()
        if now < self._next:
            self._left_out += 1
            return
        self._say(self._event, left_out=self._left_out, **fields)
        self._next = now + self._pause
        self._left_out = 0
