"""Managed devices (dynamic resource allocation): the annotations of a service that ask for them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aioctl.api.objects import Object, annotations_of, text
from aioctl.api.problems import Problem, invalid, required
from aioctl.golang import gourl

DEVICE_CLASS: Final = "serving.kserve.io/exp-dra-device-class"
DEVICE_COUNT: Final = "serving.kserve.io/exp-dra-device-count"
CEL_SELECTOR: Final = "serving.kserve.io/exp-dra-cel-selector"
CONTAINER_NAME: Final = "serving.kserve.io/exp-dra-container-name"

_SPACES: Final = "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Go's unicode.IsSpace takes for space."""
_WORD: Final = re.compile(r"[a-z0-9]++(?:-++[a-z0-9]++)*+")
_INTEGER: Final = re.compile(r"[+-]?[0-9]++")
_LONGEST_LABEL: Final = 63
_LONGEST_SUBDOMAIN: Final = 253
_LARGEST: Final = 2**63 - 1
_DIGITS: Final = len(str(_LARGEST))
_NO_LABEL: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_NO_SUBDOMAIN: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


@dataclass(frozen=True, slots=True)
class Devices:
    """What a service asks for."""

    device_class: str
    count: int
    selectors: tuple[str, ...]
    """CEL expressions, all of which a device has to meet."""
    container: str
    """Which container uses the devices; empty for the first."""


def asked(service: Object) -> Devices | None:
    """The devices that the annotations ask for, None without a class. Raises ValueError for a count that is none."""
    found = annotations_of(service)
    if DEVICE_CLASS not in found:
        return None
    raw = {key: found.get(key, "") for key in (DEVICE_CLASS, DEVICE_COUNT, CEL_SELECTOR)}
    if problem := _count_problem(raw[DEVICE_COUNT]):
        raise ValueError(problem)
    expressions = (line.strip(_SPACES) for line in raw[CEL_SELECTOR].split("\n"))
    return Devices(
        raw[DEVICE_CLASS].strip(_SPACES),
        int(raw[DEVICE_COUNT].strip(_SPACES) or "1"),
        tuple(expression for expression in expressions if expression),
        container_of(service),
    )


def container_of(service: Object) -> str:
    """The container that the annotations name, empty when they name none."""
    return annotations_of(service).get(CONTAINER_NAME, "").strip(_SPACES)


def devices(service: Object) -> Iterator[Problem]:
    """A device class asks for devices, the others say how many, which and for whom."""
    found = annotations_of(service)
    raw = {
        key: text(found, key)
        for key in (DEVICE_CLASS, DEVICE_COUNT, CEL_SELECTOR, CONTAINER_NAME)
        if found.get(key) is not None
    }
    if raw and DEVICE_CLASS not in raw:
        detail = (
            f"{DEVICE_CLASS} is required to enable managed DRA when "
            f"{DEVICE_COUNT}, {CEL_SELECTOR}, or {CONTAINER_NAME} is set"
        )
        yield required("dra-class", _at(DEVICE_CLASS), detail)
    for key, judge in _JUDGES.items():
        if key in raw and (problem := judge(raw[key])):
            rule = "dra" if raw[key].strip(_SPACES) else "dra-empty"
            yield invalid(rule, _at(key), raw[key], problem)


def _at(key: str) -> str:
    return f"metadata.annotations[{key}]"


def _class_problem(raw: str) -> str:
    name = raw.strip(_SPACES)
    if not name:
        return "device class must not be empty"
    faults = _too_long(name, _LONGEST_SUBDOMAIN)
    if not _is_subdomain(name):
        faults.append(_NO_SUBDOMAIN)
    return f"device class must be a DNS subdomain: {'; '.join(faults)}" if faults else ""


def _too_long(name: str, most: int) -> list[str]:
    """Go counts bytes, whatever it calls them."""
    return [f"must be no more than {most} characters"] if len(name.encode(errors="replace")) > most else []


def _is_subdomain(name: str) -> bool:
    return all(_WORD.fullmatch(part) for part in name.split("."))


def _count_problem(raw: str) -> str:
    digits = raw.strip(_SPACES)
    if not digits:
        return ""  # one device
    shown = f"invalid {DEVICE_COUNT} value {_quoted(raw)}"
    if not _INTEGER.fullmatch(digits):
        return f"{shown}: strconv.Atoi: parsing {_quoted(digits)}: invalid syntax"
    significant = digits.lstrip("+-").lstrip("0")
    if len(significant) > _DIGITS or not -_LARGEST - 1 <= int(digits) <= _LARGEST:
        return f"{shown}: strconv.Atoi: parsing {_quoted(digits)}: value out of range"
    return "" if int(digits) >= 1 else f"{shown}: must be >= 1"


def _selector_problem(raw: str) -> str:
    return "" if raw.strip(_SPACES) else "cel selector must contain at least one non-empty CEL expression"


def _container_problem(raw: str) -> str:
    name = raw.strip(_SPACES)
    if not name:
        return "container name must not be empty"
    faults = _too_long(name, _LONGEST_LABEL)
    if not _WORD.fullmatch(name):
        faults.append("must not contain dots" if _is_subdomain(name) else _NO_LABEL)
    return f"container name must be a DNS label: {'; '.join(faults)}" if faults else ""


_JUDGES: Final = {
    DEVICE_CLASS: _class_problem,
    DEVICE_COUNT: _count_problem,
    CEL_SELECTOR: _selector_problem,
    CONTAINER_NAME: _container_problem,
}


def _quoted(raw: str) -> str:
    return gourl.quote(raw.encode(errors="replace"))
