"""The ConversionReview envelope (CONV-7)."""

import json
from typing import Any

import msgspec
import pytest

from aioctl.api import review

V1 = "apiextensions.k8s.io/v1"


def body(**request: Any) -> bytes:
    return json.dumps({"apiVersion": V1, "kind": "ConversionReview", "request": request}).encode()


def test_objects_stay_encoded_and_in_order() -> None:
    request = review.read_conversion(body(uid="u", desiredAPIVersion="g/v", objects=[{"a": 1}, [2], "x"]))
    assert (request.api_version, request.uid, request.desired) == (V1, "u", "g/v")
    assert [msgspec.json.decode(item) for item in request.objects] == [{"a": 1}, [2], "x"]


@pytest.mark.parametrize("version", [V1, "apiextensions.k8s.io/v1beta1"])
def test_success_echoes_version_and_uid(version: str) -> None:
    request = review.ConversionRequest(version, 'u"1', "g/v", ())
    pieces = list(review.success(request, [b'{"a":1}', msgspec.Raw(b'{"b":2}')]))
    assert len(pieces) == 3
    assert json.loads(b"".join(pieces)) == {
        "apiVersion": version,
        "kind": "ConversionReview",
        "response": {
            "uid": 'u"1',
            "convertedObjects": [{"a": 1}, {"b": 2}],
            "result": {"status": "Success"},
        },
    }


def test_no_objects_are_a_success_with_null() -> None:
    request = review.read_conversion(body(uid="u", desiredAPIVersion="g/v", objects=[]))
    answer = json.loads(b"".join(review.success(request, ())))
    assert answer["response"] == {"uid": "u", "convertedObjects": None, "result": {"status": "Success"}}


def test_failure_carries_uid_and_message() -> None:
    request = review.ConversionRequest(V1, "u", "g/v", ())
    answer = json.loads(review.failure(request, "n/a: no"))
    assert answer["response"]["uid"] == "u"
    assert answer["response"]["result"] == {"status": "Failure", "message": "n/a: no"}
    assert not answer["response"]["convertedObjects"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 20_000,
        b'{"kind":"\xff"}',
        b'{"kind":"ConversionReview"}',
        json.dumps({"apiVersion": V1, "kind": "ConversionReview"}).encode(),
        json.dumps({"apiVersion": V1, "kind": "ConversionReview", "request": None}).encode(),
        json.dumps({"apiVersion": V1, "kind": "ConversionReview", "request": []}).encode(),
        json.dumps({"apiVersion": V1, "kind": "AdmissionReview", "request": {}}).encode(),
        json.dumps({"apiVersion": "v1", "kind": "ConversionReview", "request": {}}).encode(),
        body(uid="u", objects={}),
        body(uid=5),
    ],
)
def test_a_body_without_a_usable_request_is_refused(content: bytes) -> None:
    with pytest.raises(review.BadReview):
        review.read_conversion(content)


def test_missing_fields_are_empty_not_refused() -> None:
    assert review.read_conversion(body()) == review.ConversionRequest(V1, "", "", ())
