"""Ports for processes to come: nobody else is given them, and none is of those that the kernel gives away."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain

import pytest

from aioctl.demo import ports
from aioctl.demo.ports import END, FIRST


def begin_at(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates: Iterator[int] = iter([port, *range(FIRST, END)])
    monkeypatch.setattr(ports, "_candidates", candidates)


def test_no_port_is_given_twice() -> None:
    given = [ports.free_port() for _ in range(20)]
    assert len(set(given)) == 20
    assert all(FIRST <= port < END for port in given)


@pytest.mark.skipif(sys.platform != "linux", reason="names without files are Linux's")
def test_another_process_is_not_given_what_is_held_here() -> None:
    port = ports.free_port()
    script = (
        f"from aioctl.demo import ports; ports._candidates = iter([{port}, *range({FIRST}, {END})]);"
        "print(ports.free_port())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) != port


def test_a_port_where_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    listened = ports.free_port()
    with socket.create_server(("127.0.0.1", listened)):
        monkeypatch.setattr(ports, "_is_named", lambda name, port: True)
        begin_at(listened, monkeypatch)
        assert ports.free_port() != listened


def test_where_none_is_free_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_candidates", chain(range(FIRST, END)))
    monkeypatch.setattr(ports, "_is_free", lambda port: False)
    monkeypatch.setattr(ports, "_is_named", lambda name, port: True)
    with pytest.raises(OSError, match=f"no port from {FIRST} to {END - 1} is free"):
        ports.free_port()
