"""A run of the bench ends as soon as its controller does, and says with which last words."""

import asyncio
import sys
from pathlib import Path

import anyio
import pytest

from aioctl.demo.processes import StageError
from bench.stage import outlived_by


async def test_a_controller_that_ends_by_itself_ends_the_run_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "controller.log").write_text("Timeout (0:00:10.250000)!\n")
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(1)")
    with pytest.raises(StageError, match=r"^the controller ended by itself:\nTimeout \(0:00:10"):
        async with outlived_by(child.pid, tmp_path):
            await anyio.sleep_forever()
    await child.wait()


async def test_a_run_that_ends_first_keeps_its_own_error(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "input()", stdin=asyncio.subprocess.PIPE
    )
    async with outlived_by(child.pid, tmp_path):
        await anyio.lowlevel.checkpoint()
    with pytest.raises(TimeoutError, match="lost"):
        async with outlived_by(child.pid, tmp_path):
            raise TimeoutError("3 services are lost")
    child.terminate()
    await child.wait()
