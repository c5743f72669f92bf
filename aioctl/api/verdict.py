"""What is said to an admission review, and the statuses that refuse one (ADM-2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ApiErrorStatus(Exception):
    """What a judgement needs could not be read: the failed call's own status is the answer (ADM-5)."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        super().__init__(str(status.get("message", "")))
        self.status = dict(status)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said to a readable review."""

    status: Mapping[str, Any] | None = None
    """None admits."""
    warnings: Sequence[str] = ()
    patch: Sequence[Mapping[str, Any]] = ()
    """JSON patch (RFC 6902) of an admitted object; mutating webhooks only."""


def error_status(code: int, message: str) -> dict[str, Any]:
    return {"metadata": {}, "message": message, "code": code}


def forbidden_status(message: str) -> dict[str, Any]:
    return {**error_status(403, message), "reason": "Forbidden"}
