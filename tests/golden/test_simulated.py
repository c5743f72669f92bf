"""Every recorded case, played whole on the simulated cluster: same objects, refusals, status and events, or a reason why not.

A second controller then changes nothing.
"""

from dataclasses import dataclass
from functools import cache

import anyio
import pytest

from aioctl.sim.backup import Backup
from testbed.sampling import sampled
from testbed.virtual_time import run_virtual
from tests.golden.cases import NAMES, WHY_ABSENT, Case, case
from tests.golden.compare import State, changes, differences, recorded_state
from tests.golden.differences import CASES, EVERYWHERE, outdated, unexpected
from tests.golden.simulated import furnished, scene

pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """Differences by case, as the tests of this module find them."""
    return {}


@pytest.mark.parametrize("name", sampled(NAMES, every=6))
def test_a_recorded_case_ends_as_recorded(name: str, found: dict[str, dict[str, str]]) -> None:
    found[name] = lines = against_the_recording(name)
    unexplained = unexpected(name, lines)
    assert not unexplained, "\n".join(f"{line}: {lines[line]}" for line in unexplained)
    assert not outdated(CASES.get(name, ()), lines)


@pytest.mark.parametrize("name", sampled(NAMES, every=6))
def test_a_second_controller_writes_nothing(name: str) -> None:
    assert simulated(name).changed == []


@pytest.mark.thorough
def test_every_general_difference_still_occurs(found: dict[str, dict[str, str]]) -> None:
    for name in NAMES:
        if name not in found:
            found[name] = against_the_recording(name)
    assert not outdated(EVERYWHERE, [line for lines in found.values() for line in lines])


def against_the_recording(name: str) -> dict[str, str]:
    """What differs between the play of a case and its recording."""
    played = case(name)
    return differences(simulated(name).state, recorded_state(played), played.namespace)


def test_the_list_of_differences_names_cases_that_exist() -> None:
    assert set(CASES) <= set(NAMES)


@dataclass(frozen=True)
class Ended:
    """How a case ended."""

    state: State
    changed: list[str]
    """What a second process wrote where the first had come to rest."""


@cache
def simulated(name: str) -> Ended:
    return run_virtual(play_twice, case(name), furnished())


async def play_twice(played: Case, backup: Backup) -> Ended:
    async with scene(backup) as fresh:
        state = await fresh.play(played)
        before = await fresh.stage.versions()
        async with fresh.played(), fresh.controlled():
            await fresh.stage.rest()
            await anyio.sleep(60.0)
        return Ended(state, changes(before, await fresh.stage.versions()))
