"""Workers: a fixed number of tasks that take keys, run the reconcile, and turn its result into one queue action.

    result                       queue                                        counted as
    Done                         forget the backoff                           success
    RequeueAfter(s)              forget the backoff, add after s              requeue_after
    RequeueAfter(s, quiet=True)  add after s; the backoff stays               requeue_after
    Failed(error)                add with backoff                             error
    an exception, or too late    add with backoff                             error, and reported as unexpected

The switch stands in `_settle` and nowhere else. A requeued key keeps the priority it was taken with.

Stopping: after `queue.shut_down()`, or when the caller is cancelled, no key is taken any more and the reconciles that
run may go on for `grace` seconds before they are cancelled; their keys are added again, so that a queue which lives on
has lost nothing. The grace is over as soon as `may_finish` says no: without leadership somebody else may be writing already.
"""

from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.engine.queue import ShutDown, WorkQueue

__all__ = [
    "DeadlineExceeded",
    "Done",
    "Failed",
    "ReconcileObserver",
    "RequeueAfter",
    "Result",
    "ResultLabel",
    "Run",
    "run_workers",
]

K = TypeVar("K", bound=Hashable)

_ASK: Final = 0.1
"""Seconds between two questions whether the runs in progress may still finish."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """The state of the world is as wanted."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Nothing failed, but look again in so many seconds. `quiet`: nothing was decided, so nothing is said about it."""

    seconds: float
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Try again, each time later."""

    error: Exception


Result = Done | RequeueAfter | Failed


class ResultLabel(Enum):
    """What a run is counted as: the values of the label `result`."""

    SUCCESS = "success"
    REQUEUE_AFTER = "requeue_after"
    ERROR = "error"


class DeadlineExceeded(Exception):
    """A reconcile was cancelled because it took longer than its deadline."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run. `seconds` of work; `unexpected`: the reconcile raised or was too late, instead of answering."""

    key: Hashable
    result: Result
    outcome: ResultLabel
    seconds: float
    unexpected: bool = False


class ReconcileObserver:
    """What happens to the workers, in the terms of the `controller_runtime_reconcile_*` metrics."""

    def workers(self, count: int) -> None:
        """So many workers there are (`max_concurrent_reconciles`)."""

    def active(self, count: int) -> None:
        """So many of them run a reconcile now (`active_workers`)."""

    def finished(self, run: Run) -> None:
        """A run ended (`reconcile_total`, `reconcile_errors_total`, `reconcile_time_seconds`); the place to log it.

        An unexpected error is told here and nowhere else: whoever implements this logs it, once, with its key.
        """


async def run_workers(
    queue: WorkQueue[K],
    reconcile: Callable[[K], Awaitable[Result]],
    *,
    workers: int,
    deadline: float,
    grace: float = 5.0,
    may_finish: Callable[[], bool] = lambda: True,
    context: Callable[[K], AbstractContextManager[object]] = lambda _: nullcontext(),
    clock: Clock = SYSTEM_CLOCK,
    observer: ReconcileObserver,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Works the queue until it is shut down; returns when the last run has ended.

    `deadline`: seconds a run may take. `grace`: seconds the runs in progress may still take after the stop, as long as
    `may_finish`, asked again and again, allows it. `context` is entered for each run and its report, so that all that is
    logged meanwhile says which run it belongs to.
    """
    if workers < 1 or not deadline > 0:
        raise ValueError(f"workers is {workers} and deadline {deadline:g} seconds; both must be positive")
    crew = _Crew(queue, reconcile, deadline, context, clock, observer)
    observer.workers(workers)
    observer.active(0)
    async with anyio.create_task_group() as tg:
        for number in range(workers):
            tg.start_soon(crew.work, name=f"worker-{number}")
        task_status.started()
        try:
            await queue.wait_shut_down()
        finally:
            crew.stop_taking()
            with anyio.move_on_after(grace, shield=True):
                while may_finish() and not crew.idle:
                    with anyio.move_on_after(_ASK):
                        await crew.wait_idle()
            crew.interrupt()


class _Crew(Generic[K]):
    """The workers' common state: who runs what."""

    def __init__(
        self,
        queue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[Result]],
        deadline: float,
        context: Callable[[K], AbstractContextManager[object]],
        clock: Clock,
        observer: ReconcileObserver,
    ) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._deadline = deadline
        self._context = context
        self._clock = clock
        self._observer = observer
        self._taking = True
        self._runs: set[anyio.CancelScope] = set()
        self._idle = anyio.Event()
        self._idle.set()

    async def work(self) -> None:
        """One worker."""
        while True:
            try:
                key = await self._queue.get()
            except ShutDown:
                return
            try:
                if not self._taking or await self._interrupted(key):
                    self._queue.add(key, priority=self._queue.running_priority(key))
            finally:
                self._queue.done(key)

    def stop_taking(self) -> None:
        """From here on no run begins: a worker that a key has woken, and a cancellation not yet reached, puts it back."""
        self._taking = False

    @property
    def idle(self) -> bool:
        """No reconcile runs."""
        return not self._runs

    async def wait_idle(self) -> None:
        """Returns once no reconcile runs."""
        await self._idle.wait()

    def interrupt(self) -> None:
        """Cancels the reconciles that still run."""
        for scope in list(self._runs):
            scope.cancel()

    async def _interrupted(self, key: K) -> bool:
        """Runs the reconcile under a shield: neither the stop nor a cancelled caller cuts it short, only `interrupt`."""
        with anyio.CancelScope(shield=True) as scope:
            self._enter(scope)
            try:
                await self._run(key)
            finally:
                self._leave(scope)
        return scope.cancelled_caught

    async def _run(self, key: K) -> None:
        began = self._clock.monotonic()
        with self._context(key):
            result, unexpected = await self._answer(key)
            outcome = self._settle(key, result)
            self._observer.finished(Run(key, result, outcome, self._clock.monotonic() - began, unexpected))

    async def _answer(self, key: K) -> tuple[Result, bool]:
        """The reconcile's result, or what stands for one that it did not give."""
        try:
            with anyio.move_on_after(self._deadline):
                return await self._reconcile(key), False
        except Exception as error:  # noqa: BLE001 -- any bug in one reconcile is one key's failure; the observer logs it
            return Failed(error), True
        return Failed(DeadlineExceeded(f"reconcile took longer than {self._deadline:g} s")), True

    def _settle(self, key: K, result: Result) -> ResultLabel:
        """One result, one queue action, one label."""
        priority = self._queue.running_priority(key)
        match result:
            case Done():
                self._queue.forget(key)
                return ResultLabel.SUCCESS
            case RequeueAfter(seconds=seconds, quiet=quiet):
                if not quiet:
                    self._queue.forget(key)
                self._queue.add_after(key, seconds, priority=priority)
                return ResultLabel.REQUEUE_AFTER
            case Failed():
                self._queue.add_rate_limited(key, priority=priority)
                return ResultLabel.ERROR

    def _enter(self, scope: anyio.CancelScope) -> None:
        if not self._runs:
            self._idle = anyio.Event()
        self._runs.add(scope)
        self._observer.active(len(self._runs))

    def _leave(self, scope: anyio.CancelScope) -> None:
        self._runs.discard(scope)
        self._observer.active(len(self._runs))
        if not self._runs:
            self._idle.set()
