"""Answers AdmissionReviews of one path by a pure function; always HTTP 200, denials and bad requests included.

What is allowed is decided in `api`; here stand only the size limit and the answer to a body that exceeds it, because
such a body is never read (ADM-2).
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from structlog.contextvars import bind_contextvars

from aioctl.api import body_limits
from aioctl.api.admission import crashed
from aioctl.serving.limits import KIB
from aioctl.serving.webhook import Answer, Call, Turns

log = structlog.get_logger(__name__)

_AT_ONCE: Final = 256 * KIB
"""Up to here a review is named for the log and judged within one turn; reading a name out of 6 MB takes 20 ms."""

Review = Callable[[bytes, str], bytes]
"""Body and Content-Type of the request to the encoded AdmissionReview that answers it."""


BeforeDeletion = Callable[[str], Awaitable[None]]
"""Reads what judging a deletion in this namespace takes."""


class _Request(msgspec.Struct):
    uid: str = ""
    operation: str = ""
    namespace: str = ""
    name: str = ""


class _Envelope(msgspec.Struct):
    request: _Request | None = None


_envelope = msgspec.json.Decoder(_Envelope).decode


def _asked(body: bytes) -> _Request | None:
    """What a review is about; None where it cannot be told. Whether the review can be used is not decided here."""
    try:
        return _envelope(body).request
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _identity(request: _Request | None) -> dict[str, str]:
    """What the log says of a review: its uid and its object."""
    return {} if request is None else {"uid": request.uid, "object": f"{request.namespace}/{request.name}"}


class AdmissionHandler:
    """The handler of one `/validate-...` path."""

    def __init__(
        self, review: Review, turnstile: Turns, *, before_deletion: BeforeDeletion | None = None
    ) -> None:
        self._review = review
        self._turnstile = turnstile
        self._before_deletion = before_deletion

    @property
    def body_limit(self) -> int:
        return body_limits.ADMISSION - 1

    @property
    def line(self) -> str:
        return "admission"

    def too_large(self, size: int) -> Answer:
        status = {
            "metadata": {},
            "message": f"request entity is too large; limit is {body_limits.ADMISSION} bytes",
            "code": int(HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        }
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": "", "allowed": False, "status": status},
        }
        return Answer.of(HTTPStatus.OK, msgspec.json.encode(review))

    async def answer(self, call: Call) -> Answer:
        body = bytes(call.take())
        async with self._turnstile.turn(urgent=True):
            asked = _asked(body)
            bind_contextvars(**_identity(asked))
            deletes = asked is not None and asked.operation == "DELETE"
            if len(body) <= _AT_ONCE and not deletes:
                return Answer.of(HTTPStatus.OK, self._judged(body, call.content_type))
        if asked is not None and deletes and self._before_deletion is not None:
            await self._before_deletion(asked.namespace)
        async with self._turnstile.turn(urgent=True):
            return Answer.of(HTTPStatus.OK, self._judged(body, call.content_type))

    def _judged(self, body: bytes, content_type: str) -> bytes:
        try:
            return self._review(body, content_type)
        except Exception as error:
            log.exception("admission review failed")
            return crashed(body, error)
