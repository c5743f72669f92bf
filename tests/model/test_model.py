"""The migration holds its laws in every state that was looked at, and the checker sees planners that do not."""

from dataclasses import replace

import pytest

from tests.model.cluster import Cluster
from tests.model.explore import explore
from tests.model.laws import LAWS
from tests.model.mutants import MUTANTS, Mutant
from tests.model.profiles import PROFILES

STATES = pytest.mark.parametrize("states", [50, pytest.param(150, marks=pytest.mark.thorough)])
"""For each profile; `make laws` goes on for two minutes, `python -m tests.model` to a fixed point."""


@STATES
@pytest.mark.parametrize("name", PROFILES)
def test_no_law_is_broken_in_the_first_states_of_a_profile(name: str, states: int) -> None:
    report = explore(PROFILES[name], most_states=states)
    assert report.violation is None, str(report.violation)
    assert report.states == states


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planner_that_is_wrong_is_caught(mutant: Mutant) -> None:
    cluster = Cluster(mutant.rules.gateways, planner=mutant.planner, conclude=mutant.conclude)
    report = explore(mutant.rules, cluster, most_states=3_000, laws=frozenset({mutant.law}))
    assert report.violation is not None, f"not found in {report}"
    assert report.violation.law == mutant.law


def test_every_law_has_a_planner_that_breaks_it() -> None:
    assert {mutant.law for mutant in MUTANTS} == set(LAWS)


def test_an_exploration_that_has_seen_everything_says_so() -> None:
    least = replace(PROFILES["weighted"], failing=(), crds=(), edits=(), pausing=False)
    report = explore(least)
    assert report.complete
    assert "fixed point" in str(report)
