"""Structured logs: one line an event, constant messages, everything that varies as a field. JSON or for people."""

import logging
import sys
from contextlib import suppress
from typing import Any, Final, TextIO

import structlog

from aioctl.settings import LogFormat, LogLevel

_LEVELS: Final = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
}


class _Lossy:
    """A stream that loses what it cannot write: whoever collected the lines went away, or the disk is full.

    Work goes on without its log. An error here would come out of every place that logs, and SIGTERM would stop nothing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: it was closed
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure(level: LogLevel, style: LogFormat) -> None:
    """Sets structlog up for the process; the standard library's loggers (engine, aiohttp, asyncio) join the same stream."""
    stream: Any = _Lossy(sys.stderr)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if style is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before the renderer: JSON would lose the trace, and the console one shows the values of all variables.
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    # Libraries tell too much below a warning; what our own engine says is meant to be read.
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), handlers=[handler], force=True)
    logging.getLogger("aioctl").setLevel(_LEVELS[level])
