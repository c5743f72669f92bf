"""Laws of the migration on gateways that behave as real ones do; `python -m tests.model auto` and others go further.

Rules: MIG-3, MIG-4, MIG-7, MIG-8, MIG-12, GROUP-5, ROUTE-6.
"""

from collections import deque
from dataclasses import replace

import pytest

from aioctl.plan import order, status
from aioctl.sim.players.gateway import BEHAVIOURS
from tests.model.played import PlayedGateways, cluster_for, explore_played
from tests.model.played_laws import LAWS
from tests.model.played_mutants import MUTANTS, PlayedMutant
from tests.model.played_profiles import ALL, PLAYED
from tests.model.played_state import State

CASES = [
    *(pytest.param(name, 15, id=f"{name}-15") for name in list(PLAYED)[::2]),
    *(pytest.param(name, 40, id=f"{name}-40", marks=pytest.mark.thorough) for name in PLAYED),
]
"""States of each profile, with a third of the behaviours it begins with; they begin at nothing and where all has come to rest."""


@pytest.mark.parametrize(("name", "states"), CASES)
def test_no_law_is_broken_in_the_first_states_of_a_profile(name: str, states: int) -> None:
    rules = PLAYED[name]
    report = explore_played(replace(rules, begins=rules.begins[1::3]), most_states=states)
    assert report.violation is None, str(report.violation)
    assert report.states == states


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_controller_that_is_wrong_is_caught(mutant: PlayedMutant) -> None:
    report = explore_played(mutant.rules, mutant.cluster(), most_states=400, laws=frozenset({mutant.law}))
    assert report.violation is not None, f"not found in {report}"
    assert report.violation.law == mutant.law


def test_every_law_has_a_controller_that_breaks_it_and_every_behaviour_is_played() -> None:
    assert {mutant.law for mutant in MUTANTS} == set(LAWS)
    assert set(ALL) | {"accepts-both-routes-v1alpha2"} == set(BEHAVIOURS)


@pytest.mark.parametrize("name", ["auto-two-services", "auto-group-meddling", "auto-pairs-upgrades"])
def test_what_is_kept_of_plans_is_what_a_plan_without_memory_comes_to(name: str) -> None:
    """Plans are kept by what they can depend on, and made with the program's memory."""
    rules = PLAYED[name]
    system, reached = PlayedGateways(rules), list[State]()
    waiting = deque(system.roots())
    while len(reached) < 120:
        reached.append(waiting.popleft())
        waiting += [state for _, state in system.moves(reached[-1]) if state not in reached]
    remembering, forgetful = (
        cluster_for(rules),
        cluster_for(rules, planner=order.plan, conclude=status.conclude),
    )
    for state in reached[::10]:
        for index in range(rules.services):
            assert remembering.plan(state, index) == forgetful.planned_anew(state, index)
