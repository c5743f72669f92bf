"""Budget and window as an operator writes them.

Rules: MIG-10.
"""

from datetime import UTC, datetime

import pytest

from aioctl.plan.waves import Budget, parse_budget, parse_window

NOW = datetime(2026, 11, 29, 11, 30, 20, tzinfo=UTC)
"""A Sunday."""


@pytest.mark.parametrize(
    ("text", "services", "places"),
    [
        ("", 100, None),
        ("0", 100, None),
        ("5", 100, 5),
        (" 5 ", 2, 5),
        ("10%", 100, 10),
        ("10%", 101, 11),
        ("1%", 3, 1),
        ("100%", 0, 1),
    ],
)
def test_places(text: str, services: int, places: int | None) -> None:
    assert parse_budget(text).places(services) == places


@pytest.mark.parametrize("text", ["-1", "five", "0%", "101%", "1.5", "%", "٣", "5 %"])
def test_what_is_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("* * * * *", "2026-11-29 11:30"),
        ("31 11 * * *", "2026-11-29 11:31"),
        ("30 11 * * *", "2026-11-29 11:30"),
        ("29 11 * * *", "2026-11-30 11:29"),
        ("* 1-4 * * 1-5", "2026-11-30 01:00"),
        ("*/20 * * * *", "2026-11-29 11:40"),
        ("5/20 * * * *", "2026-11-29 11:45"),
        ("0 0 1 * *", "2026-12-01 00:00"),
        ("0 0 * jan *", "2027-01-01 00:00"),
        ("0 0 * * sat,sun", "2026-12-05 00:00"),
        ("0 12 * * 7", "2026-11-29 12:00"),
        ("0 12 * * 0", "2026-11-29 12:00"),
        ("0 0 13 * fri", "2026-12-04 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
        ("59 23 31 12 *", "2026-12-31 23:59"),
    ],
)
def test_when_a_window_opens(text: str, opens: str) -> None:
    window = parse_window(text)
    assert window is not None
    found = window.opens(NOW)
    assert found is not None
    assert found.strftime("%Y-%m-%d %H:%M") == opens
    assert window.holds(found)
    assert window.holds(NOW) == (opens == "2026-11-29 11:30")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("* * * *", "five fields"),
        ("60 * * * *", 'minute "60" is not within 0-59'),
        ("* 4-1 * * *", 'hour "4-1" is not within'),
        ("* * 0 * *", "day of month"),
        ("* * * foo *", "neither a number"),
        ("*/0 * * * *", "not within"),
        ("0 0 31 2 *", "never opens"),
    ],
)
def test_what_is_no_window(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_window(text)


def test_no_window_is_always_open() -> None:
    assert parse_window("  ") is None
    assert Budget().places(7) is None
