"""Versions as KServe reads them: three numbers, a candidate and a build, with the errors of its library.

Source of the grammar and of the words: github.com/coreos/go-semver v0.3.1, semver/semver.go, and Go's strconv.ParseInt.
"""

import re
from typing import Final

from aioctl.golang.template.escapes import quote

_IDENTIFIER: Final = re.compile(r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*", re.ASCII)
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)
_MOST: Final = 2**63 - 1
_LONGEST_SHOWN: Final = 100


def parse(text: str) -> tuple[int, int, int, str]:
    """Major, minor, patch and the candidate, which is empty for a release. Raises ValueError in the library's words."""
    numbers, _, build = text.partition("+")
    numbers, _, candidate = numbers.partition("-")
    parts = numbers.split(".", 2)
    if len(parts) != 3:
        raise ValueError(f"{shown(numbers)} is not in dotted-tri format")
    for what, identifier in (("pre-release", candidate), ("metadata", build)):
        if identifier and _IDENTIFIER.fullmatch(identifier) is None:
            raise ValueError(
                f"failed to validate {what}: {shown(identifier)} is not a valid semver identifier"
            )
    major, minor, patch = map(_number, parts)
    return major, minor, patch, candidate


def shown(text: str) -> str:
    """No more of it than a message should hold."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _number(part: str) -> int:
    if _DIGITS.fullmatch(part) is None:
        raise ValueError(f"strconv.ParseInt: parsing {quote(shown(part))}: invalid syntax")
    # int() refuses very many digits, which would be out of range anyway.
    digits = part.lstrip("0") or "0"
    if len(digits) > len(str(_MOST)) or int(digits) > _MOST:
        raise ValueError(f"strconv.ParseInt: parsing {quote(shown(part))}: value out of range")
    return int(digits)
