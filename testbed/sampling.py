"""Which of many cases `make test` plays: every so many-th. `make test-thorough` plays the others (pytest's marker `thorough`).

For plays that repeat, case by case, what a cheaper test of the fast suite shows of all of them.
"""

from collections.abc import Iterable

import pytest


def sampled(names: Iterable[object], *, every: int) -> list[object]:
    """Parameters for `pytest.mark.parametrize`: all names, in order."""
    return [
        pytest.param(name, id=str(name), marks=() if index % every == 0 else pytest.mark.thorough)
        for index, name in enumerate(names)
    ]
