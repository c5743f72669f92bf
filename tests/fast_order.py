"""Which files `make test` and `make test-thorough` begin with: those that take seconds, so that short ones fill the gaps at the end.

pytest-xdist hands out whole files in the order of the collection; left alone, it would begin with those of the most tests.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

DEAREST_FIRST = (
    "tests/upstream/test_simulated.py",
    "tests/golden/test_simulated.py",
    "tests/golden/test_takeover.py",
    "tests/model/test_crash.py",
    "tests/model/test_no_churn.py",
    "tests/model/test_played.py",
    "tests/model/test_storm.py",
    "tests/end_to_end/test_fleet.py",
    "tests/contract",
    "tests/tools/test_finish.py",
    "tests/scenarios/test_gateways.py",
    "tests/test_fault_catalogue.py",
    "tests/controller/test_groups.py",
    "tests/test_app_leadership.py",
    "tests/model/test_model.py",
    "tests/plan/test_migration_laws.py",
    "tests/tools/test_check.py",
    "tests/controller/test_stop.py",
    "tests/sim/test_against_recordings.py",
    "tests/controller/test_child.py",
    "tests/controller/test_status_writes.py",
    "tests/upstream/test_takeover.py",
    "tests/scenarios/test_migration.py",
    "tests/plan/test_template.py",
    "tests/test_layout.py",
    "tests/test_soak.py",
    "tests/growth/test_patterns.py",
    "tests/scenarios/test_route_and_status.py",
    "tests/test_bounds.py",
    "tests/serving/test_strangers.py",
    "tests/scenarios/test_misfortune.py",
    "tests/api/test_conversion_laws.py",
    "tests/controller/test_forgetting.py",
    "tests/controller/test_waves.py",
    "tests/deploy/test_monitoring.py",
)
"""Files and folders, by the seconds of CPU that they take."""


def first(
    items: Sequence[pytest.Item], root: Path, names: Sequence[str], group_of: Callable[[str], str]
) -> list[pytest.Item]:
    """The tests with these groups first, the others as they were found, each group in its order and in one piece.

    `group_of`: the group of a file, given relative to `root`.
    """
    rank = {name: number for number, name in enumerate(names)}
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        groups.setdefault(group_of(item.path.relative_to(root).as_posix()), []).append(item)
    ordered = sorted(groups, key=lambda name: rank.get(name, len(rank)))
    return [item for name in ordered for item in groups[name]]


def dearest_first(items: Sequence[pytest.Item], root: Path) -> list[pytest.Item]:
    """The tests of the dearest files and folders first."""

    def group_of(path: str) -> str:
        return next((name for name in DEAREST_FIRST if path.startswith(name)), path)

    return first(items, root, DEAREST_FIRST, group_of)
