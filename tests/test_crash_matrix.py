"""The crash matrix: whatever write the controller dies at, the fleet ends the same; and it finds a controller for which it does not."""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.plan import order
from aioctl.plan.model import Part, Plan
from aioctl.plan.observation import Present
from bench import crash as command
from testbed import crashes
from testbed.catalogue import catalogue
from testbed.crashes import Crash, End, Mode, play, verdict
from testbed.world import NAMESPACE

KNOWN = catalogue()
PLAIN = KNOWN["shape: plain"]


@pytest.fixture(scope="module")
def whole() -> End:
    """The life in which nobody dies."""
    return play(PLAIN)


def test_the_catalogue_has_what_is_asked_of_it() -> None:
    assert len(KNOWN) >= 30
    assert {name.partition(":")[0] for name in KNOWN} == {
        "shape",
        "presets",
        "strategy",
        "change",
        "group",
        "kinds",
        "fault",
        "takeover",
    }


@pytest.mark.parametrize("mode", Mode)
def test_a_fleet_ends_the_same_whatever_write_was_the_last(mode: Mode, whole: End) -> None:
    """One scenario and two of its writes; `python -m bench crash` has them all."""
    assert whole.writes > 5
    assert not whole.later
    for write in (4, whole.writes):
        assert verdict(PLAIN, whole, Crash(write, mode)) == []


def test_a_controller_that_believes_a_part_done_because_another_is_there_is_found(
    monkeypatch: pytest.MonkeyPatch, whole: End
) -> None:
    right = order.plan

    def wrong(obs: Any, *args: Any, **more: Any) -> Plan:
        plan = right(obs, *args, **more)
        if not isinstance(obs.get(kinds.DEPLOYMENT, NAMESPACE, "one-kserve"), Present):
            return plan
        return replace(plan, steps=tuple(step for step in plan.steps if step.part is not Part.MONITORING))

    monkeypatch.setattr(order, "plan", wrong)
    first, deployment = (verdict(PLAIN, whole, Crash(write, Mode.LOST)) for write in (1, 4))
    assert first == [], "before the Deployment is written nothing is lost"
    assert any(line.endswith("missing") for line in deployment), deployment


def test_a_fleet_that_never_rests_is_found(monkeypatch: pytest.MonkeyPatch, whole: End) -> None:
    monkeypatch.setattr(crashes, "PATIENCE", 5.0)
    assert verdict(PLAIN, whole, Crash(1, Mode.LOST)) == [
        "AssertionError: never at rest within 5 virtual seconds"
    ]


def test_one_of_several_that_stand_for_each_other_has_to_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    either = replace(PLAIN, any_of=frozenset({"a/one", "a/two"}))
    whole = End({"a/one": 1, "b/three": 3}, 1, ())
    found = {}
    for name, objects in {
        "the other": {"a/two": 2, "b/three": 3},
        "none": {"b/three": 3},
        "both": {"a/one": 1, "a/two": 2, "b/three": 3},
        "another changed": {"a/two": 2, "b/three": 4},
    }.items():
        monkeypatch.setattr(crashes, "play", lambda *_, at=objects: End(at, 1, ()))
        found[name] = verdict(either, whole, Crash(1, Mode.LOST))
    assert found == {
        "the other": [],
        "none": ["a/one or a/two: 0 there, not 1"],
        "both": ["a/one or a/two: 2 there, not 1"],
        "another changed": ["b/three: : 3 became 4"],
    }


def test_a_plan_that_fails_says_how_to_play_it_again() -> None:
    tried = command.Tried("shape: plain", Crash(3, Mode.LOST), ["deployments.apps/one-kserve: missing"])
    line = command._line(tried).splitlines()
    assert line[0].strip() == "FAILED python -m bench crash --scenario 'shape: plain' --write 3 --mode lost"
    assert line[1].strip() == "deployments.apps/one-kserve: missing"


def test_an_unknown_scenario_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.main(["--scenario", "nonsense"])
    assert left.value.code == 2
    assert "nonsense" in capsys.readouterr().err
