"""Free ports for processes that are told on their command line where to listen.

A port that the kernel gives away (a bind to 0) is free only until its socket is closed: any outgoing connection may take it
before the process that is meant listens. So ports come from below the range that the kernel gives away, and on Linux each is
held for the life of this process against others that ask here: by a name in the abstract namespace of Unix sockets, which is
one per network namespace, as ports are, and leaves nothing behind.
"""

import atexit
import contextlib
import itertools
import os
import socket
import sys

FIRST, END = 20000, 30000
"""Above what services are registered with, below the node ports of Kubernetes (30000) and the kernel's own (32768 on Linux)."""
_held = contextlib.ExitStack()
"""The names, until the process ends."""
atexit.register(_held.close)
# Processes that start together begin at different places, so that they seldom meet.
_candidates = itertools.cycle(
    itertools.chain(range(begin := FIRST + os.getpid() * 37 % (END - FIRST), END), range(FIRST, begin))
)


def free_port() -> int:
    """A port on which nobody listens, on any address, and that nobody else is given. Raises OSError when there is none."""
    for port in itertools.islice(_candidates, END - FIRST):
        with contextlib.ExitStack() as stack:
            name = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            if _is_named(name, port) and _is_free(port):
                _held.push(stack.pop_all())
                return port
    raise OSError(f"no port from {FIRST} to {END - 1} is free")


def _is_named(name: socket.socket, port: int) -> bool:
    """First the name, then a look at the port: who held it before has ended by then, or listens there."""
    if sys.platform != "linux":
        return True
    try:
        name.bind(f"\0aioctl-port-{port}")
    except OSError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
