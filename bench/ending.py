"""A run that is told to end (SIGINT, SIGTERM, SIGHUP) ends as any other: what it brought is removed, what it started is ended.

Told a second time it ends at once, and so do its children; what it brought to somebody's cluster then stays for `--clean`.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, TypeVar

import anyio

from bench import machine
from bench.scenario import say

T = TypeVar("T")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(Exception):
    """Somebody told the run to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.code: Final = 128 + number
        """As a shell says it of a program that a signal ended."""


def run(work: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """`anyio.run`, cancelled by a signal. Raises Ended."""
    told = _Told()
    with told.listening():
        return anyio.run(_cancellable, told, work, arguments)


def child(command: Sequence[str]) -> int:
    """Runs another program that ends in this way, and returns its exit code. Raises Ended when it was told to."""
    told = _Told()
    with told.listening():
        # In a group of its own, or it would be told twice where a terminal tells the whole group.
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0) as running:
            told.tell(running.send_signal)
            code = running.wait()
        told.check()
        return code


async def _cancellable(told: "_Told", work: Callable[..., Awaitable[T]], arguments: Sequence[Any]) -> T:
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:

        def cancel() -> None:
            scope.cancel()
            with suppress(OSError):  # of a terminal that has gone
                say("-- removing what this run brought; told again, it ends at once")

        told.tell(lambda _: loop.call_soon_threadsafe(cancel))
        try:
            return await work(*arguments)
        except Exception:
            # What breaks while everything is being ended is no news.
            told.check()
            raise
    told.check()
    raise AssertionError("nothing but a signal cancels this scope")


class _Told:
    """What was heard so far, and whom to tell."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._tell: Callable[[int], object] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Signals that are ignored (nohup, a job in the background) stay so."""
        before = {
            number: handler
            for number in _SIGNALS
            if (handler := signal.getsignal(number)) is not signal.SIG_IGN
        }
        try:
            for number in before:
                signal.signal(number, self._hear)
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def tell(self, tell: Callable[[int], object]) -> None:
        """From now on, and of what was heard already."""
        self._tell = tell
        if self._number is not None:
            tell(self._number)

    def check(self) -> None:
        """Raises Ended."""
        if self._number is not None:
            raise Ended(self._number)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self._number is not None:
            for pid in machine.children():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._number = number
        if self._tell is not None:
            self._tell(number)
