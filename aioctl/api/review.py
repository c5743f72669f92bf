"""The ConversionReview protocol, v1 and v1beta1 (CONV-7): envelope in, envelope out, nothing of the content.

A review is read in one pass that leaves every object encoded, and answered in pieces, so that a list of ten thousand
objects is never held decoded. Only a body without a usable request is refused as such (HTTP 400); everything else gets
an answer that echoes the uid, with status Success or Failure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from aioctl.api.encoding import decode_deep

CONVERT: Final = "/convert"
"""Path of the conversion webhook, in the CRDs and on our server (CRD-2)."""

_KIND: Final = "ConversionReview"
_VERSIONS: Final = frozenset({"apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"})


class BadReview(ValueError):
    """The body holds no usable conversion request; the text says what is missing or wrong."""


class _Request(msgspec.Struct):
    uid: str | None = None
    desired: str | None = msgspec.field(name="desiredAPIVersion", default=None)
    objects: list[msgspec.Raw] | None = None


class _Review(msgspec.Struct):
    api_version: str | None = msgspec.field(name="apiVersion", default=None)
    kind: str | None = None
    request: _Request | None = None


class _Result(msgspec.Struct):
    status: str
    message: str


class _Response(msgspec.Struct):
    uid: str
    converted: None = msgspec.field(name="convertedObjects")
    result: _Result


class _Answer(msgspec.Struct):
    api_version: str = msgspec.field(name="apiVersion")
    kind: str
    response: _Response


_decode = msgspec.json.Decoder(_Review).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """One request: convert all `objects`, still encoded, into the version `desired`; all or nothing, order kept."""

    api_version: str
    """The review's own version, which the answer repeats."""
    uid: str
    desired: str
    objects: tuple[msgspec.Raw, ...]


def read_conversion(body: bytes | bytearray) -> ConversionRequest:
    """Read the envelope. Raises BadReview when there is no usable request in it."""
    try:
        review = decode_deep(_decode, body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReview(f"body is no {_KIND}: {error}") from error
    if review.kind != _KIND or review.api_version not in _VERSIONS:
        raise BadReview(f"expected a {_KIND} of {' or '.join(sorted(_VERSIONS))}")
    if review.request is None:
        raise BadReview(f"{_KIND} has no request")
    request = review.request
    return ConversionRequest(
        review.api_version, request.uid or "", request.desired or "", tuple(request.objects or ())
    )


def success(request: ConversionRequest, converted: Iterable[bytes | msgspec.Raw]) -> Iterator[bytes]:
    """The answer in pieces, one per object; no objects make `convertedObjects` null.

    `converted` is consumed as the pieces are taken: convert all objects before the first byte is sent if an object may
    still fail, for an answer that has begun cannot become a failure.
    """
    head = (
        f'{{"apiVersion":"{request.api_version}","kind":"{_KIND}","response":{{"uid":'.encode()
        + _encode(request.uid)
        + b',"convertedObjects":'
    )
    separator = b"["
    for item in converted:
        yield head + separator + bytes(item)
        head, separator = b"", b","
    end = b"null" if head else b"]"
    yield head + end + b',"result":{"status":"Success"}}}'


def failure(request: ConversionRequest, message: str) -> bytes:
    """The answer when any object failed: no objects, and the message the API server shows to its client."""
    result = _Result("Failure", message)
    return _encode(_Answer(request.api_version, _KIND, _Response(request.uid, None, result)))
