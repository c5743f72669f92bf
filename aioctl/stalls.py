"""What is done about a stretch that holds the event loop: a log line, a mark, a count. See `engine/watchdog.py`.

All of it runs inside that stretch, in a signal handler: it takes no lock that the stretch may hold. So the line goes to
standard error in one system call, past the logger that may have been interrupted, and the metric is counted afterwards.
"""

import os
from typing import Any

import structlog
from structlog.contextvars import get_contextvars

from aioctl.api.kinds import ObjectKey
from aioctl.controller.marks import Marks
from aioctl.engine.watchdog import STDERR
from aioctl.metrics.process import ProcessMetrics
from aioctl.serving.conversion import converting


class Stalls:
    """One per process."""

    def __init__(self, marks: Marks, metrics: ProcessMetrics) -> None:
        self._marks = marks
        self._metrics = metrics
        self._log = structlog.wrap_logger(_Raw(STDERR))

    def told(self, stack: str) -> None:
        """The loop is held by whatever this interrupts; its context says which service or review that is."""
        bound = get_contextvars()
        if service := bound.get("service"):
            # Should the process end now, then because of this service, whatever part of its reconcile it is.
            self._marks.set(ObjectKey(*service.split("/", 1)))
        fields: dict[str, Any] = {"stack": stack}
        if current := converting.get()():
            fields["object"] = current
        self._log.error("the event loop is held", **fields)

    def ended(self) -> None:
        """The loop goes on."""
        self._marks.clear()
        self._metrics.stalled()


class _Raw:
    """A logger that writes a line at once and takes no lock."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def error(self, line: str) -> None:
        os.write(self._descriptor, line.encode(errors="replace") + b"\n")
