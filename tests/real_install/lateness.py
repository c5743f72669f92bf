"""How late a machine is while something is timed: what a limit in seconds allows where other work takes the machine's time.

A law such as "within two seconds" is about the program. On a machine that gives it a tenth of the time each of its steps takes ten
times as long, and so does each round that is timed here, at the same time and on the same machine.
"""

import contextlib
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

PAUSE = 0.1
"""Seconds between two rounds."""


@dataclass
class Lateness:
    """The longest round so far, seconds."""

    worst: float = 0.0

    def allowed(self, seconds: float, *, steps: int) -> float:
        """The limit, and what so many steps one after the other may take as slow as the slowest round."""
        return seconds + steps * self.worst


@contextlib.contextmanager
def measured(*rounds: Callable[[], object]) -> Iterator[Lateness]:
    """Goes these rounds over and over while the block runs; one that fails counts, too. Raises what is no OSError at the end."""
    found, stopping = Lateness(), threading.Event()
    failures: list[Exception] = []

    def go() -> None:
        while not stopping.is_set() and not failures:
            # The pause is part of it: this thread, too, waits for its turn.
            started = time.monotonic()
            stopping.wait(PAUSE)
            try:
                for each in rounds:
                    with contextlib.suppress(OSError):
                        each()
            except Exception as error:  # noqa: BLE001  raised where the block ends
                failures.append(error)
            if not stopping.is_set():
                found.worst = max(found.worst, time.monotonic() - started - PAUSE)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        thread.join()
    if failures:
        raise failures[0]


def page(url: str) -> Callable[[], object]:
    """A round: the page is asked for."""

    def ask() -> object:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310  an address of ours
            return answer.read()

    return ask
