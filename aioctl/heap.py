"""The heap of the process: what stays is not walked again and again (WEB-5).

A full collection holds the event loop while it walks everything that earlier ones have left. Of a fleet of thousands of
services that is millions of small objects, and seconds. So what has survived a collection that took long is frozen: the next
one walks only what came since. What is frozen goes as soon as nobody holds it, but for cycles of objects; those of a closed
connection are some 10 kB. Now and then a whole collection frees them, where that holds the loop no longer than is bearable.
"""

import gc
import time
from typing import Any, Final

import anyio
import structlog
from anyio.abc import TaskStatus

__all__ = ["Heap"]

_THRESHOLDS: Final = (5_000, 10, 5)
"""Objects, young collections and middle ones after which the next older generation is collected. A service that is made leaves some
500 objects, so a storm has a full collection for every 500 services, of the 250,000 objects that these have left. With
Python's (700, 10, 10) and nothing frozen they took 6 % of the CPU of a process that was making 500 services, and all collections 10 %."""
_OLDEST: Final = 2
_LONG: Final = 0.1
"""Seconds of a full collection after which what it leaves is frozen. One of 57,000 objects took 0.09 to 0.11 on a busy machine."""
_BEARABLE: Final = 1.0
"""Seconds that a whole collection may take."""
_WHOLE_EVERY: Final = 86_400.0

log = structlog.get_logger(__name__)


class Heap:
    """One per process."""

    def __init__(self) -> None:
        self._began = 0.0
        self._to_walk = 0.0
        """Seconds that collecting what is frozen would take: as long as those collections took that left it."""

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Freezes modules and the filled caches, then what stays, until it is cancelled."""
        gc.set_threshold(*_THRESHOLDS)
        began = time.perf_counter()
        gc.collect()
        self._freeze(time.perf_counter() - began)
        gc.callbacks.append(self._collected)
        try:
            task_status.started()
            while True:
                await anyio.sleep(_WHOLE_EVERY)
                self._whole()
        finally:
            gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        # Within a collection, anywhere in the program: no log line, whose lock may be held here.
        if info["generation"] != _OLDEST:
            return
        if phase == "start":
            self._began = time.perf_counter()
        elif (took := time.perf_counter() - self._began) >= _LONG:
            self._freeze(took)

    def _freeze(self, took: float) -> None:
        self._to_walk += took
        gc.freeze()

    def _whole(self) -> None:
        if self._to_walk > _BEARABLE:
            log.info(
                "cycles among what is frozen are not collected: that would hold the event loop",
                seconds=self._to_walk,
            )
            return
        self._to_walk = 0.0
        gc.unfreeze()
        gc.collect()
