"""Status objects with the texts of kube-apiserver 1.34, as exceptions.

One constructor for each way a request can fail; nothing here decides when it does. `StatusError.body()` is what goes over
the wire; `NoSuchPath` is the plain text answer to a path that nobody serves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec


class StatusError(Exception):
    """A request that ends with a Status object."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def status(self) -> dict[str, Any]:
        """The Status object as a mapping, for watch ERROR events."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        return {**status, "code": self.code}

    def body(self) -> bytes:
        return msgspec.json.encode(self.status())


class NoSuchPath(StatusError):
    """A path nobody serves. The real server answers in plain text, so the body is no Status object."""

    def __init__(self) -> None:
        super().__init__(404, "NotFound", "404 page not found", headers={"content-type": "text/plain"})

    def body(self) -> bytes:
        return b"404 page not found\n"


@dataclass(frozen=True, slots=True)
class Cause:
    """One finding about one field; `reason` is the API's error type, `body` the text after the field's name."""

    field: str
    body: str
    reason: str = "FieldValueInvalid"

    @property
    def text(self) -> str:
        return f"{self.field}: {self.body}"


def required(field: str, detail: str = "") -> Cause:
    body = f"Required value: {detail}" if detail else "Required value"
    return Cause(field, body, "FieldValueRequired")


def invalid_value(field: str, value: object, detail: str) -> Cause:
    return Cause(field, f"Invalid value: {msgspec.json.encode(value).decode()}: {detail}")


def forbidden_field(field: str, detail: str) -> Cause:
    return Cause(field, f"Forbidden: {detail}", "FieldValueForbidden")


def not_found(resource: str, group: str, name: str) -> StatusError:
    """`resource` is dotted with its group, such as `deployments.apps`."""
    return StatusError(
        404, "NotFound", f'{resource} "{name}" not found', details=_details(resource, group, name)
    )


def already_exists(resource: str, group: str, name: str) -> StatusError:
    text = f'{resource} "{name}" already exists'
    return StatusError(409, "AlreadyExists", text, details=_details(resource, group, name))


MODIFIED: Final = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(resource: str, group: str, name: str, why: str = MODIFIED) -> StatusError:
    text = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return StatusError(409, "Conflict", text, details=_details(resource, group, name))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> StatusError:
    """422 with all findings; the aggregate reads as the real server's: one plain, several in brackets, each once."""
    texts = list(dict.fromkeys(cause.text for cause in causes))
    listing = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    dotted = f"{kind}.{group}" if group else kind
    details = {
        **_named(name, group, kind),
        "causes": [{"reason": c.reason, "message": c.body, "field": c.field} for c in causes],
    }
    return StatusError(422, "Invalid", f'{dotted} "{name}" is invalid: {listing}', details=details)


def expired(message: str) -> StatusError:
    return StatusError(410, "Expired", message)


def too_old(wanted: int, oldest: int) -> StatusError:
    return expired(f"too old resource version: {wanted} ({oldest})")


def bad_request(message: str) -> StatusError:
    return StatusError(400, "BadRequest", message)


def forbidden(resource: str, group: str, name: str, why: str) -> StatusError:
    text = f'{resource} "{name}" is forbidden: {why}'
    return StatusError(403, "Forbidden", text, details=_details(resource, group, name))


def method_not_allowed() -> StatusError:
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def unsupported_patch() -> StatusError:
    """A strange patch of a built-in kind; the words differ from those for custom kinds."""
    return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type")


def no_such_subresource() -> StatusError:
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def unsupported_media(accepted: Sequence[str]) -> StatusError:
    text = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(
        accepted
    )
    return StatusError(415, "UnsupportedMediaType", text)


def internal(message: str) -> StatusError:
    """An error the real server wraps on purpose, with its prefix."""
    text = f"Internal error occurred: {message}"
    return StatusError(500, "InternalError", text, details={"causes": [{"message": message}]})


def plain_500(message: str) -> StatusError:
    """An error of an unknown kind: the real server shows its bare text, with an empty reason."""
    return StatusError(500, "", message)


def too_new(wanted: int, current: int) -> StatusError:
    """A read that asks for what has not happened yet."""
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    text = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return StatusError(504, "Timeout", text, details={"causes": causes, "retryAfterSeconds": 1})


def too_large(limit: int) -> StatusError:
    """A body over the limit in bytes."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def too_many_requests(retry_after: int = 1, message: str = "") -> StatusError:
    return StatusError(
        429,
        "TooManyRequests",
        message or "Too many requests, please try again later.",
        details={"retryAfterSeconds": retry_after},
        headers={"retry-after": str(retry_after)},
    )


def _details(resource: str, group: str, name: str) -> dict[str, Any]:
    return _named(name, group, resource.split(".", 1)[0])


def _named(name: str, group: str, kind: str) -> dict[str, Any]:
    """What is empty is left out."""
    given = {"name": name, "group": group, "kind": kind}
    return {field: value for field, value in given.items() if value}
