"""What a field of a service can be wrong about, in the words of Kubernetes' field errors (ADM-3)."""

from dataclasses import dataclass
from typing import Any, Final

from aioctl.golang import gojson
from aioctl.golang.gotypes import GoType

INVALID: Final = "FieldValueInvalid"
REQUIRED: Final = "FieldValueRequired"
FORBIDDEN: Final = "FieldValueForbidden"
NOT_SUPPORTED: Final = "FieldValueNotSupported"
TOO_LONG: Final = "FieldValueTooLong"
TOO_MANY: Final = "FieldValueTooMany"
_TYPE_TEXT: Final = {
    INVALID: "Invalid value",
    REQUIRED: "Required value",
    FORBIDDEN: "Forbidden",
    NOT_SUPPORTED: "Unsupported value",
    TOO_LONG: "Too long",
    TOO_MANY: "Too many",
}
_WITHOUT_VALUE: Final = frozenset({REQUIRED, FORBIDDEN, TOO_LONG, TOO_MANY})


@dataclass(frozen=True, slots=True)
class Problem:
    """One violation: which rule, where, and what it says.

    `rule` tells rules at one field apart: an update does not report what the old object violated at the same field.
    """

    rule: str
    field: str
    type: str
    value: str
    """The offending value as JSON text, in Go's spelling; empty where the type names none."""
    detail: str

    @property
    def body(self) -> str:
        if self.type in _WITHOUT_VALUE:
            return f"{_TYPE_TEXT[self.type]}: {self.detail}"
        return f"{_TYPE_TEXT[self.type]}: {self.value}: {self.detail}"

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def invalid(rule: str, field: str, value: Any, detail: str, type_: GoType | None = None) -> Problem:
    """`type_` is the Go type that says in which order the fields of an object are quoted."""
    return Problem(rule, field, INVALID, gojson.dump(value, type_), detail)


def required(rule: str, field: str, detail: str) -> Problem:
    return Problem(rule, field, REQUIRED, "", detail)


def forbidden(rule: str, field: str, detail: str) -> Problem:
    return Problem(rule, field, FORBIDDEN, "", detail)


def not_supported(rule: str, field: str, value: Any, detail: str) -> Problem:
    return Problem(rule, field, NOT_SUPPORTED, gojson.dump(value), detail)


def excessive(field: str, detail: str, *, is_text: bool) -> Problem:
    """A text, list or map over its bound; the value is not shown."""
    return Problem("bound", field, TOO_LONG if is_text else TOO_MANY, "", detail)
