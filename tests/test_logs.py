"""What reaches the log of a process: configured in a process of its own, since the set-up is for good."""

import os
import subprocess
import sys

import msgspec
import pytest

_PROGRAM = """
import logging, sys
from aioctl.logs import configure
from aioctl.settings import LogFormat, LogLevel

configure(LogLevel.INFO, LogFormat(sys.argv[1]))
logging.getLogger("aioctl.engine.services").info("service ready", extra={"service": "caches"})
logging.getLogger("somebody.else").info("chatter")

def fails(password: str) -> None:
    raise ValueError("no")

try:
    fails("pass" + "word-in-a-variable")
except ValueError:
    logging.getLogger("aioctl.engine.store").exception("handler failed on a delta", extra={"key": "a/b"})
"""


def _lines(style: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, style], check=True, capture_output=True, text=True, timeout=60
    )
    return done.stderr.splitlines()


def test_the_engine_says_of_what_it_speaks_and_where_it_failed() -> None:
    ready, failed = [msgspec.json.decode(line) for line in _lines("json")]
    assert (ready["event"], ready["service"]) == ("service ready", "caches")
    assert (failed["event"], failed["key"]) == ("handler failed on a delta", "a/b")
    assert failed["exception"].startswith("Traceback")
    assert failed["exception"].endswith("ValueError: no")


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_trace_shows_the_values_of_variables(style: str) -> None:
    text = "\n".join(_lines(style))
    assert "ValueError: no" in text
    assert "password-in-a-variable" not in text


_ON = """
import logging, sys
import structlog
from aioctl.logs import configure
from aioctl.settings import LogFormat, LogLevel

configure(LogLevel.INFO, LogFormat(sys.argv[1]))
for _ in range(3):
    structlog.get_logger("aioctl").info("stopping", signal="SIGTERM")
    logging.getLogger("aioctl.engine.services").info("stopping service")
sys.stdout.write("went on")
"""


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_line_that_nobody_reads_holds_up_nothing(style: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ON, style],
            check=False, stdout=subprocess.PIPE, stderr=writing, text=True, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert done.stdout == "went on"
