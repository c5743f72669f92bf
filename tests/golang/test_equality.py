"""Full equality: the short way answers what the walk answers.

Rules: EQ-1, EQ-2.
"""

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.golang import equality
from aioctl.golang.equality import equal

LEAVES = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from([0.0, 1.0, "", "1", "1000m"])
NAMES = st.sampled_from(["a", "limits", "cpu", "storage"])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


@given(TREES, TREES)
def test_the_short_way_is_only_shorter(wanted: Any, live: Any) -> None:
    assert equal(wanted, live) == equality._equal(wanted, live)
    assert equal(wanted, wanted)


@pytest.mark.parametrize(
    ("wanted", "live", "expected"),
    [
        ({"a": True}, {"a": 1}, False),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": None}, {}, True),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1000m"}}, True),
        ({"other": {"cpu": "1"}}, {"other": {"cpu": "1000m"}}, False),
        (["a", "b"], ["a"], False),
        (2**70, 2**70, True),
        ("\ud800", "\ud800", True),
        (MappingProxyType({"a": 1}), {"a": 1}, True),
    ],
)
def test_what_counts_as_equal(wanted: Any, live: Any, expected: bool) -> None:
    assert equal(wanted, live) is expected
    assert equal(live, wanted) is expected
