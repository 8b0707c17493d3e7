"""The trading calendar: pre, regular and post sessions of each exchange date, as rows and as arrays for kernels."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from lakehouse.clock import to_ms
from lakehouse.errors import SettingsError
from lakehouse.tables.silver import SESSIONS

Longs = NDArray[np.int64]
Row = dict[str, Any]

ZONES = {"XNYS": "America/New_York"}
PRE_OPENS, POST_CLOSES = time(4), time(20)
HALF_DAY_POST_CLOSES = time(17)  # extended trading ends four hours after the bell on half days too
HOURS_VERSION = 1  # raise it with any change of the three times above, so that stored sessions are corrected

SESSION_CODES = {"pre": 0, "regular": 1, "post": 2}
NO_SESSION_MS = -1
EPOCH = date(1970, 1, 1)
FIRST_YEAR, LAST_YEAR = 1990, 2100  # decoding refuses prints from outside these years
SLACK = timedelta(days=14)  # exchange_calendars refuses ranges without a session and ranges of one day


@dataclass(frozen=True, eq=False)
class SessionArrays:
    """Sessions in order of time: day since 1970, code (0 pre, 1 regular, 2 post), first ms and first ms after."""

    session_day: Longs
    session: NDArray[np.int8]
    opens_ms: Longs
    closes_ms: Longs

    def bounds(self, days: Longs, session: Longs) -> tuple[Longs, Longs]:
        """First ms and first ms after of the wanted sessions, -1 where that date has no such session."""
        keys, wanted = self.session_day * 3 + self.session, days * 3 + session
        if not len(keys):
            return np.full(len(wanted), NO_SESSION_MS), np.full(len(wanted), NO_SESSION_MS)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        known = keys[at] == wanted
        return np.where(known, self.opens_ms[at], NO_SESSION_MS), np.where(known, self.closes_ms[at], NO_SESSION_MS)

    def regular_bounds(self, day: int) -> tuple[int, int] | None:
        """First ms and first ms after of the regular session of one day, None where there is none."""
        opens, closes = self.bounds(np.array([day], np.int64), np.array([SESSION_CODES["regular"]], np.int64))
        return None if opens[0] == NO_SESSION_MS else (int(opens[0]), int(closes[0]))


def sessions_for(exchange: str, first: date, last: date, *, sequence: int | None = None) -> list[Row]:
    """Rows of silver.sessions for every exchange date from `first` to `last`; holidays have none.

    `sequence` is the version of the rows: by default the calendar library's, so that a corrected calendar wins.
    """
    import exchange_calendars  # over a second of pandas, which workers that only read arrays must not pay

    zone = ZoneInfo(exchange_zone(exchange))
    calendar = exchange_calendars.get_calendar(exchange, start=first - SLACK, end=last + SLACK)
    half_days = {day.date() for day in calendar.early_closes}
    stamp = calendar_version() if sequence is None else sequence
    rows: list[Row] = []
    for at, opens, closes in calendar.schedule[["open", "close"]].itertuples():
        day = at.date()
        if first <= day <= last:
            post_closes = HALF_DAY_POST_CLOSES if day in half_days else POST_CLOSES
            extended = [datetime.combine(day, wall, zone).astimezone(UTC) for wall in (PRE_OPENS, post_closes)]
            regular = [instant.to_pydatetime().astimezone(UTC) for instant in (opens, closes)]
            common = {"exchange": exchange, "session_date": day, "is_half_day": day in half_days, "sequence": stamp}
            rows += _rows_of_day([extended[0], *regular, extended[1]], common)
    return rows


def _rows_of_day(edges: list[datetime], common: Row) -> list[Row]:
    rows = [
        {**common, "session": name, "opens_at": edges[code], "closes_at": edges[code + 1]}
        for name, code in SESSION_CODES.items()
    ]
    return [{name: row[name] for name in SESSIONS.column_names} for row in rows]


def calendar_version() -> int:
    """The version of the calendar: that of the library (4.13.2 is 4013002), then two digits for our own hours."""
    major, minor, patch = (int(part) for part in re.findall(r"\d+", f"{version('exchange_calendars')}.0.0")[:3])
    return ((major * 1000 + minor) * 1000 + patch) * 100 + HOURS_VERSION


def exchange_zone(exchange: str) -> str:
    """The time zone an exchange's dates are counted in."""
    if exchange not in ZONES:
        raise SettingsError(
            f"reference.exchange: no trading hours are declared for {exchange!r}, expected one of {sorted(ZONES)}. "
            f"Nothing was loaded. Use one of these, or declare its zone in lakehouse/reference/calendar.py."
        )
    return ZONES[exchange]


def session_arrays(rows: Iterable[Row]) -> SessionArrays:
    """Rows of silver.sessions of one exchange as arrays, in order of time. Naive datetimes count as UTC."""
    found = sorted(
        (day_number(row["session_date"]), SESSION_CODES[row["session"]], _ms(row["opens_at"]), _ms(row["closes_at"]))
        for row in rows
    )
    table = np.array(found, np.int64).reshape(-1, 4)
    days, session, opens, closes = (np.ascontiguousarray(column) for column in table.T)
    return SessionArrays(days, session.astype(np.int8), opens, closes)


@dataclass(frozen=True)
class TradingDays:
    """The exchange dates of a calendar, in order, with the first instant somebody can trade on each."""

    opens: dict[date, datetime]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """The trading days of rows of silver.sessions."""
        first = sorted((row["session_date"], row["opens_at"]) for row in rows)
        return cls(dict(reversed(first)))

    @cached_property
    def dates(self) -> list[date]:
        """Every exchange date, in order."""
        return sorted(self.opens)

    def after(self, day: date) -> date:
        """The first exchange date after a day."""
        at = bisect_right(self.dates, day)
        if not self.dates or day < self.dates[0] or at == len(self.dates):
            covered = f"{self.dates[0]} to {self.dates[-1]}" if self.dates else "no day at all"
            raise SettingsError(
                f"calendar: expected the trading day after {day}, found that the calendar covers {covered}. Nothing "
                f"was loaded. Load sessions over a wider range first."
            )
        return self.dates[at]


def midnight_ms(day: date, zone: str) -> int:
    """When an exchange date begins, in ms since 1970."""
    return to_ms(datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC))


def day_number(day: date) -> int:
    """Days since 1970, as kernels count exchange dates."""
    return (day - EPOCH).days


def _ms(instant: datetime) -> int:
    return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def exchange_days(milliseconds: Longs, zone: str) -> Longs:
    """The exchange date of each instant, in days since 1970."""
    since, offsets = _offsets(zone)
    at = np.maximum(np.searchsorted(since, milliseconds, side="right") - 1, 0)
    local: Longs = milliseconds + offsets[at]
    return local // 86_400_000


@cache
def _offsets(zone: str) -> tuple[Longs, Longs]:
    """Instants at which a zone's offset from UTC changes, and the offset in ms from each on."""
    place = ZoneInfo(zone)

    def offset(second: int) -> int:
        shift = datetime.fromtimestamp(second, place).utcoffset()
        return 0 if shift is None else int(shift.total_seconds())

    days = range(day_number(date(FIRST_YEAR, 1, 1)), day_number(date(LAST_YEAR, 1, 1)))
    since, offsets = [days[0] * 86_400], [offset(days[0] * 86_400)]
    for day in days:
        if offset((day + 1) * 86_400) != offsets[-1]:
            quarters = range(day * 96, (day + 1) * 96 + 1)  # zones change on whole quarters of an hour
            changed = next(quarter * 900 for quarter in quarters if offset(quarter * 900) != offsets[-1])
            since.append(changed)
            offsets.append(offset(changed))
    return np.array(since, np.int64) * 1000, np.array(offsets, np.int64) * 1000
