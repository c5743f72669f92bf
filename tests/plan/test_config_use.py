"""What a config's finalizer and status follow from (CFG-5)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aioctl.api.kinds import ObjectKey
from aioctl.api.names import CONFIG_FINALIZER
from aioctl.plan.config_use import MOST_REFERENCES, ConfigPlan, Uses, plan

NOW = datetime(2026, 8, 21, 12, 0, tzinfo=UTC)
THEN = "2026-01-01T00:00:00Z"
ONE, TWO = ObjectKey("a", "one"), ObjectKey("b", "two")


def config(
    *,
    finalizers: tuple[str, ...] = (CONFIG_FINALIZER,),
    deleting: bool = False,
    status: Any = None,
    generation: int = 0,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "base", "namespace": "a", "finalizers": list(finalizers)}
    if generation:
        metadata["generation"] = generation
    if deleting:
        metadata["deletionTimestamp"] = THEN
    return {"metadata": metadata, "spec": {}, **({} if status is None else {"status": status})}


def status(*users: ObjectKey, reason: str = "InUse", time: str = "2026-08-21T12:00:00Z") -> dict[str, Any]:
    in_use: dict[str, Any] = {"type": "ConfigInUse", "severity": "Info", "status": "True", "reason": reason}
    in_use["message"] = f"referenced by {len(users)} LLMInferenceService(s)"
    if not users:
        in_use |= {
            "status": "False",
            "reason": "NotInUse",
            "message": "not referenced by any LLMInferenceService",
        }
    made: dict[str, Any] = {
        "conditions": [
            {**in_use, "lastTransitionTime": time},
            {"type": "Ready", "status": "True", "lastTransitionTime": time},
        ]
    }
    if users:
        made["referencedBy"] = [{"name": user.name, "namespace": user.namespace} for user in users]
    return made


def test_the_finalizer_comes_first_and_keeps_its_neighbours() -> None:
    assert plan(config(finalizers=("theirs",)), [ONE], NOW) == ConfigPlan(
        finalizers=("theirs", CONFIG_FINALIZER)
    )
    assert plan(config(finalizers=("theirs",), deleting=True), [ONE], NOW) == ConfigPlan()


@pytest.mark.parametrize("users", [[], [ONE], [ONE, TWO]])
def test_the_status_names_the_users(users: list[ObjectKey]) -> None:
    assert plan(config(), users, NOW) == ConfigPlan(status=status(*users))
    # Said already: nothing to write, and the times stay.
    assert plan(config(status=status(*users, time=THEN)), users, NOW) == ConfigPlan()


def test_a_change_dates_only_what_changed_and_keeps_what_others_wrote() -> None:
    theirs = [{"type": "Zeal", "status": "True", "reason": "R"}, {"type": "Audited", "status": "False"}]
    made = status(ONE, time=THEN)
    stored = {**made, "conditions": [*theirs, *made["conditions"]], "annotations": {"a": "b"}}
    found = plan(config(status=stored), [ONE, TWO], NOW).status
    assert found is not None
    audited, in_use, ready, zeal = found["conditions"]
    assert (in_use["lastTransitionTime"], ready["lastTransitionTime"]) == ("2026-08-21T12:00:00Z", THEN)
    assert [zeal, audited] == theirs
    assert found["annotations"] == {"a": "b"}


def test_each_generation_is_observed_until_one_is_deleted() -> None:
    first = plan(config(generation=1), [ONE], NOW).status
    assert first == {**status(ONE), "observedGeneration": 1}
    assert plan(config(generation=1, status=first), [ONE], NOW) == ConfigPlan()
    assert plan(config(generation=2, status=first), [ONE], NOW) == ConfigPlan(
        status={**status(ONE), "observedGeneration": 2}
    )
    going = plan(config(generation=3, status=first, deleting=True), [ONE], NOW).status
    assert going == {**status(ONE, reason="DeletionBlocked"), "observedGeneration": 1}


def test_a_deletion_waits_for_the_users_and_is_told_once() -> None:
    first = plan(config(deleting=True, status=status(ONE)), [ONE], NOW)
    assert first.status == status(ONE, reason="DeletionBlocked")
    assert first.blocked == (
        "Cannot delete LLMInferenceServiceConfig a/base: referenced by 1 LLMInferenceService(s)"
    )
    again = plan(config(deleting=True, status=first.status), [ONE, TWO], NOW)
    assert again.status == status(ONE, TWO, reason="DeletionBlocked")
    assert again.blocked == ""
    assert plan(config(deleting=True, finalizers=("theirs", CONFIG_FINALIZER)), [], NOW) == ConfigPlan(
        finalizers=("theirs",)
    )


def test_the_list_of_users_has_a_bound_and_the_count_has_none() -> None:
    many = [ObjectKey("a", f"s{number:04}") for number in range(MOST_REFERENCES + 20)]
    found = plan(config(), many, NOW).status
    assert found is not None
    assert len(found["referencedBy"]) == MOST_REFERENCES
    assert found["conditions"][0]["message"] == "referenced by 120 LLMInferenceService(s)"


@pytest.mark.parametrize(
    "stored", ["text", [], {"conditions": "text"}, {"conditions": ["text", {"type": 1}]}]
)
def test_a_status_of_the_wrong_type_is_replaced(stored: Any) -> None:
    assert plan(config(status=stored), [ONE], NOW).status == status(ONE)


@pytest.mark.parametrize(
    ("uses", "namespace", "shadowed", "meant"),
    [
        (Uses(frozenset({("a", "base")}), frozenset({"other"})), "a", False, True),
        (Uses(frozenset({("a", "base")}), frozenset({"base"})), "kserve", False, False),
        (Uses(frozenset({("a", "x")}), frozenset({"base"})), "a", False, False),
        (Uses(named=frozenset({"base"})), "a", False, True),
        (Uses(named=frozenset({"base"})), "kserve", False, True),
        (Uses(named=frozenset({"base"})), "kserve", True, False),
        (Uses(), "a", False, False),
    ],
)
def test_what_is_applied_counts_and_before_that_what_is_named(
    uses: Uses, namespace: str, shadowed: bool, meant: bool
) -> None:
    assert uses.name(ObjectKey(namespace, "base"), shadowed=shadowed) is meant
