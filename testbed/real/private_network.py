"""A network namespace in which every address of the pods' network is this machine: so processes can have pods' addresses.

`python -m testbed.real.private_network COMMAND ...` runs the command in one, without a way out of it. It takes the right to make
namespaces, which root has, and on most machines everybody; where that is missing it says so and fails.
"""

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

PODS, MASK = "10.244.0.0", "255.255.0.0"
HOST: Final = "10.244.0.1"
"""The address that this machine has beside loopback."""
_SET_FLAGS, _SET_ADDRESS, _SET_MASK = 0x8914, 0x8916, 0x891C
"""ioctl requests of <linux/sockios.h>."""
_UP: Final = 0x1
# The command's whole family ends with it, however it ends.
_FAMILY: Final = ("--pid", "--fork", "--kill-child")
_WAYS: Final = (("--user", "--map-root-user", "--net", *_FAMILY), ("--net", *_FAMILY))
_INSIDE: Final = "--inside"


class NoPrivateNetwork(Exception):
    """No namespace can be had here; the text says why."""


def enter() -> None:
    """Brings loopback up in a new namespace and gives it the pods' network. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # An address of a loopback interface makes its whole network local, as 127.0.0.1/8 does.
        for name, request, value in (
            ("lo", _SET_FLAGS, struct.pack("H14x", _UP)),
            ("lo:pods", _SET_ADDRESS, _address(HOST)),
            ("lo:pods", _SET_MASK, _address(MASK)),
        ):
            fcntl.ioctl(control, request, struct.pack("16s16s", name.encode(), value))


def _address(text: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))


def is_private() -> bool:
    """Whether an address of a pod is this machine's."""
    with socket.socket() as listener:
        try:
            listener.bind((PODS[:-1] + "2", 0))
        except OSError:
            return False
        return True


def become(command: Sequence[str]) -> NoReturn:
    """This process becomes the command. Raises NoPrivateNetwork."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise NoPrivateNetwork("there is no unshare (util-linux) on the path")
    said = ""
    for way in _WAYS:
        tried = subprocess.run([unshare, *way, "true"], capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            inside = (sys.executable, "-m", "testbed.real.private_network", _INSIDE, *command)
            os.execv(unshare, [unshare, *way, *inside])  # noqa: S606  the command line is the caller's
        said = tried.stderr.strip()
    raise NoPrivateNetwork(f"this machine allows no network namespace: {said}")


def main(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] == _INSIDE:
        enter()
        os.execvp(arguments[1], list(arguments[1:]))  # noqa: S606  the command line is the caller's
    try:
        become(arguments)
    except NoPrivateNetwork as error:
        print(f"no private network here: {error}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
