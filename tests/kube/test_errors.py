"""Errors of an API server become the branch of the tree that tells the caller what to do, with the server's own words."""

import pytest

from aioctl.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
    Unauthorized,
    asked_to_wait,
    from_response,
    from_status,
    is_kind_missing,
)
from aioctl.kube.wire import Response
from testbed.scripted_wire import encode, status_body


@pytest.mark.parametrize(
    ("status", "reason", "branch"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (405, "MethodNotAllowed", ApiError),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Gone),
        (410, "Gone", Gone),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerUnavailable),
        (503, "ServiceUnavailable", ServerUnavailable),
        (504, "Timeout", ServerUnavailable),
    ],
)
def test_a_status_becomes_the_branch_the_caller_acts_on(
    status: int, reason: str, branch: type[ApiError]
) -> None:
    error = from_response(
        Response(status, {}, encode(status_body(status, reason, "the words of the server")))
    )
    assert type(error) is branch
    assert str(error) == "the words of the server"
    assert (error.status, error.reason) == (status, reason)


def test_the_retry_after_header_wins_over_the_details() -> None:
    body = encode(status_body(429, "TooManyRequests", "slow down", {"retryAfterSeconds": 5}))
    assert from_response(Response(429, {"retry-after": "2"}, body)).retry_after == 2.0
    assert from_response(Response(429, {}, body)).retry_after == 5.0


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "", "²"])
def test_a_retry_after_that_is_no_number_counts_as_not_given(header: str) -> None:
    assert from_response(Response(503, {"retry-after": header}, b"")).retry_after is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"upstream connect error", "upstream connect error"),
        (b"", "the server answered 502"),
        (b"[1]", "[1]"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"no healthy upstream\r\n\r\n  at edge-1 ", "no healthy upstream at edge-1"),
        (
            b"\n<html><head><TITLE>\n502 Bad Gateway</TITLE></head>" + 5000 * b"<p>",
            'the server answered 502 with a page for browsers titled "502 Bad Gateway"',
        ),
        (b"<!DOCTYPE html>", "the server answered 502 with a page for browsers"),
    ],
)
def test_the_text_of_a_proxy_is_the_message(body: bytes, text: str) -> None:
    error = from_response(Response(502, {}, body))
    assert isinstance(error, ServerUnavailable)
    assert str(error) == text


def test_the_error_event_of_a_watch_carries_its_own_code() -> None:
    error = from_status(status_body(410, "Expired", "too old resource version: 1 (7)"))
    assert isinstance(error, Gone)
    assert error.status == 410


def test_a_missing_kind_can_be_told_from_a_missing_object() -> None:
    plain = from_response(Response(404, {}, b"404 page not found\n"))
    status = status_body(404, "NotFound", "the server could not find the requested resource")
    named = status_body(404, "NotFound", 'pods "a" not found', {"name": "a", "kind": "pods"})
    assert is_kind_missing(plain)
    for body, missing in ((status, True), (named, False)):
        error = from_response(Response(404, {}, encode(body)))
        assert isinstance(error, NotFound)
        assert is_kind_missing(error) is missing
    assert not is_kind_missing(from_response(Response(404, {}, b"default backend - 404")))
    assert not is_kind_missing(from_response(Response(500, {}, b"404 page not found\n")))


@pytest.mark.parametrize(("code", "asked"), [(429, 7.0), (503, 7.0), (500, None), (504, None), (409, None)])
def test_only_a_server_that_has_done_nothing_asks_to_wait(code: int, asked: float | None) -> None:
    assert asked_to_wait(from_response(Response(code, {"retry-after": "7"}, b""))) == asked
    assert asked_to_wait(from_response(Response(code, {}, b""))) is None
    assert asked_to_wait(TransportError("refused", maybe_sent=False)) is None
