"""Every recorded case, played whole on the simulated cluster: same objects, refusals, status and events, or a reason why not."""

import pytest

from testbed.virtual_time import run_virtual
from tests.golden.cases import NAMES, WHY_ABSENT, Case, case
from tests.golden.compare import State, differences, recorded_state
from tests.golden.differences import CASES, EVERYWHERE, outdated, unexpected
from tests.golden.simulated import scene

pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """Differences by case, as the tests of this module find them."""
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_case_ends_as_recorded(name: str, found: dict[str, dict[str, str]]) -> None:
    played = case(name)
    lines = differences(run_virtual(play, played), recorded_state(played), played.namespace)
    found[name] = lines
    unexplained = unexpected(name, lines)
    assert not unexplained, "\n".join(f"{line}: {lines[line]}" for line in unexplained)
    assert not outdated(CASES.get(name, ()), lines)


def test_every_general_difference_still_occurs(found: dict[str, dict[str, str]]) -> None:
    if found.keys() != set(NAMES):
        pytest.skip("only some of the cases were run")
    assert not outdated(EVERYWHERE, [line for lines in found.values() for line in lines])


def test_the_list_of_differences_names_cases_that_exist() -> None:
    assert set(CASES) <= set(NAMES)


async def play(played: Case) -> State:
    async with scene() as fresh:
        return await fresh.play(played)
