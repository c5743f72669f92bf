"""What came of a dry run: whether the API server would take a service with the combined spec as its own (PRESET-8).

A plan asks for it through its observation. Where nobody may ask an API server, our own rules decide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aioctl.api import validation
from aioctl.api.decoding import Undecodable
from aioctl.api.objects import FieldError, Object, mapping, name_of, sequence, text


@dataclass(frozen=True, slots=True)
class Accepted:
    """It would."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """It would not: its error, and the error's causes in one line."""

    error: str
    detail: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """It could not be asked. `wait`: the seconds that the server asked to wait, 0.0 where it did not."""

    error: str
    detail: str
    wait: float = 0.0


DryRunResult = Accepted | Rejected | Unavailable


def detail(error: str, details: Mapping[str, Any]) -> str:
    """The causes of an API error as `<field>: <message>`, just the message without a field; the error where it has none."""
    found = [
        f"{field}: {message}" if (field := text(cause, "field")) else message
        for cause in sequence(details, "causes")
        if (message := text(cause, "message"))
    ]
    return "; ".join(found) or error


def accept(_: Object) -> DryRunResult:
    """What is said where nothing judges."""
    return Accepted()


def in_process(candidate: Object) -> DryRunResult:
    """What our own rules say of the candidate."""
    try:
        problems = validation.validate(candidate)
    except (FieldError, Undecodable) as error:
        return Rejected(str(error), str(error))
    if not problems:
        return Accepted()
    status = validation.status(_named(candidate), problems)
    return Rejected(text(status, "message"), detail(text(status, "message"), mapping(status, "details")))


def _named(candidate: Object) -> Object:
    """The candidate under what its name would begin with."""
    metadata = mapping(candidate, "metadata")
    return {
        **candidate,
        "metadata": {**metadata, "name": name_of(candidate) or text(metadata, "generateName")},
    }
