"""The log as it would be rendered: `structlog.testing.capture_logs` leaves out what is bound to the context."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.testing import LogCapture


@contextmanager
def full_logs() -> Iterator[list[Any]]:
    """The lines logged inside the block, each with the fields of its context."""
    capture = LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    try:
        yield capture.entries
    finally:
        structlog.configure(processors=before)


def silent() -> None:
    """For a process that plays many lives: only what is critical is logged."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
