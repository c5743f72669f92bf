"""When a changed status is written; the clock is moved by hand."""

from datetime import UTC, datetime
from typing import Any

from aioctl.api.kinds import ObjectKey
from aioctl.controller.service_state import ServiceStates
from aioctl.controller.settling import LONGEST, REST, STILL_WRITING, StatusSettling

KEY = ObjectKey("ns", "svc")
SETTLE = 0.5


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


def status(ready: str, message: str = "", time: str = "t0") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "message": message, "lastTransitionTime": time}
    return {"conditions": [condition]}


def test_progress_is_written_once_it_rests() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    assert settling.wait(KEY, status("Unknown", "one")) == REST * SETTLE
    clock.time = 1.0
    assert settling.wait(KEY, status("Unknown", "two")) == REST * SETTLE
    clock.time = 1.0 + REST * SETTLE
    assert settling.wait(KEY, status("Unknown", "two")) == 0


def test_another_time_of_a_condition_is_no_change() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    settling.wait(KEY, status("Unknown", time="t0"))
    clock.time = REST * SETTLE
    assert settling.wait(KEY, status("Unknown", time="t1")) == 0


def test_progress_without_rest_is_written_all_the_same() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    moments = []
    while clock.time < LONGEST * SETTLE:
        moments.append(settling.wait(KEY, status("Unknown", str(clock.time))))
        clock.time += SETTLE
    assert min(moments) > 0
    assert settling.wait(KEY, status("Unknown", "last")) == 0


def test_what_we_write_ourselves_puts_a_status_off_until_it_rests() -> None:
    """Runs far apart, as on a busy machine: the answer to what was written comes with the next one."""
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    settling.wait(KEY, status("Unknown", "first pool"), wrote=True)
    clock.time = LONGEST * SETTLE + 1
    assert settling.wait(KEY, status("Unknown", "route moved"), wrote=True) == REST * SETTLE
    clock.time += REST * SETTLE - 0.5
    assert settling.wait(KEY, status("True", "resolved")) == 0.5


def test_our_own_writes_do_not_put_it_off_for_ever() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    while settling.wait(KEY, status("Unknown", str(clock.time)), wrote=True):
        clock.time += SETTLE
    assert clock.time == STILL_WRITING * SETTLE


def test_readiness_is_written_after_the_settle_time() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    settling.wait(KEY, status("Unknown"))
    clock.time = 0.25
    assert settling.wait(KEY, status("True", "new")) == SETTLE
    clock.time = 0.25 + SETTLE
    assert settling.wait(KEY, status("True", "newer")) == 0


def test_who_was_ready_and_still_is_has_no_news_but_progress() -> None:
    """Scaled, it says with one write that the edit was seen and how many pods it has now."""
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    assert settling.wait(KEY, status("True", "the edit"), was_ready=True) == REST * SETTLE
    clock.time = 1.0
    assert settling.wait(KEY, status("True", "its pods"), was_ready=True) == REST * SETTLE
    assert settling.wait(KEY, status("True", "its pods"), was_ready=True, problem=True) == SETTLE


def test_readiness_that_is_over_before_it_was_written_is_progress_again() -> None:
    """A service ready on v1alpha2 whose route moves to v1 in that moment: only the readiness after it is worth a write."""
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    settling.wait(KEY, status("True"))
    clock.time = 2.0
    assert settling.wait(KEY, status("Unknown", "the gateway looks at our change")) == REST * SETTLE
    clock.time = 3.0
    assert settling.wait(KEY, status("True")) == SETTLE


def test_a_moment_of_staleness_is_not_written() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    assert settling.wait(KEY, status("False", "the gateway has not seen our change yet")) > 1
    clock.time = 1.0
    settling.forget(KEY)  # ready again, as stored
    assert settling.wait(KEY, status("False", "really")) == REST * SETTLE


def test_a_problem_is_written_after_the_settle_time() -> None:
    assert StatusSettling(SETTLE, Clock(), ServiceStates()).wait(KEY, status("False"), problem=True) == SETTLE


def test_a_service_with_writes_to_come_does_not_rest() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    settling.wait(KEY, status("Unknown"), busy=True)
    clock.time = 2.0
    assert settling.wait(KEY, status("Unknown"), busy=True) == REST * SETTLE
    clock.time = LONGEST * SETTLE
    assert settling.wait(KEY, status("Unknown"), busy=True) == 0


def test_after_a_write_the_next_change_has_all_its_time_again() -> None:
    clock = Clock()
    settling = StatusSettling(SETTLE, clock, ServiceStates())
    settling.wait(KEY, status("Unknown"))
    clock.time = 100.0
    settling.forget(KEY)
    assert settling.wait(KEY, status("Unknown")) == REST * SETTLE


def test_a_settle_time_of_zero_writes_everything_at_once() -> None:
    assert StatusSettling(0.0, Clock(), ServiceStates()).wait(KEY, status("Unknown")) == 0
