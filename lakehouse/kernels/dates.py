"""Days of the Gregorian calendar, read from text."""

from __future__ import annotations

from lakehouse.kernels import wide
from lakehouse.kernels.compiling import kernel
from lakehouse.kernels.wide import Bytes

DATE_LENGTH = 10
DASH = 0x2D
NO_DAY = -(1 << 31)


@kernel
def is_day(year: int, month: int, day: int) -> bool:
    """Whether the calendar has that day."""
    if year < 1 or month < 1 or month > 12 or day < 1:
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= 28 + leap if month == 2 else day <= 30 + (month + month // 8) % 2


@kernel
def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a day of the Gregorian calendar."""
    march_year, march_month = year - (month <= 2), (month + 9) % 12
    leap_days = march_year // 4 - march_year // 100 + march_year // 400
    return march_year * 365 + leap_days + (march_month * 153 + 2) // 5 + day - 719_469


@kernel
def _number(data: Bytes, at: int, digits: int) -> int:
    return wide.number_of(wide.word_at(data, at), digits) if wide.digits_at(data, at) >= digits else -1


@kernel
def day_of(data: Bytes, at: int, end: int) -> int:
    """The day that YYYY-MM-DD stands for, in days since 1970; NO_DAY where there is no such text or day."""
    if at + DATE_LENGTH > end or wide.byte_at(data, at + 4) != DASH or wide.byte_at(data, at + 7) != DASH:
        return NO_DAY
    year, month, day = _number(data, at, 4), _number(data, at + 5, 2), _number(data, at + 8, 2)
    return days_since_1970(year, month, day) if is_day(year, month, day) else NO_DAY
