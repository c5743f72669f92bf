"""Processes that play lives in virtual time, one a core, so that a life is the same in each of them and whenever it is played again.

What a program does in an arbitrary order, as it goes over a set of strings, depends on a number that Python draws for each
process. Here that number is given: otherwise a line that replays a life would play another one.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Final

from aioctl.demo import bound
from testbed.logs import silent

_HASH_SEED: Final = "PYTHONHASHSEED"


@contextmanager
def processes(count: int, plays: Callable[..., object], *, seed: int = 0) -> Iterator[ProcessPoolExecutor]:
    """A pool of so many. `plays`: what they will do, whose modules they import first; `seed`: of the arbitrary orders."""
    before = os.environ.get(_HASH_SEED)
    # Read when an interpreter starts, so each of them has to be a new one.
    os.environ[_HASH_SEED] = str(seed)
    try:
        context = get_context("spawn")
        with ProcessPoolExecutor(count, context, initializer=begin, initargs=(plays, os.getpid())) as pool:
            yield pool
    finally:
        if before is None:
            del os.environ[_HASH_SEED]
        else:
            os.environ[_HASH_SEED] = before


def begin(_plays: Callable[..., object], parent: int) -> None:
    """In each process, before it plays anything."""
    # What nobody waits for any more would go on for hours: a pool's processes are not told that it was killed.
    if not bound.bind(parent):
        sys.exit()
    silent()
    # Modules stay: a full collection that goes over them again and again takes a sixth of the time of a life.
    gc.freeze()
