"""The watchdog of the event loop: tells of a stretch that holds the loop, and ends the process when it does not end.

It works from outside the loop and needs nothing of it but a sign of life, which renews two alarms:

- The kernel's interval timer (SIGALRM) interrupts the main thread after `warn` seconds. Its handler runs in the very
  context that holds the loop, so the bound log fields (service and run, or path and review) are there, and the stack. It
  runs inside a regular expression too: CPython's matcher looks for signals.
- The timer of `faulthandler` needs no interpreter lock: after `limit` seconds it writes the stacks to standard error and
  ends the process with code 1, whatever holds the lock. A default action of SIGALRM would not: the kernel spares process 1.

A full garbage collection holds the loop, too, wherever it happens to begin. It is nobody's fault and ends by itself: it is not told
of, and has a limit of its own.

A process that was stopped as a whole and goes on is told too late that it lives, and may end: its lease is lost anyway.
"""

import faulthandler
import gc
import signal
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import anyio
from anyio.abc import TaskStatus

__all__ = ["STDERR", "Watchdog"]

STDERR: Final = 2
"""Standard error as the process was started with, whatever object stands for it now."""

BEAT: Final = 0.25
"""Seconds between signs of life; an alarm may come so much later than its time, never earlier."""
COLLECTION: Final = 120.0
"""Seconds that a full garbage collection may take: one of millions of objects takes ten on a busy machine."""
_OLDEST: Final = 2
MOST_FRAMES: Final = 40
"""Innermost frames of a stack that are told."""


class Watchdog:
    """One per process, on its main thread. `told(stack)` is called inside the stretch, and must take no lock."""

    def __init__(
        self, told: Callable[[str], None], *, warn: float, limit: float, ended: Callable[[], None]
    ) -> None:
        """`warn` and `limit` in seconds; a `limit` of 0 never ends the process.

        `ended` is called on the loop once a stretch that was told of is over.
        """
        if not warn > 0 or (limit and not limit > warn):
            raise ValueError(f"warn is {warn:g} seconds and limit {limit:g}; both must be positive and rise")
        self._told = told
        self._ended = ended
        self._warn = warn
        self._limit = limit
        self._held = False

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watches until it is cancelled."""
        before = signal.signal(signal.SIGALRM, self._alarm)
        gc.callbacks.append(self._collects)
        try:
            self._renew()
            task_status.started()
            while True:
                await anyio.sleep(BEAT)
                self._renew()
                if self._held:
                    self._held = False
                    self._ended()
        finally:
            gc.callbacks.remove(self._collects)
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            signal.signal(signal.SIGALRM, before)

    def _renew(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._warn + BEAT)
        if self._limit:
            faulthandler.dump_traceback_later(self._limit + BEAT, exit=True, file=STDERR)

    def _collects(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] != _OLDEST:
            return
        if phase == "stop":
            self._renew()
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._limit:
            faulthandler.dump_traceback_later(max(COLLECTION, self._limit), exit=True, file=STDERR)

    def _alarm(self, _signum: int, frame: FrameType | None) -> None:
        self._held = True
        self._told("".join(traceback.format_stack(frame, limit=MOST_FRAMES)))
