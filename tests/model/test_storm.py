"""Through any bad luck a real controller keeps the migration's laws, and ends where it should when the luck is back."""

from functools import partial

import pytest

from aioctl.plan import migration_facts
from testbed.sampling import sampled
from testbed.virtual_time import run_virtual
from tests.model.storm import weather

SEEDS = range(4)
"""`make test` plays the first; `python -m tests.model --storms 1000` goes on."""
SHOWS_IT = 2
"""One in whose storm that controller goes back; no other is played while this is so."""


@pytest.mark.parametrize("seed", sampled(SEEDS, every=len(SEEDS)))
@pytest.mark.parametrize("meddling", [False, True], ids=["alone", "with a user"])
def test_a_service_comes_through_a_storm(seed: int, meddling: bool) -> None:
    end = run_virtual(partial(weather, seed, meddling=meddling))
    assert end.problems(meddling=meddling) == []


def test_a_controller_that_forgets_the_copy_of_the_lock_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration_facts, "status_locked", lambda service: False)
    ends = (run_virtual(partial(weather, seed, meddling=True)) for seed in (SHOWS_IT, *SEEDS))
    assert any("went back" in problem for end in ends for problem in end.broken)
