"""No controller restarts a model server on its own account, on a real API server (FORM-1, FORM-2).

Not after another controller, nor after an earlier release of ours, nor for another default or image; an edit rolls once.
"""

from collections.abc import Iterable

import anyio
import pytest

from testbed.real.build import Assets
from testbed.real.cluster import running
from tests.upstream.cases import NAMES, WHY_ABSENT, case, names_of
from tests.upstream.promise import (
    BY_HAND,
    EDITED,
    FORMER,
    KEPT,
    MARK,
    NEW,
    NEXT_DEFAULT,
    NEXT_IMAGE,
    OURS,
    ROLES,
    WRONG,
    Kept,
    Look,
    Pods,
    keep,
)
from tests.upstream.test_takeover import runs_models

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)]
EVERY = 8
"""Of the recorded cases with model servers one in so many: all of them are taken over on the embedded cluster."""


@pytest.fixture(scope="module")
def kept(real_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    cases = [case(name) for name in filter(runs_models, names_of("plain")[::EVERY])]
    with running(real_assets, audit=True, gogc=200) as cluster:
        return anyio.run(keep, cases, cluster, tmp_path_factory.mktemp("webhook"))


def of(role: str, look: Look) -> dict[str, Pods]:
    found = {at: pods for at, pods in look.items() if at.startswith(f"{OURS}/{role}-")}
    assert len(found) == 2, "a LeaderWorkerSet and a Deployment"
    return found


def digests(look: Look) -> dict[str, str]:
    return {at: pods.digest for at, pods in look.items()}


def rollouts(before: Look, after: Look, roles: Iterable[str] = ROLES) -> set[int]:
    """How often the pods of these roles were made anew."""
    return {pods.generation - before[at].generation for role in roles for at, pods in of(role, after).items()}


def test_taking_over_from_todays_kserve_restarts_no_model_server_and_makes_no_second_one(kept: Kept) -> None:
    recorded = {at: pods for at, pods in kept.left.items() if not at.startswith(f"{OURS}/")}
    assert len(recorded) > 10
    assert not any(pods.recorded for pods in recorded.values())
    taken = {at: pods for at, pods in kept.taken.items() if not at.startswith(f"{OURS}/")}
    assert digests(taken) == digests(recorded)
    # Not of services that KServe had not settled: these are planned anew, and come out the same.
    assert sum(pods.recorded for pods in taken.values()) > len(taken) / 2
    assert [line for line in kept.sent if "/secrets" in line] == []


def test_what_an_earlier_release_left_is_adopted_as_it_stands(kept: Kept) -> None:
    assert not any(pods.recorded for pods in of(FORMER, kept.left).values())
    assert digests(of(FORMER, kept.taken)) == digests(of(FORMER, kept.left))
    assert all(pods.recorded for pods in of(FORMER, kept.taken).values())


def test_another_image_and_another_default_restart_nothing(kept: Kept) -> None:
    assert digests(of(KEPT, kept.taken)) == digests(of(KEPT, kept.left))
    # A Deployment has another generation with other annotations, too: those of what an earlier release left.
    assert rollouts(kept.left, kept.taken, [KEPT, EDITED, BY_HAND]) == {0}
    assert rollouts(kept.taken, kept.changed, [KEPT, FORMER]) == {0}


def test_an_edit_rolls_once_to_the_current_form(kept: Kept) -> None:
    assert rollouts(kept.taken, kept.changed, [EDITED]) == {1}
    for pods in of(EDITED, kept.changed).values():
        assert NEW in pods.text
        assert NEXT_IMAGE in pods.text
    assert any(NEXT_DEFAULT in pods.text for pods in of(EDITED, kept.changed).values())


def test_an_edit_of_what_another_controller_left_rolls_once_to_the_current_form(kept: Kept) -> None:
    edited = {
        at: pods
        for at, pods in kept.changed.items()
        if not at.startswith(f"{OURS}/") and pods.digest != kept.taken[at].digest
    }
    assert len(edited) > 10
    assert all(next(iter(MARK)) in pods.text for pods in edited.values())
    assert {pods.generation - kept.taken[at].generation for at, pods in edited.items()} == {1}
    assert any(NEXT_DEFAULT in pods.text for pods in edited.values()), "the form that waited comes along"


def test_a_hand_edit_is_put_right(kept: Kept) -> None:
    assert rollouts(kept.taken, kept.changed, [BY_HAND]) == {2}, "by hand, and back"
    assert not any(WRONG in pods.text for pods in of(BY_HAND, kept.changed).values())


def test_who_asks_for_the_current_form_gets_it_once(kept: Kept) -> None:
    assert rollouts(kept.changed, kept.current, [FORMER, KEPT]) == {1}
    assert rollouts(kept.changed, kept.current, [EDITED]) == {0}
    assert all(NEXT_IMAGE in pods.text for role in ROLES for pods in of(role, kept.current).values())
    others = [at for at in kept.current if not at.startswith(f"{OURS}/")]
    assert {kept.current[at].generation - kept.changed[at].generation for at in others} <= {0, 1}
