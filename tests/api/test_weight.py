"""What an object weighs: counted exactly once it has many brackets, and read whole where that is borne."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from aioctl.api import weight

_BRACKETS = 120
"""More than the levels that are borne: their number alone says nothing of how deep a text is."""
_TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('{}[],"\\a', max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab{[", max_size=2), inner, max_size=4)
    ),
    max_leaves=30,
)


def _values(tree: Any) -> int:
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + sum(_values(part) for part in parts)


def _levels(tree: Any) -> int:
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return max((1 + _levels(part) for part in parts), default=0)


@settings(max_examples=30)
@given(_TREES)
def test_many_brackets_are_counted_exactly(tree: Any) -> None:
    wide = [tree, *([[]] * _BRACKETS)]
    text = msgspec.json.encode(wide)
    assert weight.of(text) == weight.Weight(len(text), _values(wide), _levels(wide))


@settings(max_examples=30)
@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "kind"]), _TREES))
def test_a_light_object_of_many_brackets_is_read_whole(parts: dict[str, Any]) -> None:
    obj = {**parts, "data": [[]] * _BRACKETS}
    assert weight.decode(msgspec.json.encode(obj)) == obj


def test_an_object_too_deep_keeps_its_spec_encoded_and_the_rest_read() -> None:
    deep: list[Any] = []
    for _ in range(weight.MOST_LEVELS + 1):
        deep = [deep]
    obj = {"metadata": {"name": "a", "labels": {"b": "c"}}, "spec": {"x": deep}, "status": {"y": deep}}
    read = weight.decode(msgspec.json.encode(obj))
    assert read["metadata"] == obj["metadata"]
    assert isinstance(read["spec"], msgspec.Raw)
    assert "status" not in read
    assert "levels deep" in weight.spec_problem(read)
