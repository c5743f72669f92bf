"""Every recorded case of today's KServe, played on the simulated cluster: no more differs than is listed as open, and no less."""

import pytest

from tests.golden.differences import outdated
from tests.upstream import open_list
from tests.upstream.cases import NAMES, WHY_ABSENT
from tests.upstream.decisions import CASES, EVERYWHERE, undecided
from tests.upstream.play import all_differences

pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """Differences by case, as the tests of this module find them."""
    return {}


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_case_ends_as_recorded_but_for_what_is_listed(
    name: str, found: dict[str, dict[str, str]]
) -> None:
    found[name] = all_differences(name)
    complaints = open_list.judged(name, undecided(name, found[name]))
    assert not complaints, "\n".join(complaints)
    assert not outdated(CASES.get(name, ()), found[name])


def test_every_decision_still_makes_a_difference(found: dict[str, dict[str, str]]) -> None:
    if found.keys() != set(NAMES):
        pytest.skip("only some of the cases were run")
    assert not outdated(EVERYWHERE, [line for lines in found.values() for line in lines])


def test_the_open_list_names_cases_that_exist() -> None:
    assert open_list.listed() <= set(NAMES)
