"""What is said of a run of KServe's own suite; the run itself is `make test-kserve`."""

from typing import Any

import pytest

from testbed.kserve_suite.__main__ import name_of, verdict
from testbed.kserve_suite.differences import SPECS

DIFFERENT = next(iter(SPECS))


def spec(name: str, state: str) -> dict[str, Any]:
    first, _, rest = name.partition(" ")
    return {"ContainerHierarchyTexts": [first], "LeafNodeText": rest, "State": state}


@pytest.mark.parametrize(
    ("name", "state", "said"),
    [
        ("any spec", "passed", []),
        ("any spec", "failed", ["failed: any spec"]),
        ("any spec", "timedout", ["timedout: any spec"]),
        (DIFFERENT, "failed", []),
        (DIFFERENT, "passed", [f"passed, but is listed as different: {DIFFERENT}"]),
    ],
)
def test_a_spec_ends_as_it_should_or_is_named(name: str, state: str, said: list[str]) -> None:
    assert name_of(spec(name, state)) == name
    assert list(verdict([spec(name, state)])) == said
