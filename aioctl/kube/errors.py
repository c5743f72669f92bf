"""What can go wrong between us and an API server, sorted by what the caller should do.

`TransportError`: no answer came; `maybe_sent` says whether the server may have acted all the same. `ApiError`: the server
answered, and its text is kept word for word because conditions and events show it (`str(error)` is that text). Nothing
here retries: `kube/client.py` repeats what is safe, everything else goes to the queue's backoff.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from aioctl.kube.wire import Response


class KubeError(Exception):
    """Anything that kept a call from succeeding."""


class TransportError(KubeError):
    """No answer: connecting or reading failed, or a deadline passed.

    `maybe_sent` is False only where the request certainly never reached the server (connection refused, no name, no
    free connection): repeating is then safe even for a create.
    """

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


class Silence(TransportError):
    """An open stream stayed without a byte for longer than it may."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_sent=True)


class ApiError(KubeError):
    """The server answered with an error.

    `reason` is the machine-readable word of the Status object ("" when the answer was none), `details` its details
    object, `retry_after` the seconds the server asked to wait (None: it did not ask).
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details: Mapping[str, Any] = details or {}
        self.retry_after = retry_after


class NotFound(ApiError):
    """404: the object, or the kind itself (`is_kind_missing`), is not there."""


class AlreadyExists(ApiError):
    """409 on a create: somebody was first. Read it and plan again."""


class Conflict(ApiError):
    """409 on an update: our copy is old. Wait for the cache and plan again."""


class Gone(ApiError):
    """410: the history asked for is no longer kept. List again."""


class Invalid(ApiError):
    """422 (or 400): the server does not accept this body. Repeating it changes nothing."""


class Forbidden(ApiError):
    """403: RBAC, quota or an admission webhook says no."""


class Unauthorized(ApiError):
    """401: our credentials are not (or no longer) good."""


class TooManyRequests(ApiError):
    """429: nothing was done; come back after `retry_after`."""


class ServerUnavailable(ApiError):
    """5xx, and the server's own timeouts: try later. For writes other than 503 it is not known whether they happened."""


_NO_SUCH_PATH: Final = ("404 page not found", "the server could not find the requested resource")
"""Texts of the API server. Whatever else answers 404, such as a proxy, knows nothing of kinds."""

_BY_STATUS: Final[Mapping[int, type[ApiError]]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerUnavailable,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


def is_kind_missing(error: KubeError) -> bool:
    """True when the API server says that the path itself is unknown, i.e. that the kind is not served."""
    return (
        isinstance(error, NotFound)
        and not error.details.get("name")
        and error.message.startswith(_NO_SUCH_PATH)
    )


_LONGEST_TEXT: Final = 1024
"""Bytes of an answer that become a message: it is shown in conditions and events."""
_TITLE: Final = re.compile(r"<title>([^<]{1,200})</title>", re.IGNORECASE)
LONGEST_WAIT: Final = 60.0
"""Seconds; whoever asks for more, such as a proxy, is asked again after this."""


def asked_to_wait(error: Exception) -> float | None:
    """Seconds after which the server wants to be asked again, where it says so and has done nothing; else None."""
    if not isinstance(error, ApiError) or error.status not in (429, 503) or error.retry_after is None:
        return None
    return min(error.retry_after, LONGEST_WAIT)


def error_class(status: int, reason: str) -> type[ApiError]:
    """The branch of the tree for a status code and the reason of its Status object."""
    if reason == "AlreadyExists":
        return AlreadyExists
    if reason == "Expired":
        return Gone
    if status >= 500:
        return ServerUnavailable
    return _BY_STATUS.get(status, ApiError)


def from_status(body: Mapping[str, Any], *, status: int = 0, retry_after: float | None = None) -> ApiError:
    """The error for a decoded Status object: the body of an answer, or the object of a watch's ERROR event."""
    found = body.get("code")
    code = status or (found if isinstance(found, int) else 500)
    reason = str(body.get("reason") or "")
    details = body.get("details")
    details = details if isinstance(details, Mapping) else {}
    if retry_after is None:
        seconds = details.get("retryAfterSeconds")
        retry_after = float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None
    message = str(body.get("message") or f"the server answered {code} {reason}".rstrip())
    return error_class(code, reason)(code, reason, message, details, retry_after)


def from_response(response: Response) -> ApiError:
    """The error for an answer whose status is not a success. Answers of proxies are plain text and become the message."""
    retry_after = _seconds(response.headers.get("retry-after", ""))
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        body = None
    if isinstance(body, Mapping) and body.get("kind") == "Status":
        return from_status(body, status=response.status, retry_after=retry_after)
    message = _of_a_proxy(response)
    return error_class(response.status, "")(response.status, "", message, None, retry_after)


def _of_a_proxy(response: Response) -> str:
    """The words of an answer that is no Status object, on one line. Pages for browsers are known by their title alone."""
    text = " ".join(response.body[:_LONGEST_TEXT].decode("utf-8", "replace").split())
    if not text.startswith("<"):
        return text or f"the server answered {response.status}"
    title = _TITLE.search(text)
    said = f' titled "{title[1].strip()}"' if title else ""
    return f"the server answered {response.status} with a page for browsers{said}"


def _seconds(header: str) -> float | None:
    # The API server only sends seconds; a date (which proxies may send) is treated as not asked for.
    return float(header) if header.isascii() and header.isdigit() else None
