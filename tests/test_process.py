"""What the process has of its host: the signals that end it."""

import os
import signal

import anyio
from structlog.testing import capture_logs

from aioctl.process import stop_on_signal


async def test_a_second_signal_waits_for_no_drain() -> None:
    ended, left = anyio.Event(), anyio.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    with capture_logs() as lines, anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(stop_on_signal, ended, leave)
            await anyio.wait_all_tasks_blocked()
            os.kill(os.getpid(), signal.SIGTERM)
            await ended.wait()
            assert not codes
            os.kill(os.getpid(), signal.SIGINT)
            await left.wait()
            group.cancel_scope.cancel()
    assert codes == [1]
    assert [line["log_level"] for line in lines][:2] == ["info", "warning"]
