"""Fleets that are created while something goes wrong; `python -m bench faults` has larger ones, and every pair."""

from collections.abc import Sequence
from typing import Any

import pytest

from aioctl.kube.errors import TransportError
from bench import faults as command
from bench.faults import judge
from testbed.misfortunes import MISFORTUNES, Report, play

SERVICES = 6


@pytest.fixture(scope="module")
def calm() -> Report:
    """A good day."""
    return play([], services=SERVICES)


def test_the_catalogue_has_what_is_asked_of_it(calm: Report) -> None:
    assert len(MISFORTUNES) >= 15
    assert judge(calm, calm) == []


@pytest.mark.parametrize("which", [["cut watches"], ["409", "lost answers"]], ids=" and ".join)
def test_a_fleet_comes_through(which: Sequence[str], calm: Report) -> None:
    """No service moves to a pool that its gateway has not accepted yet, whatever is seen of others (MIG-7)."""
    assert judge(play(which, services=SERVICES), calm) == []


def test_what_is_wrong_is_said(calm: Report) -> None:
    bad = Report(["demo/one"], ["demo/two: rule 0"], 7.0, 9 * calm.tried, 2 * calm.taken, 0.0)
    assert [line.partition(":")[0] for line in judge(bad, calm)] == [
        "lost",
        "moved back",
        "requests lost for nothing",
        f"{9 * calm.tried} writes tried, {calm.tried} on a good day",
        f"{2 * calm.taken} writes taken, {calm.taken} on a good day",
    ]


def test_a_fleet_that_breaks_off_is_told_and_fails(monkeypatch: pytest.MonkeyPatch, calm: Report) -> None:
    def broken(*_: Any, **__: Any) -> Report:
        raise BaseExceptionGroup("of tasks", [TransportError("connection refused", maybe_sent=False)])

    monkeypatch.setattr(command, "play", broken)
    report = command._fleet(["409"], services=1, seed=0)
    assert judge(report, calm) == ["broke off: TransportError: connection refused"]
