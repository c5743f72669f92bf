"""Kubernetes resource quantities: the value, and the canonical spelling (apimachinery 0.34 resource.Quantity).

Canonical means: the largest suffix of the input's format (decimal, binary, exponent) that keeps the number an integer.
Values go up to the next nano; binary ones are capped at 2^63-1, and printed decimal when they are small or fractional.
Two deviations: above `E` apimachinery drops the suffix it has no letter for (`1000E` becomes `1`), here the number
stays; and it reads some texts without a digit (`Ki`) as zero, here they are refused.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

_SPLIT = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}
_DECIMAL_SUFFIX = {power: suffix for suffix, power in _DECIMAL.items()}
_EXPONENT = re.compile(r"[eE]([+-]?[0-9]+)", re.ASCII)
_LARGEST_EXPONENT = 2**31 - 1
_LARGEST_BINARY = 2**63 - 1
_NANO = -9
# Go keeps a number in 64 bits when it has so many digits, and only then reuses a spelling that looks canonical.
_FAST_DIGITS = 18
_FAST_BINARY_DIGITS = 14

_WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_WRONG_NUMBER = "unable to parse numeric part of quantity"
_WRONG_SUFFIX = "unable to parse quantity's suffix"


@dataclass(frozen=True, slots=True)
class _Quantity:
    """`mantissa` times ten to the `exponent`; `spelling` is set when the input counts as canonical already."""

    mantissa: int
    exponent: int
    style: str
    spelling: str | None


def _power(suffix: str) -> tuple[str, int]:
    """(style, power): binary with a power of 1024, or decimal / exponent with a power of ten."""
    if suffix in _DECIMAL:
        return "decimal", _DECIMAL[suffix]
    if suffix in _BINARY:
        return "binary", _BINARY[suffix]
    match = _EXPONENT.fullmatch(suffix)
    if match is None or len(match[1]) > 11 or abs(int(match[1])) > _LARGEST_EXPONENT:
        raise ValueError(_WRONG_SUFFIX)
    return "exponent", int(match[1])


def _is_canonical(whole: str, fraction: str, style: str, power: int) -> bool:
    """Go's shortcut, wrong ones such as `+1` and `1.500` included: such spellings come out as they went in."""
    if style == "binary":
        room = _FAST_BINARY_DIGITS - len(whole) - 3 * power
        return not fraction and room >= 0 and int(whole) % 8 != 0
    digits, scale = whole + fraction, power - len(fraction)
    if len(digits) > _FAST_DIGITS or scale < _NANO:
        return False
    return scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _round_up(magnitude: int, exponent: int) -> tuple[int, int]:
    """Away from zero to a multiple of a nano."""
    if exponent >= _NANO:
        return magnitude, exponent
    drop = _NANO - exponent
    if drop > len(str(magnitude)):
        return (1 if magnitude else 0), _NANO
    return -(-magnitude // 10**drop), _NANO


def _read(text: str) -> _Quantity:
    match = _SPLIT.fullmatch(text)
    if not text or match is None:
        raise ValueError(_WRONG_FORMAT)
    sign, whole, fraction, suffix = match[1], match[2] or "0", match[3] or "", match[4]
    style, power = _power(suffix)
    if not any(character.isdigit() for character in text[: match.start(4)]):
        raise ValueError(_WRONG_NUMBER)
    spelling = text if _is_canonical(whole, fraction, style, power) else None
    magnitude, exponent = int(whole + fraction), -len(fraction)
    if style == "binary":
        magnitude *= 1024**power
    else:
        exponent += power
    magnitude, exponent = _round_up(magnitude, exponent)
    if style == "binary" and magnitude > _LARGEST_BINARY * 10**-exponent:
        magnitude, exponent = _LARGEST_BINARY, 0
    return _Quantity(-magnitude if sign == "-" else magnitude, exponent, style, spelling)


def parse(text: str) -> Decimal:
    """The value, exact after rounding up to a nano. Raises ValueError when the text is no quantity."""
    found = _read(text)
    sign = 1 if found.mantissa < 0 else 0
    digits = tuple(int(digit) for digit in str(abs(found.mantissa)))
    return Decimal((sign, digits, found.exponent))


def _decimal(mantissa: int, exponent: int, *, style: str) -> str:
    while mantissa % 10 == 0:
        mantissa //= 10
        exponent += 1
    target = exponent - exponent % 3
    if style == "decimal":
        target = min(target, max(_DECIMAL_SUFFIX))
    mantissa *= 10 ** (exponent - target)
    if style == "exponent":
        return f"{mantissa}e{target}" if target else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX[target]}"


def _binary(mantissa: int, exponent: int) -> str:
    scale = 10**-exponent
    if abs(mantissa) < 1024 * scale or mantissa % scale:
        return _decimal(mantissa, exponent, style="decimal")
    number, power = mantissa // scale, 0
    while number % 1024 == 0:
        number //= 1024
        power += 1
    return f"{number}{_BINARY_SUFFIX[power] if power else ''}"


def canonical(text: str) -> str:
    """The spelling apimachinery prints, such as `1000m` -> `1`, `1024Mi` -> `1Gi`, `0.5` -> `500m`, `128` -> `128`.

    A JSON number is given as its text. Raises ValueError when the text is no quantity.
    """
    text = text.strip()
    found = _read(text)
    if found.spelling is not None:
        return found.spelling
    if found.mantissa == 0:
        return "0"
    if found.style == "binary":
        return _binary(found.mantissa, found.exponent)
    return _decimal(found.mantissa, found.exponent, style=found.style)
