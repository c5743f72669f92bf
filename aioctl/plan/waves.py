"""How many services may be on the move at once, and when moves may begin: what the operator's two settings mean (MIG-10).

budget   `5` services, or `10%` of all; empty or 0: no limit
window   five fields as cron has them (minute, hour, day of month, month, day of week), in UTC: a move may begin in every
         minute that they match, so `* 1-4 * * 1-5` is one to five in the morning on working days; empty: always
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

_FIELDS: Final = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
_NAMES: Final = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_NAMED: Final = 3
"""Services that a text names; of more their number is told."""
_LONGEST: Final = 8 * 366
"""Days after which a window that has not opened never does: 29 February can be eight years away."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Services that may be between the write that moves their traffic and Ready. None: any number."""

    services: int | None = None
    percent: int | None = None

    def places(self, services: int) -> int | None:
        """The number of places for a fleet of so many; a share is rounded up, so that somebody can always move."""
        if self.percent is not None:
            return max(1, math.ceil(services * self.percent / 100))
        return self.services


@dataclass(frozen=True, slots=True)
class Pace:
    """Both settings."""

    budget: Budget = Budget()
    window: "Window | None" = None

    def closed(self, now: datetime) -> str:
        """What the window makes services wait for; empty while it is open."""
        if self.window is None or self.window.holds(now):
            return ""
        at = self.window.opens(now)
        moment = at.strftime("%Y-%m-%d %H:%M UTC") if at is not None else "no time"
        return f"moves may begin at {moment} (AIOCTL_MIGRATION_WINDOW)"


def taken(moving: Sequence[str], places: int) -> str:
    """What services wait for when others have all the places."""
    more = len(moving) - _NAMED
    names = ", ".join(moving[:_NAMED])
    who = f"{names} and {more} more have" if more > 0 else f"{names} {'has' if len(moving) == 1 else 'have'}"
    return f"{who} moved and not Ready yet (AIOCTL_MIGRATION_BUDGET allows {places})"


def parse_budget(text: str) -> Budget:
    """Raises ValueError with what is allowed."""
    given = text.strip()
    number = given.removesuffix("%")
    if not given:
        return Budget()
    if not (number.isascii() and number.isdigit()):
        raise ValueError("must be a number of services such as 5, a share such as 10%, or empty for no limit")
    if number == given:
        return Budget(services=int(number) or None)
    if not 1 <= int(number) <= 100:
        raise ValueError("a share must be from 1% to 100%")
    return Budget(percent=int(number))


@dataclass(frozen=True, slots=True)
class Window:
    """The minutes in which moves may begin. As in cron, two restricted days mean one or the other."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either_day: bool = False

    def holds(self, now: datetime) -> bool:
        """Whether it is open in this minute."""
        at = now.astimezone(UTC)
        return at.minute in self.minutes and at.hour in self.hours and self._on(at.date())

    def opens(self, now: datetime) -> datetime | None:
        """The first minute from `now` on in which it is open; None when there is none."""
        at = now.astimezone(UTC).replace(second=0, microsecond=0)
        if self.holds(now):
            return at
        for ahead in range(_LONGEST):
            day = at.date() + timedelta(days=ahead)
            if not self._on(day):
                continue
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                    if found > at:
                        return found
        return None

    def _on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return of_month or of_week if self.either_day else of_month and of_week


def parse_window(text: str) -> Window | None:
    """None for an empty text. Raises ValueError with the field that is wrong, or when it never opens."""
    given = text.split()
    if not given:
        return None
    if len(given) != len(_FIELDS):
        raise ValueError(
            f"must have five fields (minute, hour, day of month, month, day of week), not {len(given)}"
        )
    minutes, hours, days, months, weekdays = (
        frozenset(_field(part, *field)) for part, field in zip(given, _FIELDS, strict=True)
    )
    either_day = "*" not in (given[2][0], given[4][0])
    window = Window(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), either_day)
    if window.opens(datetime(2000, 1, 1, tzinfo=UTC)) is None:
        raise ValueError("never opens: no month has that day")
    return window


def _field(text: str, name: str, low: int, high: int) -> Iterator[int]:
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        begin, end = (
            (low, high) if span == "*" else (_number(first, name), _number(last if dash else first, name))
        )
        if slash and not dash and span != "*":
            end = high
        width = _number(step, name) if slash else 1
        if not low <= begin <= end <= high or width < 1:
            raise ValueError(f'{name} "{text}" is not within {low}-{high}')
        yield from range(begin, end + 1, width)


def _number(text: str, name: str) -> int:
    words = _NAMES.get(name, ())
    if text.lower() in words:
        return words.index(text.lower()) + (1 if name == "month" else 0)
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'{name} "{text}" is neither a number nor * nor a range such as 1-5')
    return int(text)
