"""Workers: one outcome switch, deadlines, isolation of failing keys, and a stop that gives running work its grace."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from aioctl.engine.queue import LOW_PRIORITY, QueueStatistics, WorkQueue
from aioctl.engine.workers import (
    DeadlineExceeded,
    Done,
    Failed,
    ReconcileObserver,
    RequeueAfter,
    Result,
    ResultLabel,
    Run,
    run_workers,
)
from testbed.virtual_time import VirtualClock, virtual_time


class Recorder(ReconcileObserver):
    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.actives: list[int] = []
        self.count = 0

    def workers(self, count: int) -> None:
        self.count = count

    def active(self, count: int) -> None:
        self.actives.append(count)

    def finished(self, run: Run) -> None:
        self.runs.append(run)


Scene = Callable[[WorkQueue[str], Recorder], Awaitable[None]]


async def play(
    reconcile: Callable[[str], Awaitable[Result]], scene: Scene, *, workers: int = 1, grace: float = 5
) -> Recorder:
    """Runs the workers beside the scene; shuts the queue down when the scene is over."""
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())
    recorder = Recorder()

    async def work() -> None:
        await run_workers(queue, reconcile, workers=workers, deadline=30, grace=grace, observer=recorder)

    async with anyio.create_task_group() as tg:
        tg.start_soon(work)
        await scene(queue, recorder)
        queue.shut_down()
    return recorder


BOOM = ValueError("boom")


@pytest.mark.parametrize(
    ("answer", "outcome", "failures", "comes_back"),
    [
        (Done(), ResultLabel.SUCCESS, 0, False),
        (RequeueAfter(7), ResultLabel.REQUEUE_AFTER, 0, True),
        (RequeueAfter(7, quiet=True), ResultLabel.REQUEUE_AFTER, 1, True),
        (Failed(BOOM), ResultLabel.ERROR, 2, True),
    ],
)
@virtual_time
async def test_each_result_is_one_queue_action_and_one_label(
    answer: Result, outcome: ResultLabel, failures: int, comes_back: bool
) -> None:
    async def reconcile(key: str) -> Result:
        return answer

    async def scene(queue: WorkQueue[str], recorder: Recorder) -> None:
        queue.add_rate_limited("k")
        await anyio.sleep(0.006)
        assert [(run.outcome, run.result, run.unexpected) for run in recorder.runs] == [
            (outcome, answer, False)
        ]
        assert queue.failures("k") == failures
        assert queue.statistics() == QueueStatistics(ready=0, delayed=int(comes_back), running=0)

    await play(reconcile, scene)


@virtual_time
async def test_requeue_after_runs_again_at_its_moment() -> None:
    moments: list[float] = []

    async def reconcile(key: str) -> Result:
        moments.append(anyio.current_time())
        return RequeueAfter(0.1) if len(moments) < 3 else Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queue.add("k")
        await anyio.sleep(10)

    await play(reconcile, scene)
    assert moments == pytest.approx([0, 0.1, 0.2])


@virtual_time
async def test_an_exception_is_reported_once_with_its_key_and_harms_no_other_key() -> None:
    async def reconcile(key: str) -> Result:
        if key == "bad":
            raise BOOM
        return Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queue.add("bad")
        queue.add("good")
        await anyio.sleep(0.001)

    recorder = await play(reconcile, scene)
    assert [(run.key, run.outcome, run.unexpected) for run in recorder.runs] == [
        ("bad", ResultLabel.ERROR, True),
        ("good", ResultLabel.SUCCESS, False),
    ]
    assert recorder.runs[0].result == Failed(BOOM)


@virtual_time
async def test_failures_back_off_and_success_resets() -> None:
    moments: list[float] = []

    async def reconcile(key: str) -> Result:
        moments.append(round(anyio.current_time(), 6))
        return Failed(BOOM) if len(moments) in {1, 2, 3, 5} else Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queue.add("k")
        await anyio.sleep(1)
        queue.add("k")
        await anyio.sleep(1)

    await play(reconcile, scene)
    assert moments == [0.0, 0.005, 0.015, 0.035, 1.0, 1.005]


@virtual_time
async def test_a_reconcile_beyond_its_deadline_is_cancelled_and_tried_again() -> None:
    calls: list[float] = []

    async def reconcile(key: str) -> Result:
        calls.append(anyio.current_time())
        if len(calls) == 1:
            await anyio.sleep_forever()
        return Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queue.add("k")
        await anyio.sleep(40)

    recorder = await play(reconcile, scene)
    assert calls == pytest.approx([0, 30.005])
    first, second = recorder.runs
    assert (first.outcome, first.seconds, first.unexpected) == (ResultLabel.ERROR, 30, True)
    assert isinstance(first.result, Failed)
    assert isinstance(first.result.error, DeadlineExceeded)
    assert second.outcome is ResultLabel.SUCCESS


@virtual_time
async def test_a_requeued_key_keeps_its_priority() -> None:
    seen: list[int] = []

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queues.append(queue)
        queue.add("k", priority=LOW_PRIORITY)
        await anyio.sleep(10)

    async def reconcile(key: str) -> Result:
        seen.append(queues[0].running_priority(key))
        return answers[len(seen) - 1]

    answers: list[Result] = [RequeueAfter(1), Failed(BOOM), Done()]
    queues: list[WorkQueue[str]] = []
    await play(reconcile, scene)
    assert seen == [LOW_PRIORITY] * 3


@virtual_time
async def test_no_more_reconciles_run_at_once_than_there_are_workers() -> None:
    async def reconcile(key: str) -> Result:
        await anyio.sleep(1)
        return Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        for number in range(9):
            queue.add(str(number))
        await anyio.sleep(3.5)

    recorder = await play(reconcile, scene, workers=3)
    assert recorder.count == max(recorder.actives) == 3
    assert recorder.actives[-1] == 0
    assert len(recorder.runs) == 9


@virtual_time
async def test_after_shutdown_running_reconciles_finish_within_their_grace() -> None:
    async def reconcile(key: str) -> Result:
        await anyio.sleep(4)
        return Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queue.add("running")
        queue.add("waiting")
        await anyio.sleep(1)

    recorder = await play(reconcile, scene)
    assert [run.key for run in recorder.runs] == ["running"]
    assert anyio.current_time() == 4


@virtual_time
async def test_after_its_grace_a_reconcile_is_cancelled() -> None:
    cancelled: list[float] = []

    async def reconcile(key: str) -> Result:
        try:
            await anyio.sleep(20)
        except BaseException:
            cancelled.append(anyio.current_time())
            raise
        return Done()

    async def scene(queue: WorkQueue[str], _: Recorder) -> None:
        queue.add("k")
        await anyio.sleep(1)

    recorder = await play(reconcile, scene)
    assert cancelled == [6.0]
    assert recorder.runs == []


@pytest.mark.parametrize(("seconds", "finishes"), [(3, True), (9, False)])
@virtual_time
async def test_a_cancelled_caller_grants_the_grace_too_and_loses_no_key(
    seconds: float, finishes: bool
) -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())
    recorder = Recorder()

    async def reconcile(key: str) -> Result:
        await anyio.sleep(seconds)
        return Done()

    with anyio.move_on_after(1) as scope:
        queue.add("k")
        queue.add("next")
        await run_workers(queue, reconcile, workers=1, deadline=30, grace=5, observer=recorder)
    assert scope.cancelled_caught
    assert [run.key for run in recorder.runs] == (["k"] if finishes else [])
    assert queue.statistics() == QueueStatistics(ready=1 if finishes else 2, delayed=0, running=0)
    assert anyio.current_time() == (3 if finishes else 6)


@virtual_time
async def test_without_the_right_to_finish_runs_are_cancelled_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())

    async def reconcile(key: str) -> Result:
        await anyio.sleep(3)
        return Done()

    with anyio.move_on_after(1):
        queue.add("k")
        await run_workers(
            queue,
            reconcile,
            workers=1,
            deadline=30,
            grace=5,
            may_finish=lambda: False,
            observer=ReconcileObserver(),
        )
    assert anyio.current_time() == 1
    assert queue.statistics() == QueueStatistics(ready=1, delayed=0, running=0)


@virtual_time
async def test_runs_are_cancelled_when_the_right_to_finish_is_lost_within_the_grace() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())

    async def reconcile(key: str) -> Result:
        await anyio.sleep(30)
        return Done()

    with anyio.move_on_after(1):
        queue.add("k")
        await run_workers(
            queue,
            reconcile,
            workers=1,
            deadline=60,
            grace=20,
            may_finish=lambda: anyio.current_time() < 3,
            observer=ReconcileObserver(),
        )
    assert anyio.current_time() == pytest.approx(3, abs=0.2)
    assert queue.statistics() == QueueStatistics(ready=1, delayed=0, running=0)


@virtual_time
async def test_a_key_that_arrives_together_with_the_cancellation_is_not_begun() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())
    begun: list[str] = []

    async def reconcile(key: str) -> Result:
        begun.append(key)
        await anyio.sleep(20)
        return Done()

    async def work(scope: anyio.CancelScope) -> None:
        with scope:
            await run_workers(queue, reconcile, workers=1, deadline=30, grace=5, observer=ReconcileObserver())

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tg:
        tg.start_soon(work, scope)
        await anyio.sleep(1)
        queue.add("k")
        scope.cancel()
    assert anyio.current_time() <= 6
    assert queue.statistics() == QueueStatistics(ready=1, delayed=0, running=0)


@virtual_time
async def test_an_observer_that_fails_stops_the_workers_loudly() -> None:
    class Broken(Recorder):
        def finished(self, run: Run) -> None:
            raise ZeroDivisionError

    async def reconcile(key: str) -> Result:
        return Done()

    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())
    queue.add("k")
    with pytest.raises(ExceptionGroup) as caught:
        await run_workers(queue, reconcile, workers=2, deadline=1, observer=Broken())
    assert caught.group_contains(ZeroDivisionError)


@virtual_time
async def test_workers_say_when_they_are_ready() -> None:
    queue: WorkQueue[str] = WorkQueue(clock=VirtualClock())

    async def reconcile(key: str) -> Result:
        return Done()

    async def serve(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        await run_workers(
            queue, reconcile, workers=1, deadline=1, task_status=task_status, observer=ReconcileObserver()
        )

    async with anyio.create_task_group() as tg:
        await tg.start(serve)
        queue.shut_down()


@pytest.mark.parametrize(("workers", "deadline"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
@virtual_time
async def test_no_workers_or_no_time_is_refused(workers: int, deadline: float) -> None:
    async def reconcile(key: str) -> Result:
        return Done()

    with pytest.raises(ValueError, match="must be positive"):
        await run_workers(
            WorkQueue[str](), reconcile, workers=workers, deadline=deadline, observer=ReconcileObserver()
        )
