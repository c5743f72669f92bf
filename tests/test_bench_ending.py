"""A run of the bench that is told to end ends as any other, and with all its children; told again it ends at once."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from aioctl.demo import processes
from bench import __main__ as command
from bench import ending, running
from bench.registry import SCENARIOS

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
STUBBORN = """
import subprocess
import anyio
from bench import ending
async def work():
    child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            print("removing", flush=True)
            await anyio.sleep_forever()
ending.run(work)
"""
BOUND = str(Path(processes.__file__).with_name("bound.py"))
PARENT = f"""
import os, subprocess, sys
words = [sys.executable, "-I", "-S", {BOUND!r}, str(os.getpid()), "sh", "-c", "echo $$; exec sleep 600"]
subprocess.Popen(words).wait()
"""
PLAYING = """
import os, time
from bench import lives
with lives.processes(1, time.sleep) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(time.sleep, 600).result()
"""


@contextmanager
def program(text: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", text]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def said(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


@contextmanager
def seen_dying(pid: int) -> Iterator[None]:
    """Inside, the process is ended by something."""
    handle = os.pidfd_open(pid)
    try:
        yield
        dead, _, _ = select.select([handle], [], [], PATIENCE)
        assert dead, f"process {pid} lives"
    finally:
        os.close(handle)


@pytest.mark.usefixtures("heard_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_a_run_brought_is_removed_when_it_is_told_to_end(number: signal.Signals) -> None:
    removed: list[str] = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                removed.append("all")

    before = signal.getsignal(number)
    with pytest.raises(ending.Ended, match=f"ended by {number.name}") as raised:
        ending.run(work)
    assert removed == ["all"]
    assert raised.value.code == 128 + number
    assert signal.getsignal(number) == before


def test_a_run_that_is_told_while_it_removes_what_it_brought_still_removes_all() -> None:
    removed: list[str] = []

    async def work() -> str:
        with anyio.CancelScope(shield=True):
            signal.raise_signal(signal.SIGTERM)
            for _ in range(5):
                await anyio.lowlevel.checkpoint()
            removed.append("all")
        await anyio.lowlevel.checkpoint()
        return "done"

    with pytest.raises(ending.Ended):
        ending.run(work)
    assert removed == ["all"]


def test_what_breaks_while_a_run_ends_hides_nothing_and_other_errors_stay() -> None:
    async def broken(told: bool) -> None:
        try:
            if told:
                signal.raise_signal(signal.SIGTERM)
                await anyio.sleep_forever()
        finally:
            raise OSError("of a thing that has gone")

    with pytest.raises(ending.Ended):
        ending.run(broken, True)
    with pytest.raises(OSError, match="has gone"):
        ending.run(broken, False)


def test_a_run_gives_what_it_found() -> None:
    async def work(number: int) -> int:
        return number + 1

    assert ending.run(work, 2) == 3


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> str:
        signal.raise_signal(signal.SIGHUP)
        await anyio.lowlevel.checkpoint()
        return "went on"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert ending.run(work) == "went on"
    finally:
        signal.signal(signal.SIGHUP, before)


def test_told_again_it_ends_at_once_with_its_children() -> None:
    with program(STUBBORN) as stubborn, seen_dying(int(said(stubborn))):
        stubborn.send_signal(signal.SIGTERM)
        assert said(stubborn) == "removing"
        stubborn.send_signal(signal.SIGTERM)
        assert stubborn.wait(PATIENCE) == -signal.SIGTERM


def test_a_program_that_runs_others_hands_the_word_on() -> None:
    tell = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    with pytest.raises(ending.Ended):
        ending.child([sys.executable, "-c", tell])
    assert ending.child([sys.executable, "-c", "raise SystemExit(3)"]) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="no other kernel ends a child with its parent")
@pytest.mark.parametrize("text", [PARENT, PLAYING], ids=["program", "player of lives"])
def test_no_child_outlives_a_parent_that_was_killed(text: str) -> None:
    with program(text) as parent, seen_dying(int(said(parent))):
        parent.kill()


def test_a_child_is_bound_to_whoever_started_it(tmp_path: Path) -> None:
    async def words() -> str:
        reading = [
            sys.executable,
            "-c",
            f"print(open('/proc/{os.getpid()}/task/{os.getpid()}/children').read())",
        ]
        async with processes.process("child", reading, tmp_path) as child:
            assert child.stdout is not None
            children = (await child.stdout.receive()).decode().split()
            assert str(child.pid) in children, "it becomes the command, so that its number is the command's"
        return (tmp_path / "child.log").read_text()

    assert anyio.run(words) == ""


def test_the_command_ends_as_a_program_that_a_signal_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*_: object) -> int:
        raise ending.Ended(signal.SIGTERM)

    monkeypatch.setattr(running, "execute", told)
    assert command.main(["storm"]) == 143
    assert "storm: ended by SIGTERM" in capsys.readouterr().err


def test_no_scenario_runs_where_a_signal_would_break_it_off() -> None:
    loose = {path.stem for path in (ROOT / "bench").glob("*.py") if "anyio.run(" in path.read_text("utf-8")}
    assert loose == {"ending", "readers", "attacks"}, "the last two are children, which their parents end"
    assert len(SCENARIOS) > 20
