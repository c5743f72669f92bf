"""Condition arithmetic: one row per rule of COND-1 and COND-6."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api import conditions as c
from aioctl.api.conditions import ConditionSet

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
OLD = "2026-01-01T00:00:00Z"
OLDER = "2025-01-01T00:00:00Z"


LIVING = (c.PRESETS_COMBINED, c.READY, c.ROUTER_READY, c.WORKLOADS_READY)


def stored(type_: str, status: str, reason: str = "", message: str = "", at: str = OLD) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": type_, "status": status, "lastTransitionTime": at}
    if type_ not in LIVING:
        entry["severity"] = "Info"
    if reason:
        entry |= {"reason": reason, "message": message}
    return entry


ALL_TRUE = [stored(t, "True") for t in LIVING]


def ready(conditions: ConditionSet) -> tuple[str, str, str]:
    return (conditions.status_of(c.READY), *conditions.reason_of(c.READY))


def test_a_fresh_service_starts_with_four_unknowns() -> None:
    made = ConditionSet([], 1, 1)
    assert [made.status_of(t) for t in LIVING] == ["Unknown"] * 4
    assert made.finish(NOW) == [
        {"type": t, "status": "Unknown", "lastTransitionTime": "2026-11-24T08:00:00Z"} for t in LIVING
    ]


def test_missing_parts_of_a_ready_service_become_true() -> None:
    made = ConditionSet([stored(c.READY, "True")], 1, 1)
    assert made.status_of(c.ROUTER_READY) == made.status_of(c.WORKLOADS_READY) == "True"


@pytest.mark.parametrize(
    ("router", "expected"),
    [
        ("True", ("Unknown", *c.NEW_GENERATION)),
        ("Unknown", ("Unknown", *c.NEW_GENERATION)),
        ("False", ("False", *c.NEW_GENERATION)),
    ],
)
def test_a_new_generation_makes_ready_unknown_unless_a_part_is_false(
    router: str, expected: tuple[str, str, str]
) -> None:
    made = ConditionSet(
        [stored(c.READY, "True"), stored(c.WORKLOADS_READY, "True"), stored(c.ROUTER_READY, router)], 2, 1
    )
    assert ready(made) == expected


@pytest.mark.parametrize(
    ("workloads", "router", "expected"),
    [
        ("True", "True", ("True", "", "")),
        ("Unknown", "True", ("Unknown", "", "")),
        ("True", "Unknown", ("Unknown", "", "")),
        ("False", "Unknown", ("False", "r-WorkloadsReady", "m-WorkloadsReady")),
    ],
)
def test_marking_any_condition_true_recomputes_ready(
    workloads: str, router: str, expected: tuple[str, str, str]
) -> None:
    before = [
        stored(t, s, f"r-{t}" if s == "False" else "", f"m-{t}" if s == "False" else "")
        for t, s in ((c.WORKLOADS_READY, workloads), (c.ROUTER_READY, router))
    ]
    made = ConditionSet(before, 1, 1)
    made.mark_true(c.PRESETS_COMBINED)
    assert ready(made) == expected


def test_of_two_failed_parts_ready_copies_the_one_that_changed_last() -> None:
    before = [
        stored(c.WORKLOADS_READY, "False", "W", "w", OLD),
        stored(c.ROUTER_READY, "False", "R", "r", OLDER),
    ]
    made = ConditionSet(before, 1, 1)
    made.mark_true(c.PRESETS_COMBINED)
    assert ready(made) == ("False", "W", "w")
    made.mark_false(c.ROUTER_READY, "R2", "r2")
    made.mark_true(c.PRESETS_COMBINED)
    assert ready(made) == ("False", "R2", "r2")


def test_an_informational_failure_leaves_ready_alone() -> None:
    made = ConditionSet(ALL_TRUE, 1, 1)
    made.mark_false(c.GATEWAYS_READY, "GatewaysNotReady", "no")
    assert ready(made) == ("True", "", "")


@pytest.mark.parametrize("part", [c.PRESETS_COMBINED, c.WORKLOADS_READY, c.ROUTER_READY])
def test_a_failed_part_takes_ready_with_it(part: str) -> None:
    made = ConditionSet(ALL_TRUE, 1, 1)
    made.mark_false(part, "Why", "because 100% of it")
    assert ready(made) == ("False", "Why", "because 100% of it")


def test_a_roll_up_names_the_first_failed_part_and_ignores_unknown_and_missing_ones() -> None:
    made = ConditionSet([stored(c.GATEWAYS_READY, "Unknown")], 1, 1)
    parts = (c.GATEWAYS_READY, c.HTTP_ROUTES_READY, c.INFERENCE_POOL_READY)
    made.roll_up(c.ROUTER_READY, parts)
    assert made.status_of(c.ROUTER_READY) == "True"
    made.mark_false(c.INFERENCE_POOL_READY, "P", "p")
    made.mark_false(c.HTTP_ROUTES_READY, "H", "h")
    made.roll_up(c.ROUTER_READY, parts)
    assert made.reason_of(c.ROUTER_READY) == ("H", "h")


def test_entries_carry_severity_info_but_for_the_four_and_no_empty_fields() -> None:
    made = ConditionSet(ALL_TRUE, 1, 1)
    made.mark_false(c.MAIN_WORKLOAD_READY, "Progressing", "")
    made.mark_true(c.PRESETS_COMBINED)
    finished = {entry["type"]: entry for entry in made.finish(NOW)}
    at = "2026-11-24T08:00:00Z"
    assert finished[c.MAIN_WORKLOAD_READY] == {
        "type": c.MAIN_WORKLOAD_READY,
        "status": "False",
        "severity": "Info",
        "reason": "Progressing",
        "lastTransitionTime": at,
    }
    assert not [t for t in LIVING if "severity" in finished[t]]


def test_unchanged_conditions_keep_their_time_even_when_marked_back_and_forth() -> None:
    made = ConditionSet([*ALL_TRUE, stored(c.INFERENCE_POOL_READY, "False", "A", "a")], 1, 1)
    made.mark_false(c.ROUTER_READY, "A", "a")
    made.mark_true(c.ROUTER_READY)
    made.mark_false(c.INFERENCE_POOL_READY, "B", "b")
    made.mark_false(c.INFERENCE_POOL_READY, "A", "a")
    assert {entry["lastTransitionTime"] for entry in made.finish(NOW)} == {OLD}


def test_a_changed_message_alone_is_a_transition() -> None:
    made = ConditionSet([*ALL_TRUE, stored(c.INFERENCE_POOL_READY, "False", "A", "a")], 1, 1)
    made.mark_false(c.INFERENCE_POOL_READY, "A", "b")
    times = {entry["type"]: entry["lastTransitionTime"] for entry in made.finish(NOW)}
    assert times[c.INFERENCE_POOL_READY] == "2026-11-24T08:00:00Z"
    assert times[c.READY] == OLD


def test_unset_removes_informational_conditions_only() -> None:
    made = ConditionSet([*ALL_TRUE, stored(c.PREFILL_WORKLOAD_READY, "False", "A", "a")], 1, 1)
    made.unset(c.PREFILL_WORKLOAD_READY)
    made.unset(c.READY)
    assert [entry["type"] for entry in made.finish(NOW)] == list(LIVING)


def test_conditions_of_others_survive() -> None:
    foreign = {"type": "Audited", "status": "True", "severity": "Info", "by": "someone"}
    assert foreign in ConditionSet([*ALL_TRUE, foreign], 1, 1).finish(NOW)


_TYPES = st.sampled_from(
    [c.READY, c.ROUTER_READY, c.WORKLOADS_READY, c.INFERENCE_POOL_READY, c.HTTP_ROUTES_READY]
)
_MARKS = st.lists(st.tuples(_TYPES, st.sampled_from(["true", "false", "unset"])), max_size=12)


def run(before: list[dict[str, Any]], marks: list[tuple[str, str]], now: datetime) -> list[dict[str, Any]]:
    made = ConditionSet(before, 1, 1)
    for type_, mark in marks:
        if mark == "true":
            made.mark_true(type_)
        elif mark == "false":
            made.mark_false(type_, f"No{type_}", "not")
        else:
            made.unset(type_)
    return made.finish(now)


@given(_MARKS)
def test_the_same_marks_on_their_own_result_change_nothing(marks: list[tuple[str, str]]) -> None:
    closing = [*marks, (c.WORKLOADS_READY, "true"), (c.ROUTER_READY, "true")]
    once = run([], closing, NOW)
    assert run(once, closing, NOW.replace(hour=9)) == once


@given(_MARKS)
def test_the_list_is_sorted_and_has_each_type_once(marks: list[tuple[str, str]]) -> None:
    types = [entry["type"] for entry in run([], marks, NOW)]
    assert types == sorted(set(types))


def test_what_is_not_known_pulls_ready_along_unless_something_is_false() -> None:
    made = ConditionSet(ALL_TRUE, 1, 1)
    made.mark_unknown(c.PRESETS_COMBINED, "ValidationUnavailable", "nobody answers")
    assert made.status_of(c.PRESETS_COMBINED) == "Unknown"
    assert ready(made) == ("Unknown", "ValidationUnavailable", "nobody answers")
    made = ConditionSet(ALL_TRUE, 1, 1)
    made.mark_false(c.ROUTER_READY, "R", "r")
    made.mark_unknown(c.PRESETS_COMBINED, "ValidationUnavailable", "nobody answers")
    assert ready(made) == ("False", "R", "r")
    made = ConditionSet(ALL_TRUE, 1, 1)
    made.mark_unknown(c.GATEWAYS_READY, "G", "no dependent of Ready")
    assert ready(made)[0] == "True"
