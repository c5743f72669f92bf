"""The explorations by name, one after another or in processes of their own."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import Final

from bench import lives
from tests.model.explore import Report, explore
from tests.model.played import explore_played
from tests.model.played_profiles import PLAYED
from tests.model.profiles import PROFILES

EXPLORERS: Mapping[str, Callable[..., Report]] = {
    **{name: partial(explore, rules) for name, rules in PROFILES.items()},
    **{name: partial(explore_played, rules) for name, rules in PLAYED.items()},
}
"""By the name of the profile; called with the limits."""
_MOMENT: Final = 1e-9


def explored(
    chosen: Sequence[str], *, states: int, seconds: float, processes: int
) -> Iterator[tuple[str, Report]]:
    """Each profile explored, as they come to their end; a limit of 0 is none.

    `states`: of each; `seconds`: of all, shared among those that are to come; `processes`: so many profiles side by side.
    """
    if processes == 1:
        left = seconds
        for index, name in enumerate(chosen):
            # What is used up is not "no limit", which 0 means.
            share = max(left / (len(chosen) - index), _MOMENT) if seconds else 0.0
            report = _explore(name, states, share)
            left -= report.seconds
            yield name, report
        return
    # Started anew: what a fork would take along of this process is of no use to it.
    spawn = multiprocessing.get_context("spawn")
    begun = (_explore, os.getpid())
    with ProcessPoolExecutor(
        processes, spawn, initializer=lives.begin, initargs=begun, max_tasks_per_child=1
    ) as pool:
        share = seconds * processes / len(chosen)
        running = {pool.submit(_explore, name, states, share): name for name in chosen}
        for done in as_completed(running):
            yield running[done], done.result()


def _explore(name: str, states: int, seconds: float) -> Report:
    return EXPLORERS[name](most_states=states, most_seconds=seconds)
