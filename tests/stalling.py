"""A machine that now and then stands still, for every test with a loop on the wall clock: `pytest --stalls SEED`.

What waits for a short deadline there passes on a quiet machine and fails on a busy one, perhaps once in a hundred runs.
Here it fails at once, and again with the same seed.
"""

import random
import time
from asyncio.base_events import BaseEventLoop
from typing import Any, Final

import pytest

LONG: Final = 0.5
"""Seconds of one stall: more than machines of CI were seen to stand still, less than any deadline of seconds."""
EARLY, FEW = 0.15, 8
"""The share of a test's turns that stall, and how many do so at most: short tests have few turns."""
LATE, FEWER = 0.004, 6
"""The same when those are used up, for tests with many."""


class Stalls:
    """Plugin: each test's stalls depend on the seed and its name alone."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._dice = random.Random(seed)  # noqa: S311
        self._left: list[tuple[float, int]] = []
        turn = BaseEventLoop._run_once  # type: ignore[attr-defined]

        def slow_turn(loop: BaseEventLoop) -> Any:
            if type(loop).time is BaseEventLoop.time and self._is_due():
                time.sleep(LONG)
            return turn(loop)

        BaseEventLoop._run_once = slow_turn  # type: ignore[attr-defined]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._dice = random.Random(f"{self._seed} {item.nodeid}")  # noqa: S311
        self._left = [(EARLY, FEW), (LATE, FEWER)]

    def _is_due(self) -> bool:
        if not self._left:
            return False
        (share, count), *others = self._left
        if self._dice.random() >= share:
            return False
        self._left = [(share, count - 1), *others] if count > 1 else others
        return True
