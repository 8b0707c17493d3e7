"""The calendar: sessions of each exchange date in UTC, half days, holidays and daylight saving included."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.errors import SettingsError
from lakehouse.reference.calendar import (
    FIRST_YEAR,
    LAST_YEAR,
    SessionArrays,
    TradingDays,
    calendar_version,
    day_number,
    exchange_days,
    session_arrays,
    sessions_for,
)
from lakehouse.tables.silver import SESSIONS

NEW_YORK = ZoneInfo("America/New_York")


def hours(day: date) -> dict[str, tuple[str, str]]:
    """Session to its first instant and first instant after, as New York wall time."""
    return {row["session"]: (wall(row["opens_at"]), wall(row["closes_at"])) for row in sessions_for("XNYS", day, day)}


def wall(instant: datetime) -> str:
    return f"{instant.astimezone(NEW_YORK):%H:%M}"


def arrays(first: date, last: date) -> SessionArrays:
    return session_arrays(sessions_for("XNYS", first, last))


def test_a_plain_day_has_three_sessions_that_touch() -> None:
    rows = sessions_for("XNYS", date(2026, 11, 25), date(2026, 11, 25))

    assert [tuple(row) for row in rows] == [SESSIONS.column_names] * 3
    assert hours(date(2026, 11, 25)) == {
        "pre": ("04:00", "09:30"), "regular": ("09:30", "16:00"), "post": ("16:00", "20:00"),
    }  # fmt: skip
    assert not any(row["is_half_day"] for row in rows)


@pytest.mark.parametrize("day", [date(2015, 12, 24), date(2026, 11, 27)])
def test_on_half_days_the_bell_rings_at_one_and_extended_trading_ends_at_five(day: date) -> None:
    rows = sessions_for("XNYS", day, day)

    assert hours(day) == {"pre": ("04:00", "09:30"), "regular": ("09:30", "13:00"), "post": ("13:00", "17:00")}
    assert all(row["is_half_day"] for row in rows)


@pytest.mark.parametrize(
    ("day", "opens_utc"),
    [
        (date(2026, 3, 6), "14:30"), (date(2026, 3, 9), "13:30"),
        (date(2026, 10, 30), "13:30"), (date(2026, 11, 2), "14:30"),
    ],
)  # fmt: skip
def test_the_open_stays_at_half_past_nine_in_new_york_across_daylight_saving(day: date, opens_utc: str) -> None:
    regular = sessions_for("XNYS", day, day)[1]

    assert regular["opens_at"] == datetime.fromisoformat(f"{day}T{opens_utc}:00+00:00")
    assert hours(day)["pre"][0] == "04:00"


@pytest.mark.parametrize(
    "day",
    [date(2026, 11, 26), date(2026, 3, 8), date(2001, 9, 11), date(2012, 10, 29), date(2025, 1, 9), date(2026, 7, 3)],
)
def test_holidays_weekends_and_closed_days_have_no_rows(day: date) -> None:
    assert sessions_for("XNYS", day, day) == []


def test_dates_far_ahead_are_in_the_calendar() -> None:
    dates = TradingDays.of(sessions_for("XNYS", date(2030, 1, 1), date(2030, 12, 31))).dates

    assert 248 <= len(dates) <= 254
    assert date(2030, 12, 25) not in dates


def test_the_calendar_agrees_with_leans_market_hours(shared_data: Path) -> None:
    entry = json.loads((shared_data / "lean/market-hours/market-hours-equity-usa.subset.json").read_text())["entries"]
    lean = entry["Equity-usa-[*]"]
    holidays = {lean_date(text) for text in lean["holidays"]}
    half_days = {lean_date(text) for text in lean["earlyCloses"]}
    first, last = date(2000, 1, 1), date(2026, 12, 31)  # Lean's list of half days misses 1999-12-31

    rows = sessions_for("XNYS", first, last)

    weekdays = {first + timedelta(days=n) for n in range((last - first).days + 1)}
    weekdays = {day for day in weekdays if day.weekday() < 5}
    ours_closed = weekdays - set(TradingDays.of(rows).dates)
    ours_half = {row["session_date"] for row in rows if row["is_half_day"]}
    assert ours_closed == {day for day in holidays if day in weekdays}
    # Lean also marks days on which the exchange is closed anyway, and calls 2017-12-24 (a Sunday) a half day.
    assert ours_half == {day for day in half_days if day in weekdays and day not in holidays}


def lean_date(text: str) -> date:
    month, day, year = (int(part) for part in text.split("/"))
    return date(year, month, day)


def test_an_exchange_without_declared_hours_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"'XLON'.*\['XNYS'\]"):
        sessions_for("XLON", date(2026, 1, 5), date(2026, 1, 9))


def test_rows_carry_the_version_of_the_calendar_so_that_a_corrected_one_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    now = calendar_version()

    monkeypatch.setattr("lakehouse.reference.calendar.version", lambda _name: "4.14")

    assert now < calendar_version()
    assert sessions_for("XNYS", date(2026, 1, 5), date(2026, 1, 5))[0]["sequence"] == calendar_version()
    assert sessions_for("XNYS", date(2026, 1, 5), date(2026, 1, 5), sequence=7)[0]["sequence"] == 7


def test_arrays_hold_the_sessions_in_order_of_time() -> None:
    rows = sessions_for("XNYS", date(2015, 12, 21), date(2015, 12, 31))

    found = session_arrays(reversed(rows))

    assert (np.diff(found.opens_ms) > 0).all()
    assert (found.closes_ms[:-1] <= found.opens_ms[1:]).all()
    assert len(found.opens_ms) == len(rows)


def test_bounds_are_minus_one_where_the_day_has_no_such_session() -> None:
    found = arrays(date(2015, 12, 24), date(2015, 12, 28))
    days = np.array([day_number(date(2015, 12, day)) for day in (24, 25, 28, 29)], np.int64)

    opens, closes = found.bounds(days, np.ones(4, np.int64))

    assert (closes - opens).tolist() == [210 * 60_000, 0, 390 * 60_000, 0]
    assert opens[[1, 3]].tolist() == [-1, -1]
    assert found.regular_bounds(int(days[0])) == (int(opens[0]), int(closes[0]))
    assert found.regular_bounds(int(days[1])) is None
    empty_opens, _ = session_arrays([]).bounds(days, np.ones(4, np.int64))
    assert empty_opens.tolist() == [-1] * 4


SECONDS = int((LAST_YEAR - FIRST_YEAR) * 365.25 * 86_400)


@given(st.integers(0, SECONDS), st.sampled_from(["America/New_York", "Asia/Kolkata"]))
@settings(max_examples=50, deadline=None)
def test_the_exchange_date_of_an_instant_is_the_date_on_the_wall(second: int, zone: str) -> None:
    instant = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) + timedelta(seconds=second)

    days = exchange_days(np.array([instant.timestamp() * 1000], np.int64), zone)

    assert days.tolist() == [day_number(instant.astimezone(ZoneInfo(zone)).date())]


def test_the_exchange_date_changes_at_midnight_on_the_days_of_daylight_saving() -> None:
    midnights: list[Any] = [datetime(2026, 3, 8), datetime(2026, 3, 9), datetime(2026, 11, 1), datetime(2026, 11, 2)]  # noqa: DTZ001

    instants = np.array([int(at.replace(tzinfo=NEW_YORK).timestamp()) * 1000 for at in midnights], np.int64)

    expected = [day_number(at.date()) for at in midnights]
    assert exchange_days(instants, "America/New_York").tolist() == expected
    assert exchange_days(instants - 1, "America/New_York").tolist() == [day - 1 for day in expected]


def test_the_trading_day_after_skips_weekends_and_holidays() -> None:
    days = TradingDays.of(sessions_for("XNYS", date(2013, 6, 27), date(2013, 7, 8)))

    assert days.after(date(2013, 6, 28)) == date(2013, 7, 1)
    assert days.after(date(2013, 7, 3)) == date(2013, 7, 5)
    assert days.after(date(2013, 7, 4)) == date(2013, 7, 5)
    assert days.opens[date(2013, 7, 5)] == datetime(2013, 7, 5, 8, tzinfo=UTC)


@pytest.mark.parametrize("day", [date(2013, 6, 26), date(2013, 7, 8)])
def test_a_day_the_calendar_does_not_reach_is_an_error_not_a_guess(day: date) -> None:
    days = TradingDays.of(sessions_for("XNYS", date(2013, 6, 27), date(2013, 7, 8)))

    with pytest.raises(SettingsError, match="covers 2013-06-27 to 2013-07-08"):
        days.after(day)
