"""Mutated recorded services: bad input has errors of its own, and nothing raises where nothing may."""

import pytest

from tests.upstream.cases import NAMES, WHY_ABSENT
from tests.upstream.fuzz import look

pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


def test_nothing_raises_for_mutants_of_recorded_services() -> None:
    found = look(30, seed=11)
    assert found.first == {}
    assert 5 <= found.admitted <= 25, "both sides of admission are looked at"


def test_what_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("spec")

    monkeypatch.setattr("tests.upstream.fuzz.plan_twice", broken)
    found = look(3, seed=11)
    assert found.times.total() == 3
    assert all(title.startswith("KeyError: 'spec' at test_fuzz.py") for title in found.first)
