"""Splitting a review: its objects and what is around them, in any layout; and what is refused before it costs anything."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api.review import BadReview
from aioctl.serving.splitting import MAX_ENVELOPE, MAX_OBJECT, MAX_OBJECTS, BadObjects, Splitter

OWNERS = [{"apiVersion": "v1", "kind": "A"}, {"apiVersion": "v1", "kind": "B"}]


def review(objects: list[Any], **dump: Any) -> bytes:
    request = {"uid": "u", "desiredAPIVersion": "g/v1", "objects": objects}
    whole = {"kind": "ConversionReview", "apiVersion": "apiextensions.k8s.io/v1", "request": request}
    return json.dumps(whole, separators=(",", ":"), **dump).encode()


def taken_apart(body: bytes | bytearray) -> tuple[list[Any], Any]:
    """The objects, and the review without them."""
    splitter = Splitter(body)
    split = [msgspec.json.decode(found) for found in splitter.objects() if found is not None]
    return split, msgspec.json.decode(splitter.envelope())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text() | st.just('},{"apiVersion":"'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
like_ours = st.fixed_dictionaries({}, optional={"owners": st.just(OWNERS), "x": json_values}).map(
    lambda rest: {"apiVersion": "a", **rest}
)
any_object = st.dictionaries(st.text(max_size=3), json_values, max_size=3)


@given(st.lists(like_ours | any_object, max_size=6), st.booleans(), st.sampled_from([None, 1]))
def test_the_objects_are_those_of_the_review_in_their_order(
    items: list[Any], escaped: bool, indent: int | None
) -> None:
    body = review(items, ensure_ascii=escaped)
    if indent:
        body = json.dumps(json.loads(body), indent=indent, ensure_ascii=escaped).encode()
    split, envelope = taken_apart(bytearray(body))
    assert split == items
    assert envelope == json.loads(review([]))


@given(
    st.permutations(["uid", "desiredAPIVersion", "objects", "more"]),
    st.permutations(["kind", "request", "x"]),
)
def test_the_order_of_keys_does_not_matter(inner: list[str], outer: list[str]) -> None:
    values = {"uid": "u", "desiredAPIVersion": "v", "objects": [{"a": 1}], "more": {"objects": [1]}}
    request = {key: values[key] for key in inner}
    whole = {key: {"kind": "K", "request": request, "x": {"objects": [2]}}[key] for key in outer}
    split, envelope = taken_apart(json.dumps(whole).encode())
    assert split == [{"a": 1}]
    assert envelope == {**whole, "request": {**request, "objects": []}}


def test_false_seams_beyond_reason_lose_nothing() -> None:
    items = [{"apiVersion": "a", "owners": OWNERS[:1] * 100}, {"apiVersion": "b"}] * 20
    assert taken_apart(review(items))[0] == items


@pytest.mark.parametrize(
    ("items", "index"),
    [([1], 0), ([{"a": 1}, None], 1), ([{"apiVersion": "a"}] * 3 + [[]], 3), (["x" * 99], 0)],
)
@pytest.mark.parametrize("indent", [None, 1])
def test_an_entry_that_is_no_object_is_named_and_the_uid_is_known(
    items: list[Any], index: int, indent: int | None
) -> None:
    body = json.dumps(json.loads(review(items)), indent=indent).encode()
    splitter = Splitter(body)
    with pytest.raises(BadObjects, match=rf"objects\[{index}\] is not an object"):
        list(splitter.objects())
    assert json.loads(splitter.envelope())["request"]["uid"] == "u"


def test_objects_are_counted_before_they_cost_anything() -> None:
    splitter = Splitter(review([{}] * (MAX_OBJECTS + 1)))
    with pytest.raises(BadObjects, match=f"more than {MAX_OBJECTS} objects"):
        for _ in splitter.objects():
            pass


def test_an_object_has_a_bound() -> None:
    assert len(taken_apart(review([{"a": "x" * (MAX_OBJECT - 100)}]))[0]) == 1
    for value in ("x" * MAX_OBJECT, ["{}"] * (MAX_OBJECT // 4)):
        with pytest.raises(BadObjects, match=rf"objects\[1\] has more than {MAX_OBJECT} bytes"):
            list(Splitter(review([{"a": 1}, {"a": value}, {"a": 2}])).objects())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"request":{"objects":[{"a":1} {}]}}', "no comma after"),
        (b'{"request":{"objects":[{"a":1}', "no comma after"),
        (b'{"request":{"objects":[{"a":"1}', "does not end"),
        (b'{"request":{"objects":[{"a":[}', "does not end"),
        (b'{"request":{"objects":[{"a" 1}]}}', "is no JSON"),
        (b'{"request":{"objects":null}}', "no list request.objects"),
        (b'{"request":[{"objects":[{}]}]}', "no list request.objects"),
        (b'{"objects":[{}]}', "no list request.objects"),
        (b'{"x":"' + b"y" * MAX_ENVELOPE + b'","request":{"objects":[{}]}}', "no list request.objects"),
        (b"[" * 100_000, "no list request.objects"),
        (b'{"request":{"objects":[{}],"x":"' + b"y" * MAX_ENVELOPE + b'"}}', "bytes after the objects"),
        (
            b'{"request":{"objects":[{}],"objects":[' + b"1," * MAX_ENVELOPE + b"2]}}",
            "bytes after the objects",
        ),
    ],
)
def test_what_is_no_review_is_said_to_be_none(body: bytes, says: str) -> None:
    with pytest.raises(BadReview, match=says):
        taken_apart(body)


@pytest.mark.parametrize("unit", [b"[", b"{}", b'"', b'\\"', b'},{"apiVersion":"', b'"a":[],'])
def test_a_step_is_short_whatever_an_object_is_made_of(unit: bytes) -> None:
    """By counting: no step walks more than its brackets, so twice the text takes at most twice the steps."""

    def steps(size: int) -> int:
        body = b'{"request":{"objects":[{"x":' + unit * (size // len(unit))
        count = 0
        with contextlib.suppress(BadReview, BadObjects):
            for _ in Splitter(body).objects():
                count += 1
        return count

    assert steps(200_000) <= 2 * steps(100_000) + 1
    assert steps(200_000) <= 200_000 / 2000 + 1
