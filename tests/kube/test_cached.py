"""Cached objects: nothing lost that is read, nothing kept that is not."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api import names
from aioctl.api.kinds import CONFIG, DEPLOYMENT, SERVICE, SERVICE_V1ALPHA1, Kind
from aioctl.kube.cached import LAST_APPLIED, Cached, LongLabels, OwnerRef

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def raw(**metadata: Any) -> bytes:
    return json.dumps(
        {"metadata": {"name": "d", "namespace": "n", **metadata}, "spec": {"a": [1, None]}}
    ).encode()


def test_what_is_asked_for_often_stands_beside_the_text() -> None:
    owners = [
        {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "1"},
        {"apiVersion": "a/v1", "kind": "K", "name": "k", "uid": "2", "controller": True},
    ]
    text = raw(uid="u", resourceVersion="12", generation=3, labels={"a": "b"}, ownerReferences=owners)
    cached = Cached.from_raw(text, DEPLOYMENT)
    assert cached.key == ("n", "d")
    assert (cached.uid, cached.resource_version, cached.generation) == ("u", "12", 3)
    assert cached.labels == {"a": "b"}
    assert cached.owner == OwnerRef("a/v1", "K", "k", "2")
    assert not cached.deleting


def test_an_object_with_next_to_nothing_is_still_one() -> None:
    cached = Cached.from_raw(b'{"metadata":{"name":"x"}}', DEPLOYMENT)
    assert cached.key == ("", "x")
    assert cached.labels == {}
    assert cached.owner is None


def test_an_object_being_deleted_says_so() -> None:
    assert Cached.from_raw(raw(deletionTimestamp="2026-01-01T00:00:00Z"), DEPLOYMENT).deleting


@pytest.mark.parametrize(
    ("kind", "kept"), [(SERVICE, True), (SERVICE_V1ALPHA1, True), (CONFIG, True), (DEPLOYMENT, False)]
)
def test_last_applied_stays_only_where_templates_see_it(kind: Kind, kept: bool) -> None:
    text = raw(annotations={LAST_APPLIED: '{"x":1}', "other": "stays"}, managedFields=[{"manager": "m"}])
    annotations = Cached.from_raw(text, kind).decode()["metadata"]["annotations"]
    assert annotations["other"] == "stays"
    assert (LAST_APPLIED in annotations) is kept


def test_managed_fields_never_stay() -> None:
    cached = Cached.from_raw(raw(managedFields=[{"manager": "m", "fieldsV1": {"f:x": {}}}]), SERVICE)
    assert "managedFields" not in cached.decode()["metadata"]
    assert b"managedFields" not in cached.raw


def test_items_of_a_list_get_the_kind_they_do_not_say() -> None:
    found = Cached.from_raw(raw(), DEPLOYMENT).decode()
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "Deployment")


def test_null_annotations_do_no_harm() -> None:
    assert Cached.from_raw(raw(annotations=None), DEPLOYMENT).decode()["metadata"]["annotations"] is None


def test_each_reader_gets_an_object_of_its_own() -> None:
    cached = Cached.from_raw(raw(), DEPLOYMENT)
    cached.decode()["spec"]["a"].append(2)
    assert cached.decode()["spec"]["a"] == [1, None]


def test_objects_are_equal_when_they_are_the_same_version_of_the_same_object() -> None:
    one = Cached.from_raw(raw(uid="u", resourceVersion="1"), DEPLOYMENT)
    assert one == Cached.from_raw(raw(uid="u", resourceVersion="1"), DEPLOYMENT)
    assert one != Cached.from_raw(raw(uid="u", resourceVersion="2"), DEPLOYMENT)
    assert one != Cached.from_raw(raw(uid="v", resourceVersion="1"), DEPLOYMENT)
    assert len({one, Cached.from_raw(raw(uid="u", resourceVersion="1"), DEPLOYMENT)}) == 1


@pytest.mark.parametrize("text", [b"", b"[]", b'{"metadata":[]}', b'{"metadata":{"labels":{"a":1}}}'])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        Cached.from_raw(text, DEPLOYMENT)


@given(spec=JSON, status=JSON, extra=JSON)
def test_everything_else_survives(spec: Any, status: Any, extra: Any) -> None:
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "d",
            "namespace": "n",
            "annotations": {"a": "b"},
            "finalizers": [],
            "extra": extra,
        },
        "spec": spec,
        "status": status,
    }
    assert Cached.from_raw(msgspec.json.encode(obj), DEPLOYMENT).decode() == obj


def test_very_many_labels_stay_encoded_and_are_found_by_name() -> None:
    many = {
        "a.b/first": "1",
        **{f"l{number}": "kserve" for number in range(10_000)},
        "kserve": "value",
        "a.b/empty": "",
        "a.b/last": "x" * 63,
    }
    found = Cached.from_raw(raw(labels=many), SERVICE).labels
    assert isinstance(found, LongLabels)
    assert dict(found) == many
    assert len(found) == len(many)
    assert all(
        found[label] == many[label] for label in ("a.b/first", "kserve", "a.b/empty", "a.b/last", "l77")
    )
    assert "a.b/other" not in found
    assert found.get("l7777777") is None
    spaced = LongLabels(b'{"a" : "kserve", "kserve" :  "b"}')
    assert (spaced["kserve"], spaced["a"]) == ("b", "kserve")


@pytest.mark.parametrize("count", [10, 10_000])
def test_a_cache_selects_by_labels_however_many_there_are(count: int) -> None:
    labels = {f"l{number}": "v" for number in range(count)} | {names.NAME: "svc"}
    found = Cached.from_raw(raw(labels=labels), SERVICE).labels
    assert names.has_our_labels(found, {names.NAME: "svc", "l3": "v"})
    assert not names.has_our_labels(found, {names.NAME: "other"})
