"""Every recorded case of today's KServe, played on the simulated cluster: what differs is decided, and every decision is needed."""

import pytest

from testbed.sampling import sampled
from tests.upstream.cases import NAMES, WHY_ABSENT
from tests.upstream.decisions import CASES, EMBEDDED, EVERYWHERE, undecided, unused
from tests.upstream.play import all_differences

pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, str]]:
    """Differences by case, as the tests of this module find them."""
    return {}


@pytest.mark.parametrize("name", sampled(NAMES, every=10))
def test_a_recorded_case_ends_as_recorded_but_for_what_is_decided(
    name: str, found: dict[str, dict[str, str]]
) -> None:
    found[name] = all_differences(name)
    here = EMBEDDED.get(name, ())
    assert not undecided(name, found[name], others=here)
    assert not unused((*CASES.get(name, ()), *here), found[name].items())


@pytest.mark.thorough
def test_every_decision_still_makes_a_difference(found: dict[str, dict[str, str]]) -> None:
    for name in NAMES:
        if name not in found:
            found[name] = all_differences(name)
    assert not unused(EVERYWHERE, [line for lines in found.values() for line in lines.items()])


def test_decisions_name_cases_that_exist() -> None:
    assert CASES.keys() | EMBEDDED.keys() <= set(NAMES)
