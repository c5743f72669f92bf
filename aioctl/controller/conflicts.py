"""How long to wait after a write that conflicted: the watch that will show why may lag, and wakes the key when it does."""

from typing import Final

FIRST_RETRY: Final = 0.05
"""Seconds until the caches are looked at again; a watch delivers within milliseconds."""
LONGEST_RETRY: Final = 10.0
"""Seconds between two tries of a write that goes on conflicting."""


def conflict_wait(conflicts: int) -> float:
    """Seconds after so many conflicts in a row, from 1: doubling, bounded."""
    return min(FIRST_RETRY * 2.0 ** min(conflicts - 1, 16), LONGEST_RETRY)
