"""Quantities as apimachinery 0.34.1 reads and prints them; the table was made with that library."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.golang import quantity


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0"),
        ("00", "0"),
        ("0Ki", "0"),
        ("-0", "0"),
        ("128", "128"),
        ("1000", "1k"),
        ("100000", "100k"),
        ("1000m", "1"),
        ("1500m", "1500m"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("1.5", "1500m"),
        ("1.", "1."),
        ("1.500", "1.500"),
        ("+1", "+1"),
        ("-1000m", "-1"),
        ("1024Mi", "1Gi"),
        ("1000Mi", "1000Mi"),
        ("1500Mi", "1500Mi"),
        ("1024", "1024"),
        ("1Ki", "1Ki"),
        ("1.5Gi", "1536Mi"),
        ("1.5Ki", "1536"),
        ("0.5Ki", "512"),
        ("0.1Gi", "107374182400m"),
        ("1.0001Ki", "1024102400u"),
        ("16Ei", "9223372036854775807"),
        ("-16Ei", "-9223372036854775807"),
        ("1e3", "1e3"),
        ("1E3", "1E3"),
        ("1000e3", "1e6"),
        ("12e1", "120"),
        ("1e-1", "100e-3"),
        ("1E", "1E"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("1.0000000001", "1000000001n"),
        ("-0.0000000001", "-1n"),
        ("1e-30", "1e-9"),
        ("12345678901234567890", "12345678901234567890"),
        ("1000E", "1000E"),
        (" 1000m ", "1"),
    ],
)
def test_canonical_spelling(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize("text", ["", "x", "1x", "1.2.3", "1 2", "1Ki3", "--1", "1,5"])
def test_text_of_another_shape_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantities must match|suffix"):
        quantity.canonical(text)


@pytest.mark.parametrize("text", ["1KK", "1e", "1i", "1mm", "1e99999999999999"])
def test_unknown_suffix_is_named_as_the_fault(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse quantity's suffix"):
        quantity.parse(text)


@pytest.mark.parametrize("text", ["Ki", "+", ".", "e3"])
def test_a_quantity_needs_a_digit(text: str) -> None:
    with pytest.raises(ValueError, match="numeric part"):
        quantity.parse(text)


def test_values_compare_whatever_the_spelling() -> None:
    assert quantity.parse("1Gi") == quantity.parse("1024Mi") == Decimal(2**30)
    assert quantity.parse("100m") == quantity.parse("0.1") == Decimal("0.1")


def test_an_absurd_exponent_costs_nothing() -> None:
    assert quantity.canonical("1e-2000000000") == "1e-9"
    assert quantity.canonical("1e2000000003") == "100e2000000001"
    assert quantity.parse("1e999999999") > quantity.parse("1e999999998")


def test_zeros_in_front_of_an_exponent_do_not_count() -> None:
    assert quantity.canonical("1e0000000000001") == "10"
    assert quantity.parse("1e-0000000000003") == Decimal("0.001")
    with pytest.raises(ValueError, match="suffix"):
        quantity.parse("1e2147483648")


LONG = 100_000


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1" * LONG, "1" * LONG),
        ("1" + "0" * LONG, "1" + "0" * (LONG - 18) + "E"),
        ("0." + "9" * LONG, "1"),
        ("9." + "9" * LONG + "m", "10m"),
        ("1.5" + "0" * LONG + "Ki", "1536"),
        ("1.5" + "0" * LONG + "1Ki", "1536000000001n"),
        ("9" * LONG + "Ki", "9223372036854775807"),
        ("0" * LONG + "1", "0" * LONG + "1"),
    ],
    ids=lambda text: f"{text[:6]}..{text[-4:]}",
)
def test_numbers_may_be_longer_than_python_reads(text: str, canonical: str) -> None:
    assert quantity.canonical(text) == canonical


@pytest.mark.parametrize(
    "text", ["0" * LONG + "e1.5", "1" * LONG + ".x", "1" + "e" * LONG, "1e" + "9" * LONG]
)
def test_a_long_text_that_is_no_quantity_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"quantities must match|suffix"):
        quantity.canonical(text)


suffixes = st.sampled_from(
    ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "e-5", "E+2"]
)
texts = st.builds(
    lambda sign, number, suffix: f"{sign}{number}{suffix}",
    st.sampled_from(["", "-", "+"]),
    st.one_of(
        st.from_regex(r"[0-9]{1,20}", fullmatch=True),
        st.from_regex(r"[0-9]{1,9}\.[0-9]{1,12}", fullmatch=True),
    ),
    suffixes,
)


@given(texts)
def test_canonical_keeps_the_value_and_is_stable(text: str) -> None:
    printed = quantity.canonical(text)
    assert quantity.parse(printed) == quantity.parse(text)
    assert quantity.canonical(printed) == printed


@pytest.mark.parametrize(
    ("first", "second", "total"),
    [
        ("1Gi", "5Gi", "6Gi"),
        ("1Gi", "512Mi", "1536Mi"),
        # The format of the first, unless it is zero.
        ("500M", "1Gi", "1573741824"),
        ("0", "5Gi", "5Gi"),
        ("1k", "500", "1500"),
        ("100m", "0.9", "1"),
        ("1e3", "2k", "3e3"),
        ("1Gi", "-1Gi", "0"),
        ("1Gi", "-2Gi", "-1Gi"),
        # No storage is as large: the larger stands.
        ("1e2000000000", "1Gi", "100e1999999998"),
    ],
)
def test_sums_keep_the_format(first: str, second: str, total: str) -> None:
    assert quantity.add(first, second) == total
