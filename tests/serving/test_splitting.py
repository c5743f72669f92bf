"""Splitting a review: whatever is split off and what is left are the review, in order."""

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from aioctl.serving.splitting import Splitter

OWNERS = [{"apiVersion": "v1", "kind": "A"}, {"apiVersion": "v1", "kind": "B"}]


def review(objects: list[Any], **dump: Any) -> bytes:
    request = {"uid": "u", "desiredAPIVersion": "g/v1", "objects": objects}
    whole = {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "request": request}
    return json.dumps(whole, separators=(",", ":"), **dump).encode()


def taken_apart(body: bytes | bytearray) -> tuple[list[Any], list[Any]]:
    splitter = Splitter(body)
    split = []
    while (found := splitter.next()) is not None:
        split.append(msgspec.json.decode(found))
    rest = msgspec.json.decode(splitter.rest())
    return split, rest["request"]["objects"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text() | st.just('},{"apiVersion":"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
objects = st.fixed_dictionaries({}, optional={"owners": st.just(OWNERS), "x": json_values}).map(
    lambda rest: {"apiVersion": "a", **rest}
)


@given(st.lists(objects, max_size=6))
def test_nothing_is_lost_added_or_moved(items: list[Any]) -> None:
    split, rest = taken_apart(bytearray(review(items)))
    assert split + rest == items


@given(st.lists(objects, min_size=1, max_size=6))
def test_all_but_the_last_object_are_split_off(items: list[Any]) -> None:
    split, rest = taken_apart(review(items, ensure_ascii=False))
    assert (len(split), len(rest)) == (len(items) - 1, 1)


@given(st.lists(json_values, max_size=4))
def test_objects_of_any_other_shape_are_left_in_place(items: list[Any]) -> None:
    split, rest = taken_apart(review(items))
    assert split + rest == items


def test_a_review_in_another_layout_is_not_split() -> None:
    body = json.dumps(json.loads(review([OWNERS[0]] * 3)), indent=1).encode()
    splitter = Splitter(body)
    assert splitter.next() is None
    assert splitter.rest() is body


def test_false_seams_beyond_reason_end_the_splitting_and_lose_nothing() -> None:
    items = [{"apiVersion": "a", "owners": OWNERS[:1] * 100}, {"apiVersion": "b"}]
    assert taken_apart(review(items)) == ([], items)
