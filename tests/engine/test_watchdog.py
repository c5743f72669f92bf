"""A stretch that holds the loop is told with its context and stack, and ended at the limit, whatever holds it.

In processes of their own: signals and the end of a process are theirs. Times are a few tenths of a second.
"""

import subprocess
import sys

import pytest

_PROGRAM = """
import gc, re, sys, time
import anyio
from structlog.contextvars import bound_contextvars, get_contextvars
from aioctl.engine.watchdog import Watchdog

def told(stack):
    print("told", get_contextvars().get("service"), "in", stack.strip().splitlines()[-1].strip(), flush=True)

def spin(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass

def collect(seconds):
    gc.callbacks.append(lambda phase, info: spin(seconds) if (phase, info["generation"]) == ("start", 2) else None)
    gc.collect()
    gc.callbacks.pop()

def match(seconds):
    re.match(r"(a+)+$", "a" * 60 + "b")

async def main():
    dog = Watchdog(told, warn=0.2, limit=float(sys.argv[3]), ended=lambda: print("ended", flush=True))
    async with anyio.create_task_group() as group:
        await group.start(dog.run)
        await anyio.sleep(0.6)
        with bound_contextvars(service="demo/bad"):
            globals()[sys.argv[1]](float(sys.argv[2]))
        await anyio.sleep(0.6)
        group.cancel_scope.cancel()
    time.sleep(1.0)
    print("over", flush=True)

anyio.run(main)
"""


def run(what: str, seconds: float, limit: float) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM, what, str(seconds), str(limit)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_long_stretch_is_told_once_and_the_process_goes_on() -> None:
    done = run("spin", 1.5, 30.0)
    assert done.returncode == 0, done.stderr
    told, ended, over = done.stdout.splitlines()
    assert told.startswith("told demo/bad in ")
    assert (ended, over) == ("ended", "over")


@pytest.mark.thorough
def test_a_short_stretch_is_nothing_and_nothing_is_left_behind() -> None:
    done = run("spin", 0.1, 0.5)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


@pytest.mark.thorough
def test_a_garbage_collection_is_no_stretch_and_ends_by_itself() -> None:
    done = run("collect", 1.2, 0.5)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")


@pytest.mark.parametrize("what", ["spin", pytest.param("match", marks=pytest.mark.thorough)])
def test_an_endless_stretch_ends_the_process(what: str) -> None:
    """The regular expression holds the interpreter lock and would take 2**60 steps."""
    done = run(what, 3600.0, 1.0)
    assert done.returncode == 1
    assert done.stdout.startswith("told demo/bad in ")
    assert "ended" not in done.stdout
    assert "Timeout" in done.stderr
    assert what in done.stderr, "the stack is on standard error"
