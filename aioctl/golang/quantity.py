"""Kubernetes resource quantities: the value, and the canonical spelling (apimachinery 0.34 resource.Quantity).

Canonical means: the largest suffix of the input's format (decimal, binary, exponent) that keeps the number an integer.
Values go up to the next nano; binary ones are capped at 2^63-1, and printed decimal when they are small or fractional.
Three deviations: above `E` apimachinery drops the suffix it has no letter for (`1000E` becomes `1`), here the number
stays; it reads some texts without a digit (`Ki`) as zero, here they are refused; and it lets an exponent beyond 32 bits
wrap around (`1e4294967297` is ten), here that is refused.

Numbers stay strings of digits and every repeat of the pattern is possessive, so the work is linear in the text and does
not depend on the exponent: whoever writes a service chooses both.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_SPLIT: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<zeros>0*+)(?P<whole>[0-9]*+)(?P<point>(?:\.(?P<fraction>[0-9]*+))?+)"
    r"(?P<suffix>[eEinumkKMGTP]*+[-+]?[0-9]*+)"
)
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIX: Final = {power: suffix for suffix, power in _BINARY.items()}
_DECIMAL_SUFFIX: Final = {power: suffix for suffix, power in _DECIMAL.items()}
_EXPONENT: Final = re.compile(r"[eE](?P<sign>[+-]?)0*+(?P<digits>[0-9]*+)(?<=[0-9])")
_LARGEST_EXPONENT: Final = 2**31 - 1
_LARGEST_BINARY: Final = 2**63 - 1
_NANO: Final = -9
# Go keeps a number in 64 bits when it has so many digits, and only then reuses a spelling that looks canonical.
_FAST_DIGITS: Final = 18
_FAST_BINARY_DIGITS: Final = 14
_WHOLE_DIGITS: Final = 19
"""A whole number with more digits than this is larger than any binary value."""
_FRACTION_DIGITS: Final = 80
"""1024^6 and a nano are settled by 69 digits behind the point; of what follows it only matters whether it is zero."""
_SUM_DIGITS: Final = 40
"""Sums are made of numbers with so many digits before the point."""

_WRONG_FORMAT: Final = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_WRONG_NUMBER: Final = "unable to parse numeric part of quantity"
_WRONG_SUFFIX: Final = "unable to parse quantity's suffix"


@dataclass(frozen=True, slots=True)
class _Quantity:
    """`digits` times ten to the `exponent`: no leading zeros, empty for zero. `spelling` is set when the input counts as
    canonical already."""

    negative: bool
    digits: str
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
    if match is None or len(match["digits"]) > len(str(_LARGEST_EXPONENT)):
        raise ValueError(_WRONG_SUFFIX)
    power = int(match["sign"] + (match["digits"] or "0"))
    if abs(power) > _LARGEST_EXPONENT:
        raise ValueError(_WRONG_SUFFIX)
    return "exponent", power


def _is_canonical(whole: str, fraction: str, style: str, power: int) -> bool:
    """Go's shortcut, wrong ones such as `+1` and `1.500` included: such spellings come out as they went in."""
    if style == "binary":
        room = _FAST_BINARY_DIGITS - len(whole) - 3 * power
        return not fraction and room >= 0 and int(whole) % 8 != 0
    digits, scale = whole + fraction, power - len(fraction)
    if len(digits) > _FAST_DIGITS or scale < _NANO:
        return False
    return scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _cut(digits: str, drop: int) -> tuple[str, bool]:
    """The digits without the last `drop`, and whether anything but zeros went with them."""
    kept, gone = (digits[:-drop], digits[-drop:]) if drop < len(digits) else ("", digits)
    return kept, bool(gone.strip("0"))


def _round_up(digits: str, exponent: int) -> tuple[str, int]:
    """Away from zero to a multiple of a nano."""
    if exponent >= _NANO:
        return digits, exponent
    kept, more = _cut(digits, _NANO - exponent)
    if more:
        low = kept.rstrip("9")
        zeros = "0" * (len(kept) - len(low))
        kept = f"{low[:-1]}{int(low[-1]) + 1}{zeros}" if low else f"1{zeros}"
    return kept, _NANO


def _scaled(digits: str, exponent: int, power: int) -> tuple[str, int]:
    """The number times 1024 to the `power`, up to the largest binary value; only so many digits matter for that."""
    if len(digits) + exponent > _WHOLE_DIGITS:
        return str(_LARGEST_BINARY), 0
    if exponent < -_FRACTION_DIGITS:
        kept, more = _cut(digits, -_FRACTION_DIGITS - exponent)
        digits, exponent = f"{kept}{more:d}", -_FRACTION_DIGITS - 1
    magnitude = int(digits or "0") * 1024**power
    if magnitude > _LARGEST_BINARY * 10**-exponent:
        return str(_LARGEST_BINARY), 0
    return str(magnitude).lstrip("0"), exponent


def _read(text: str) -> _Quantity:
    match = _SPLIT.fullmatch(text)
    if not text or match is None:
        raise ValueError(_WRONG_FORMAT)
    whole, fraction = match["whole"] or "0", match["fraction"] or ""
    style, power = _power(match["suffix"])
    if not (match["zeros"] or match["whole"] or fraction):
        raise ValueError(_WRONG_NUMBER)
    spelling = text if _is_canonical(whole, fraction, style, power) else None
    digits, exponent = (whole + fraction).lstrip("0"), -len(fraction)
    if style == "binary":
        digits, exponent = _scaled(digits, exponent, power)
    else:
        exponent += power
    return _Quantity(match["sign"] == "-", *_round_up(digits, exponent), style, spelling)


def parse(text: str) -> Decimal:
    """The value, exact after rounding up to a nano. Raises ValueError when the text is no quantity."""
    found = _read(text)
    return Decimal(f"{'-' * found.negative}{found.digits or '0'}e{found.exponent}")


def _decimal(digits: str, exponent: int, *, style: str) -> str:
    shortest = digits.rstrip("0")
    exponent += len(digits) - len(shortest)
    target = exponent - exponent % 3
    if style == "decimal":
        target = min(target, max(_DECIMAL_SUFFIX))
    number = shortest + "0" * (exponent - target)
    if style == "exponent":
        return f"{number}e{target}" if target else number
    return f"{number}{_DECIMAL_SUFFIX[target]}"


def _binary(digits: str, exponent: int) -> str:
    mantissa, scale = int(digits), 10**-exponent
    if mantissa < 1024 * scale or mantissa % scale:
        return _decimal(digits, exponent, style="decimal")
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
    if not found.digits:
        return "0"
    if found.style == "binary":
        number = _binary(found.digits, found.exponent)
    else:
        number = _decimal(found.digits, found.exponent, style=found.style)
    return f"{'-' * found.negative}{number}"


def add(first: str, second: str) -> str:
    """The canonical spelling of the sum, in the format of the first, or of the second where the first is zero.

    Of what no storage can have, the larger stands alone. Raises ValueError when a text is no quantity.
    """
    left, right = _read(first.strip()), _read(second.strip())
    if max(len(part.digits) + part.exponent for part in (left, right)) > _SUM_DIGITS:
        return canonical(max(first, second, key=parse))
    exponent = min(left.exponent, right.exponent)
    total = sum(_signed(part) * 10 ** (part.exponent - exponent) for part in (left, right))
    if not total:
        return "0"
    style = (left if left.digits else right).style
    digits = str(abs(total))
    number = _binary(digits, exponent) if style == "binary" else _decimal(digits, exponent, style=style)
    return f"{'-' * (total < 0)}{number}"


def _signed(found: _Quantity) -> int:
    magnitude = int(found.digits or "0")
    return -magnitude if found.negative else magnitude
