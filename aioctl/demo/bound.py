"""`python bound.py PARENT COMMAND...` becomes the command, and dies when its parent has died, even by SIGKILL (Linux only).

A controller whose bench or demo was killed would go on writing to a cluster that nobody looks after any more. No program that
is started here needs to know of this.
"""

import ctypes
import os
import signal
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def bind(parent: int) -> bool:
    """Has this process killed when its parent dies; False if that has happened before."""
    if sys.platform != "linux":
        return True
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def main() -> None:
    parent, *command = sys.argv[1:]
    if bind(int(parent)):
        os.execvp(command[0], command)  # noqa: S606  what was asked for


if __name__ == "__main__":
    main()
