"""Which tests of `make test-real` one worker runs one after the other: files that share a cluster, else each file alone.

pytest-xdist hands out groups in the order of the collection, so the longest come first and the short ones fill the gaps at the end.
Its own groups, by a mark, are none under this pytest: it writes them into a name that pytest no longer reads.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.fast_order import first

SHARED = {
    "tests/contract": "contract",
    "tests/scenarios": "scenarios",
    **dict.fromkeys(
        (
            f"tests/real_install/test_{name}.py"
            for name in (
                "certificates",
                "leader",
                "metrics_access",
                "shipped_account",
                "storage_migration",
                "two_writers",
                "used_permissions",
            )
        ),
        "installation",
    ),
}
"""Files and folders whose tests share a cluster, or what was played on it -> the name of the group."""
LONGEST_FIRST = (
    "installation",
    "tests/end_to_end/test_kills.py",
    "tests/upstream/test_promise_real.py",
    "tests/deploy/test_stored.py",
    "tests/upstream/test_real.py",
    "tests/real_install/test_tools.py",
    "tests/golden/test_variants.py",
    "tests/deploy/test_installed.py",
    "tests/real_scaling/test_scaling.py",
    "scenarios",
    "tests/golden/test_real.py",
    "tests/golden/test_takeover_real.py",
    "tests/end_to_end/test_fleet.py",
    "contract",
    "tests/upstream/test_api_takeover_real.py",
    "tests/end_to_end/test_two_replicas.py",
    "tests/real_install/test_uninstall.py",
)
"""Groups, by how long they take; the others follow as they were found."""


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives whole groups to the workers."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def group_of(path: str) -> str:
    """The group of a file, given relative to the repository."""
    return next((name for prefix, name in SHARED.items() if path.startswith(prefix)), path)


def longest_first(items: Sequence[pytest.Item], root: Path) -> list[pytest.Item]:
    """The tests with the longest groups first."""
    return first(items, root, LONGEST_FIRST, group_of)
