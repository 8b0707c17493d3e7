"""Stretches of days whose bounds are the same whenever one asks, so that what is asked for has a lasting name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

EPOCH = date(1970, 1, 5)  # a Monday: windows of seven days are weeks
SETTLED = timedelta(days=3)  # sources add to a day for a while after it is over
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Window:
    """Days from `first` to `last`, both included; open while more may be added to them."""

    first: date
    last: date
    is_open: bool

    @property
    def mark(self) -> str:
        """Sets what was said of an open window apart from what is said of it in the end, which is asked for once."""
        return "#open" if self.is_open else ""


def windows(first: date, last: date, days: int, today: date) -> list[Window]:
    """Windows of so many days that cover all days from `first` to `last`, whole ones, oldest first."""
    begin = first - timedelta(days=(first - EPOCH).days % days)
    found = []
    while begin <= last:
        end = begin + timedelta(days=days - 1)
        found.append(_window(begin, end, today))
        begin = end + ONE_DAY
    return found


def years(first: date, last: date, today: date) -> list[Window]:
    """The calendar years that cover all days from `first` to `last`, oldest first."""
    return [_window(date(year, 1, 1), date(year, 12, 31), today) for year in range(first.year, last.year + 1)]


def weekdays(first: date, last: date) -> list[date]:
    """The days from `first` to `last` that are no Saturday or Sunday."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [day for day in days if day.weekday() < 5]


def quarters(first: date, last: date) -> list[tuple[int, int]]:
    """Year and quarter of every calendar quarter that ended between two days."""
    found = []
    for year in range(first.year, last.year + 1):
        ends = [date(year, 4, 1), date(year, 7, 1), date(year, 10, 1), date(year + 1, 1, 1)]
        found += [(year, number) for number, after in enumerate(ends, 1) if first <= after - ONE_DAY and after <= last]
    return found


def _window(first: date, last: date, today: date) -> Window:
    return Window(first, last, is_open=last + SETTLED >= today)
