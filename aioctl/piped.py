"""How a command ends whose output nobody reads any more, as after `| head`, or that is interrupted. Loads nothing heavy: every
command passes here."""

import errno
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
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def command(main: Callable[[], Any]) -> NoReturn:
    """Runs it and ends with what it returns; without a trace when nobody reads its output any more, or there is no room for it."""
    try:
        try:
            code = main()
        except SystemExit as ended:
            code = ended.code
        if sys.stdout is not None:  # closed by the caller
            sys.stdout.flush()
    except (BrokenPipeError, BaseExceptionGroup) as error:
        unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
        if not unread or not _is_broken_pipe(error):
            raise
        for stream in unread:
            _discard(stream)
        code = _UNREAD
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename is not None:
            raise
        _discard(sys.stdout)
        code = f"Error: cannot write the output: {error.strerror}"
    sys.exit(code)


def _discard(stream: TextIO) -> None:
    """What is still in its buffer goes nowhere at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _is_broken_pipe(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(BrokenPipeError) is not None
    return isinstance(error, BrokenPipeError)


def _is_unread(stream: TextIO | None) -> bool:
    if stream is None:
        return False
    try:
        number = stream.fileno()
    except io.UnsupportedOperation:
        return False
    poll = select.poll()
    poll.register(number, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
