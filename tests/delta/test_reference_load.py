"""Reference rows in silver: loading twice changes nothing, older never wins, newer does."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import functions as F

from lakehouse.errors import SettingsError, TableError
from lakehouse.lake import Lake
from lakehouse.reference.calendar import Row, TradingDays, session_arrays, sessions_for
from lakehouse.reference.lean import LeanFiles, corporate_actions_from
from lakehouse.reference.load import merge_instruments, merge_reference, read_session_arrays
from lakehouse.tables.silver import CORPORATE_ACTIONS, INSTRUMENTS, SESSIONS


def listing(ticker: str, first: date, sequence: int, **changes: Any) -> Row:
    values = (f"{ticker}-1", ticker, first, None, "XNYS", "USD", None, None, None, "watchlist", sequence)
    row = {**dict.fromkeys(INSTRUMENTS.column_names), **dict(zip(INSTRUMENTS.column_names, values, strict=False))}
    return {**row, **changes}


def stored(lake: Lake) -> list[tuple[Any, ...]]:
    return sorted(map(tuple, lake.read(INSTRUMENTS).select("ticker", "name", "sequence").collect()), key=str)


def test_sessions_come_back_as_the_arrays_they_went_in_as(lake: Lake) -> None:
    rows = sessions_for("XNYS", date(2015, 12, 21), date(2015, 12, 31))

    merge_reference(lake, SESSIONS, rows)
    merge_reference(lake, SESSIONS, rows)

    found, expected = read_session_arrays(lake, "XNYS"), session_arrays(rows)
    for name in ("session_day", "session", "opens_ms", "closes_ms"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert not len(read_session_arrays(lake, "XLON").opens_ms)


@pytest.mark.itest
def test_a_corrected_calendar_replaces_the_sessions_it_corrects(lake: Lake) -> None:
    day = date(2015, 12, 24)
    merge_reference(lake, SESSIONS, sessions_for("XNYS", day, day, sequence=1))
    corrected = [{**row, "is_half_day": False} for row in sessions_for("XNYS", day, day, sequence=2)]

    merge_reference(lake, SESSIONS, corrected)
    merge_reference(lake, SESSIONS, sessions_for("XNYS", day, day, sequence=1))

    assert lake.read(SESSIONS).where("NOT is_half_day AND sequence = 2").count() == 3


def test_actions_keep_their_ratio_to_nine_places_and_their_instant(lake: Lake) -> None:
    files = LeanFiles({"x": "20140102,x\n20501231,x"}, {"x": "20140606,1,0.997307,1\n20501231,1,1,0"})
    days = TradingDays.of(sessions_for("XNYS", date(2014, 1, 1), date(2014, 12, 31)))

    merge_reference(lake, CORPORATE_ACTIONS, corporate_actions_from(files, days))

    row = lake.read(CORPORATE_ACTIONS).select("ratio", F.unix_millis("known_from"), "effective_date").collect()[0]
    assert tuple(row) == (Decimal("1.002700272"), 1_402_300_800_000, date(2014, 6, 9))


@pytest.mark.itest
def test_newer_wins_older_never_does_and_repeats_change_nothing(lake: Lake) -> None:
    first = date(2000, 1, 3)
    merge_instruments(lake, [listing("A", first, 2, name="two"), listing("A", first, 1, name="one")])
    assert stored(lake) == [("A", "two", 2)]

    merge_instruments(lake, [listing("A", first, 1, name="one"), listing("B", first, 1)])
    merge_instruments(lake, [listing("A", first, 2, name="two")])
    assert stored(lake) == [("A", "two", 2), ("B", None, 1)]

    merge_instruments(lake, [listing("A", first, 3, name="three")])
    assert stored(lake) == [("A", "three", 3), ("B", None, 1)]


def test_a_change_under_the_same_version_is_refused_and_nothing_is_written(lake: Lake) -> None:
    first = date(2000, 1, 3)
    merge_instruments(lake, [listing("A", first, 1, name="one")])

    with pytest.raises(TableError, match=r"silver\.instruments.*A-1.*same sequence.*Nothing was written"):
        merge_instruments(lake, [listing("A", first, 1, name="other"), listing("B", first, 1)])

    assert stored(lake) == [("A", "one", 1)]


def test_a_second_carrier_of_a_ticker_is_refused_and_nothing_is_written(lake: Lake) -> None:
    merge_instruments(lake, [listing("A", date(2000, 1, 3), 1)])

    with pytest.raises(SettingsError, match="one instrument to carry A on 2005-01-03"):
        merge_instruments(lake, [listing("A", date(2005, 1, 3), 1, instrument_id="A-2"), listing("B", date.min, 1)])
    assert len(stored(lake)) == 1

    ended = listing("A", date(2000, 1, 3), 2, valid_to=date(2004, 12, 31))
    merge_instruments(lake, [ended, listing("A", date(2005, 1, 3), 1, instrument_id="A-2")])
    assert len(stored(lake)) == 2
