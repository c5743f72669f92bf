"""How a command ends whose output nobody reads any more, as after `| head`, or that is interrupted. Loads nothing heavy: every
command passes here."""

import io
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, TextIO

_UNREAD: Final = 128 + signal.SIGPIPE
INTERRUPTED: Final = 128 + signal.SIGINT
"""The codes that a shell gives a program which such a signal ended."""


def command(main: Callable[[], Any]) -> NoReturn:
    """Runs it and ends with what it returns; without a trace when nobody reads its output any more."""
    try:
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
    except (BrokenPipeError, BaseExceptionGroup) as error:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
        if not unread or not _is_broken_pipe(error):
            raise
        for stream in unread:
            # What is still in its buffer goes there at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        code = _UNREAD
    sys.exit(code)


def _is_broken_pipe(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(BrokenPipeError) is not None
    return isinstance(error, BrokenPipeError)


def _is_unread(stream: TextIO) -> bool:
    try:
        number = stream.fileno()
    except io.UnsupportedOperation:
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
