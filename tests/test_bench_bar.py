"""A bar on a terminal for what takes long, also where the work never lets go of its loop; nothing elsewhere."""

import threading
from io import StringIO

import pytest

from bench import bar


class _Stream(StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def test_it_moves_while_its_own_thread_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _Stream(terminal=True)
    monkeypatch.setattr("sys.stderr", seen)
    asked, again = threading.get_ident(), threading.Event()

    def done() -> int:
        if threading.get_ident() != asked:
            again.set()
        return 3

    with bar.shown("rounds", done, 4):
        assert again.wait(30)
    assert "rounds" in seen.getvalue()
    assert "3/4" in seen.getvalue()


def test_nothing_is_asked_or_shown_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _Stream(terminal=False)
    monkeypatch.setattr("sys.stderr", seen)
    with bar.shown("rounds", pytest.fail, 4):
        pass
    assert seen.getvalue() == ""
