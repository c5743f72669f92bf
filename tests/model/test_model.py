"""The migration holds its laws in every state that was looked at, and the checker sees planners that do not."""

from dataclasses import replace

import pytest

from aioctl.plan import order, status
from tests.model.cluster import Cluster
from tests.model.explore import explore
from tests.model.laws import LAWS
from tests.model.moves import environment
from tests.model.mutants import MUTANTS, Mutant
from tests.model.profiles import PROFILES
from tests.model.side_by_side import explored
from tests.model.state import ONLY_V1, Answer, Crd, Route, State

STATES = pytest.mark.parametrize("states", [25, pytest.param(150, marks=pytest.mark.thorough)])
"""For each profile; `make laws` goes on to 4,500, `python -m tests.model` to a fixed point."""


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


@pytest.mark.parametrize(("seconds", "states"), [(0.0, 5), (1e-9, 0)])
def test_each_profile_gets_what_it_may_take(seconds: float, states: int) -> None:
    """No limit of time is none for each, and one that is used up ends the later ones, too."""
    least = ("auto-v1-crd-alone", "auto-old-crd-alone")
    found = dict(explored(least, states=5, seconds=seconds, processes=1))
    assert [report.states for report in found.values()] == [states] * 2


def test_what_is_remembered_of_other_states_changes_no_plan() -> None:
    route = Route((ONLY_V1, ONLY_V1), lock=True, answers=(Answer.READY,))
    rests = State(route, v1=(Answer.READY,), alpha_crd=Crd.GONE, copy=True)
    writes = rests._replace(alpha_crd=Crd.THERE, alpha=Answer.READY)
    remembering, plain = Cluster(1), Cluster(1, planner=order.plan, conclude=status.conclude)
    for state in (writes, rests, *(reached for _, reached in environment(rests, PROFILES["everything"]))):
        assert remembering.plan(state) == plain.plan(state), state
    assert remembering.plan(writes).ops
