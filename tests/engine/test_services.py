"""Start and stop order: up in order, down in reverse, the same way for a stop, a crash and a cancellation."""

import anyio
import pytest
from anyio.abc import TaskStatus
from structlog.testing import capture_logs

from aioctl.engine.services import Service, ServiceEnded, run_services
from testbed.virtual_time import virtual_time


class Diary:
    """Services that write down, with the time, what happens to them."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []

    def note(self, line: str) -> None:
        self.lines.append((anyio.current_time(), line))

    def service(
        self,
        name: str,
        *,
        start: float = 1,
        cleanup: float = 0,
        drain: float = 5,
        life: float | None = None,
        crash: Exception | None = None,
    ) -> Service:
        """Ready after `start` seconds; after `life` seconds it crashes or returns."""

        async def run(*, task_status: TaskStatus[None]) -> None:
            self.note(f"{name} starts")
            await anyio.sleep(start)
            task_status.started()
            self.note(f"{name} ready")
            try:
                if life is not None:
                    await anyio.sleep(life)
                    if crash is not None:
                        raise crash
                else:
                    await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(cleanup)
                self.note(f"{name} ended")

        return Service(name, run, drain)


async def run_until(seconds: float, *services: Service) -> None:
    stop = anyio.Event()
    async with anyio.create_task_group() as tg:

        async def stopper() -> None:
            await anyio.sleep(seconds)
            stop.set()

        tg.start_soon(stopper)
        await run_services(services, stop=stop)
        tg.cancel_scope.cancel()


@virtual_time
async def test_each_starts_when_the_one_before_is_ready_and_stops_when_the_one_after_has_ended() -> None:
    diary = Diary()
    await run_until(
        10, diary.service("webhook", cleanup=2), diary.service("caches"), diary.service("workers", cleanup=3)
    )
    assert diary.lines == [
        (0, "webhook starts"),
        (1, "webhook ready"),
        (1, "caches starts"),
        (2, "caches ready"),
        (2, "workers starts"),
        (3, "workers ready"),
        (13, "workers ended"),
        (13, "caches ended"),
        (15, "webhook ended"),
    ]


@virtual_time
async def test_a_stop_during_the_start_ends_it_and_later_services_never_start() -> None:
    diary = Diary()
    await run_until(5, diary.service("a"), diary.service("b", start=60), diary.service("c"))
    assert [line for _, line in diary.lines] == ["a starts", "a ready", "b starts", "a ended"]
    assert anyio.current_time() == 5


@pytest.mark.parametrize("crashing", ["a", "b", "c"])
@virtual_time
async def test_a_crash_stops_the_others_in_reverse_order_and_comes_out(crashing: str) -> None:
    diary = Diary()
    error = ValueError("boom")
    services = [
        diary.service(name, cleanup=1, life=20 if name == crashing else None, crash=error)
        for name in ("a", "b", "c")
    ]
    with pytest.raises(ValueError, match="boom") as caught:
        await run_services(services, stop=anyio.Event())
    assert caught.value is error
    ended = [line for _, line in diary.lines if line.endswith("ended")]
    others = [f"{name} ended" for name in ("c", "b", "a") if name != crashing]
    assert ended == [f"{crashing} ended", *others]


@pytest.mark.parametrize(("expected", "is_traced"), [((), True), ((OSError,), True), ((ValueError,), False)])
@virtual_time
async def test_only_an_error_that_nobody_expects_is_logged_with_its_trace(
    expected: tuple[type[Exception], ...], is_traced: bool
) -> None:
    async def broken(*, task_status: TaskStatus[None]) -> None:
        raise ValueError("cannot bind")

    with capture_logs() as logs, pytest.raises(ValueError, match="cannot bind"):
        await run_services([Service("broken", broken, 1, expected=expected)], stop=anyio.Event())
    (line,) = (line for line in logs if line["log_level"] == "error")
    assert (line["event"], line["service"]) == ("service failed", "broken")
    assert line["error"] == "cannot bind"
    assert bool(line["exc_info"]) is is_traced


@virtual_time
async def test_a_crash_before_ready_stops_the_start() -> None:
    diary = Diary()

    async def broken(*, task_status: TaskStatus[None]) -> None:
        raise ValueError("cannot bind")

    services = [diary.service("a"), Service("broken", broken, 1), diary.service("c")]
    with pytest.raises(ValueError, match="cannot bind"):
        await run_services(services, stop=anyio.Event())
    assert [line for _, line in diary.lines] == ["a starts", "a ready", "a ended"]


@pytest.mark.parametrize("start", [0, None])
@virtual_time
async def test_a_service_that_returns_unasked_is_an_error(start: float | None) -> None:
    async def returns(*, task_status: TaskStatus[None]) -> None:
        if start is not None:
            task_status.started()

    with pytest.raises(ServiceEnded, match="lease"):
        await run_services([Service("lease", returns, 1)], stop=anyio.Event())


@virtual_time
async def test_several_errors_come_out_together() -> None:
    diary = Diary()

    async def bad_cleanup(*, task_status: TaskStatus[None]) -> None:
        task_status.started()
        try:
            await anyio.sleep_forever()
        finally:
            raise KeyError("cleanup")

    services = [Service("bad", bad_cleanup, 1), diary.service("crash", life=1, crash=ValueError("boom"))]
    with pytest.raises(ExceptionGroup) as caught:
        await run_services(services, stop=anyio.Event())
    assert [type(error) for error in caught.value.exceptions] == [KeyError, ValueError]


@virtual_time
async def test_a_cancelled_caller_gets_the_same_orderly_stop() -> None:
    diary = Diary()
    with anyio.move_on_after(10) as scope:
        await run_services([diary.service("a", cleanup=2), diary.service("b", cleanup=3)], stop=anyio.Event())
    assert scope.cancelled_caught
    assert diary.lines[-2:] == [(13, "b ended"), (15, "a ended")]


@virtual_time
async def test_a_service_that_never_finishes_its_cleanup_does_not_hold_up_the_others() -> None:
    diary = Diary()
    with capture_logs() as logs:
        await run_until(10, diary.service("a"), diary.service("slow", cleanup=100, drain=5))
    assert diary.lines[-2:] == [(16, "a ended"), (110, "slow ended")]
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "service still cleans up; going on without it"
    ]


@virtual_time
async def test_without_services_it_waits_for_the_stop() -> None:
    await run_until(3)
    assert anyio.current_time() == 3
